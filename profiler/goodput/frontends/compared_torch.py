"""Torch's part in comparing variants: tensors copied, doubled, poisoned and read; the stopwatch.

The stopwatch of a CUDA or HIP device has not been run on one by us.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from goodput.frontends.compared import cache_of, flush_bytes
from goodput.frontends.host_memory import HighWater
from goodput.frontends.torch_device import best
from goodput.measure.clock import Clock, HostStopwatch, Stopwatch

_ANCHOR_EDGE = 384
_ANCHOR_BYTES = 8 * 2**20


class TorchValues:
    """Tensors on one device.

    Args:
        device: in torch's words.
        cache_bytes: of its last cache; 0 where that is not known.
    """

    framework = "torch"

    def __init__(self, device: str, cache_bytes: int) -> None:
        self.device = device
        self.cache_bytes = cache_bytes
        self.flush_bytes = flush_bytes(cache_bytes, device)
        # References taken before the user's file is loaded, which may replace them.
        self._synchronize = torch.cuda.synchronize
        self._kept = (torch.cuda.synchronize, torch.cuda.Event, torch.Tensor.clone)
        self._flush = torch.zeros(self.flush_bytes // 4, dtype=torch.int32, device=device)
        self._host = HighWater()
        self._in_use = 0
        self._cotangents: dict[tuple[Any, ...], torch.Tensor] = {}

    def owns(self, leaf: object) -> bool:
        """Whether a leaf is a tensor."""
        return isinstance(leaf, torch.Tensor)

    def seed(self, value: int) -> None:
        """Seeds torch's generators."""
        torch.manual_seed(value)

    def array(self, leaf: torch.Tensor) -> tuple[npt.NDArray[Any], str]:
        """A leaf as a NumPy array and its dtype's name; bfloat16 and float8 as their bits."""
        name = str(leaf.dtype).removeprefix("torch.")
        plain = leaf.detach().to("cpu").contiguous()
        if name == "bfloat16" or name.startswith("float8"):
            bits = torch.uint8 if plain.element_size() == 1 else torch.uint16
            return plain.view(bits).numpy(), name
        return plain.numpy(), name

    def tensor(self, array: npt.NDArray[Any], name: str) -> torch.Tensor:
        """The leaf of what `array` of any framework gave."""
        dtype = getattr(torch, name)
        made = torch.from_numpy(np.array(array))
        return (made if made.dtype == dtype else made.view(dtype)).to(self.device)

    def copied(self, leaf: torch.Tensor) -> torch.Tensor:
        """The same values at an address of their own, with the same strides."""
        return leaf.detach().clone()

    def fill(self, leaf: torch.Tensor, other: torch.Tensor) -> bool:
        """Puts the values of `other` into the tensor `leaf` itself."""
        if leaf.shape != other.shape:
            return False
        with torch.no_grad():
            leaf.copy_(other)
        return True

    def doubled(self, leaf: Any) -> Any:
        """A floating leaf in float64."""
        floating = isinstance(leaf, torch.Tensor) and leaf.is_floating_point()
        return leaf.detach().double() if floating else leaf

    def float64(self, leaf: torch.Tensor) -> npt.NDArray[np.float64]:
        """The values of a leaf, copied now."""
        plain = leaf.detach()
        double = plain.to(device="cpu", dtype=torch.float64, copy=True)
        return np.asarray(double.numpy(), dtype=np.float64)

    def dtype(self, leaf: torch.Tensor) -> str:
        """The dtype's neutral name."""
        return str(leaf.dtype).removeprefix("torch.")

    def fault(self, leaf: object) -> str:
        """Why a returned leaf is no plain tensor on this device; "" where it is one."""
        if not isinstance(leaf, torch.Tensor):
            return f"it returned a {type(leaf).__name__}, no tensor"
        if type(leaf) not in {torch.Tensor, torch.nn.Parameter}:
            return f"it returned a {type(leaf).__name__}: a tensor that may still be computed"
        if leaf.device.type != torch.device(self.device).type:
            return f"it returned a tensor on {leaf.device}"
        return ""

    def wait(self, tree: object) -> None:  # noqa: ARG002 - JAX waits for these
        """Waits until the device is idle."""
        if self.device != "cpu":
            self._synchronize()

    def poison(self, shapes: Iterable[tuple[tuple[int, ...], str]]) -> None:
        """Fills memory of these shapes with values that are wrong, and frees it."""
        held = []
        for shape, name in shapes:
            tensor = torch.empty(shape, dtype=getattr(torch, name), device=self.device)
            held.append(tensor.fill_(float("nan") if tensor.is_floating_point() else 1))

    def flush(self) -> None:
        """Writes more than the caches hold."""
        self._flush.add_(1)

    def stopwatch(self, clock: Clock) -> Stopwatch:
        """Times calls on the device."""
        if self.device == "cpu":
            return HostStopwatch(clock)
        from goodput.frontends.torch_bench import EventStopwatch

        return EventStopwatch()

    def blocking(self, call: Callable[[], Any]) -> Callable[[], Any]:
        """`call`, which is done when it returns, or in the stopwatch's events."""
        return call

    def anchor(self, kind: str) -> Callable[[], object]:
        """A call of our own of one bound class: `memory` copies, anything else multiplies."""
        if kind == "memory":
            source = torch.ones(_ANCHOR_BYTES // 4, device=self.device)
            target = torch.empty_like(source)
            return lambda: target.copy_(source)
        one = torch.ones(_ANCHOR_EDGE, _ANCHOR_EDGE, device=self.device)
        out = torch.empty_like(one)
        return lambda: torch.mm(one, one, out=out)

    def with_gradient(self, call: Callable[..., Any]) -> Callable[..., Any]:
        """`call` and the gradients of its floating arguments, at a cotangent that is not flat."""

        def forward_and_backward(*args: Any) -> Any:
            with torch.enable_grad():
                inputs = [a.requires_grad_() for a in args if _floating(a)]
                outputs = call(*args)
                several = outputs if isinstance(outputs, tuple | list) else [outputs]
                found = [o for o in several if _floating(o)]
                weights = [self._cotangent(o) for o in found]
                gradients = torch.autograd.grad(found, inputs, weights, allow_unused=True)
            kept = [gradient for gradient in gradients if gradient is not None]
            return (*(o.detach() for o in found), *kept)

        return forward_and_backward

    def _cotangent(self, like: torch.Tensor) -> torch.Tensor:
        key = (tuple(like.shape), like.dtype)
        if key not in self._cotangents:
            wave = torch.arange(like.numel(), dtype=torch.float64, device=like.device).sin()
            self._cotangents[key] = wave.reshape(like.shape).to(like.dtype)
        return self._cotangents[key]

    def tampered(self) -> Sequence[str]:
        """What of torch's that timing rests on has been replaced."""
        names = ("torch.cuda.synchronize", "torch.cuda.Event", "torch.Tensor.clone")
        now = (torch.cuda.synchronize, torch.cuda.Event, torch.Tensor.clone)
        return [n for n, a, b in zip(names, self._kept, now, strict=True) if a is not b]

    def between_cases(self) -> None:
        """Forgets compiled code: the sizes of one case would make that of the next dynamic."""
        if "torch._dynamo" in sys.modules:
            torch._dynamo.reset()  # noqa: SLF001 - documented for this

    def forget_peak(self) -> None:
        """Starts to watch how much memory is in use at most."""
        if self.device == "cpu":
            self._host.forget()
            return
        torch.cuda.reset_peak_memory_stats()
        self._in_use = int(torch.cuda.memory_allocated())

    def peak_bytes(self) -> int | None:
        """Memory in use at most since `forget_peak`, over what was then."""
        if self.device == "cpu":
            return self._host.peak_bytes()
        return int(torch.cuda.max_memory_allocated()) - self._in_use


def _floating(leaf: object) -> bool:
    return isinstance(leaf, torch.Tensor) and leaf.is_floating_point()


def make() -> TorchValues:
    """For the device that torch computes on best."""
    return TorchValues("cuda" if torch.cuda.is_available() else "cpu", cache_of(best()))
