"""What comparing variants asks of a framework, and which one a value belongs to. Imports none."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from goodput.errors import UsageError
from goodput.measure.clock import Clock, Stopwatch


class Values(Protocol):
    """The values of one framework; a leaf is one tensor or array."""

    framework: str
    device: str

    def owns(self, leaf: object) -> bool:
        """Whether a leaf is of this framework."""

    def seed(self, value: int) -> None:
        """Seeds the framework's generators."""

    def array(self, leaf: Any) -> tuple[npt.NDArray[Any], str]:
        """A leaf as a NumPy array and its dtype's name; narrow floats as their bits."""

    def tensor(self, array: npt.NDArray[Any], name: str) -> Any:
        """The leaf of what `array` gave."""

    def copied(self, leaf: Any) -> Any:
        """The same values at an address of their own."""

    def fill(self, leaf: Any, other: Any) -> bool:
        """Puts the values of `other` into `leaf` itself; False where that cannot be."""

    def doubled(self, leaf: Any) -> Any:
        """A floating leaf in float64; others as they are."""

    def float64(self, leaf: Any) -> npt.NDArray[np.float64]:
        """The values of a leaf, copied now."""

    def dtype(self, leaf: Any) -> str:
        """The dtype's neutral name."""

    def fault(self, leaf: object) -> str:
        """Why a returned leaf is no plain tensor; "" where it is one."""

    def wait(self, tree: object) -> None:
        """Waits until all is computed."""

    def poison(self, shapes: Iterable[tuple[tuple[int, ...], str]]) -> None:
        """Fills memory of these shapes with wrong values, and frees it."""

    def flush(self) -> None:
        """Writes more than the caches hold."""

    def stopwatch(self, clock: Clock) -> Stopwatch:
        """Times calls on the device."""

    def blocking(self, call: Callable[[], Any]) -> Callable[[], Any]:
        """`call` in the form that the stopwatch times."""

    def anchor(self, kind: str) -> Callable[[], object]:
        """A call of our own of one bound class."""

    def with_gradient(self, call: Callable[..., Any]) -> Callable[..., Any]:
        """`call` and the gradients of its floating arguments."""

    def tampered(self) -> Sequence[str]:
        """What timing rests on and has been replaced."""

    def between_cases(self) -> None:
        """Forgets what one case's sizes would make of the next one's."""

    def forget_peak(self) -> None:
        """Starts to watch how much memory is in use at most."""

    def peak_bytes(self) -> int | None:
        """Memory in use at most since then; None where it is not told."""


def values_of(framework: str, flush_bytes: int) -> Values:
    """The values of `framework`, which is imported for it.

    Raises:
        UsageError: no such framework.
    """
    if framework == "torch":
        from goodput.frontends import compared_torch

        return compared_torch.make(flush_bytes)
    if framework == "jax":
        from goodput.frontends import compared_jax

        return compared_jax.make(flush_bytes)
    raise UsageError(f"a variant must be of torch or of JAX; {framework or 'this one'} is neither")


def float64_enabled(framework: str) -> AbstractContextManager[Any]:
    """A context in which `framework` computes in float64."""
    if framework != "jax":
        return nullcontext()
    from goodput.frontends import compared_jax

    context: AbstractContextManager[Any] = compared_jax.float64_enabled()
    return context


def versions() -> dict[str, str]:
    """The versions of the frameworks that this process has loaded."""
    return {
        name: str(getattr(sys.modules[name], "__version__", ""))
        for name in ("torch", "jax", "triton", "numpy")
        if name in sys.modules
    }
