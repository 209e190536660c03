"""What comparing variants asks of a framework, and which one a value belongs to. Imports none."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from goodput.capacity.datasheet import row_of
from goodput.device import DeviceIdentity
from goodput.errors import UsageError
from goodput.measure.clock import Clock, Stopwatch


class Values(Protocol):
    """The values of one framework; a leaf is one tensor or array.

    `cache_bytes` is what the device's last cache holds, 0 where that is not known, and
    `flush_bytes` are written between two calls.
    """

    framework: str
    device: str
    cache_bytes: int
    flush_bytes: int

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
        """Memory in use at most since then, over what was then; None where it is not told."""


_CACHES = 2
"""A flush writes this many times what the last cache holds."""

_LEAST_FLUSH, _MOST_CPU_FLUSH = 32 * 2**20, 256 * 2**20
"""Bytes. A CPU's cache may be a machine's, of which a guest has a part and much to write."""


def cache_of(device: DeviceIdentity) -> int:
    """Bytes of a device's last cache, by its runtime or its datasheet; 0 where neither says."""
    row = row_of(device.name)
    return max(device.last_level_cache_bytes, row.last_level_cache_bytes if row else 0)


def flush_bytes(cache_bytes: int, device: str) -> int:
    """What to write between two calls on a device whose last cache holds `cache_bytes`."""
    wanted = max(_CACHES * cache_bytes, _LEAST_FLUSH)
    return min(wanted, _MOST_CPU_FLUSH) if device == "cpu" else wanted


def values_of(framework: str) -> Values:
    """The values of `framework`, which is imported for it.

    Raises:
        UsageError: no such framework.
    """
    if framework == "torch":
        from goodput.frontends import compared_torch

        return compared_torch.make()
    if framework == "jax":
        from goodput.frontends import compared_jax

        return compared_jax.make()
    raise UsageError(f"a variant must be of torch or of JAX; {framework or 'this one'} is neither")


def float64_enabled(framework: str) -> AbstractContextManager[Any]:
    """A context in which `framework` computes in float64."""
    if framework != "jax":
        return nullcontext()
    from goodput.frontends import compared_jax

    context: AbstractContextManager[Any] = compared_jax.float64_enabled()
    return context


class Chosen(Protocol):
    """What a tuner of Triton's chose, as text: see `triton_tuned.Choice`."""

    @property
    def kernel(self) -> str:
        """The tuned function."""

    @property
    def key(self) -> str:
        """What it was chosen for."""

    @property
    def config(self) -> str:
        """The configuration."""


def kernels_watched(given: Sequence[Chosen]) -> AbstractContextManager[Any]:
    """A context in which launches of Triton kernels are seen; of nothing without Triton.

    Its value is a `triton_tuned.Launches`, or None where the program has not imported Triton.
    """
    if "triton.runtime.autotuner" not in sys.modules:
        return nullcontext()
    from goodput.frontends import triton_tuned

    choices = [triton_tuned.Choice(one.kernel, one.key, one.config) for one in given]
    context: AbstractContextManager[Any] = triton_tuned.watched(choices)
    return context


def versions() -> dict[str, str]:
    """The versions of the frameworks that this process has loaded."""
    return {
        name: str(getattr(sys.modules[name], "__version__", ""))
        for name in ("torch", "jax", "triton", "numpy")
        if name in sys.modules
    }
