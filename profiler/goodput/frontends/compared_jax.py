"""JAX's part in comparing variants: arrays copied, doubled and read; calls that wait."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from goodput.frontends.compared import cache_of, flush_bytes
from goodput.frontends.host_memory import HighWater
from goodput.frontends.jax_device import identity
from goodput.measure.clock import Clock, HostStopwatch, Stopwatch

_ANCHOR_EDGE = 384
_ANCHOR_NUMBERS = 2 * 2**20


class JaxValues:
    """Arrays on JAX's default device.

    Args:
        device: in JAX's words.
        cache_bytes: of its last cache; 0 where that is not known.
    """

    framework = "jax"

    def __init__(self, device: str, cache_bytes: int) -> None:
        self.device = device
        self.cache_bytes = cache_bytes
        self.flush_bytes = flush_bytes(cache_bytes, device)
        self._host = HighWater()
        self._block: Any = jax.block_until_ready  # taken before the user's file may replace it
        self._flush = jnp.zeros(self.flush_bytes // 4, dtype=jnp.int32)
        self._add = jax.jit(lambda values: values + 1)

    def owns(self, leaf: object) -> bool:
        """Whether a leaf is an array of JAX."""
        return isinstance(leaf, jax.Array)

    def seed(self, value: int) -> None:
        """Nothing: JAX has no generator of its own; an inputs function takes `seed`."""

    def array(self, leaf: jax.Array) -> tuple[npt.NDArray[Any], str]:
        """A leaf as a NumPy array and its dtype's name; bfloat16 and float8 as their bits."""
        name, plain = str(leaf.dtype), np.asarray(leaf)
        if name == "bfloat16" or name.startswith("float8"):
            return plain.view(np.uint8 if plain.itemsize == 1 else np.uint16), name
        return plain, name

    def tensor(self, array: npt.NDArray[Any], name: str) -> jax.Array:
        """The leaf of what `array` of any framework gave."""
        dtype = jnp.dtype(name)
        made: jax.Array = jnp.array(array if array.dtype == dtype else array.view(dtype))
        return made

    def copied(self, leaf: jax.Array) -> jax.Array:
        """The same values in an array of their own."""
        made: jax.Array = jnp.array(leaf, copy=True)
        return made

    def fill(self, leaf: jax.Array, other: jax.Array) -> bool:  # noqa: ARG002 - torch's can
        """False: an array of JAX never changes."""
        return False

    def doubled(self, leaf: Any) -> Any:
        """A floating leaf in float64; to be called inside `float64_enabled`."""
        floating = isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jnp.floating)
        return jnp.asarray(np.asarray(leaf, dtype=np.float64)) if floating else leaf

    def float64(self, leaf: jax.Array) -> npt.NDArray[np.float64]:
        """The values of a leaf."""
        return np.array(leaf, dtype=np.float64)

    def dtype(self, leaf: jax.Array) -> str:
        """The dtype's neutral name."""
        return str(leaf.dtype)

    def fault(self, leaf: object) -> str:
        """Why a returned leaf is no array; "" where it is one."""
        if isinstance(leaf, jax.core.Tracer) or not isinstance(leaf, jax.Array):
            return f"it returned a {type(leaf).__name__}, no array"
        return ""

    def wait(self, tree: object) -> None:
        """Waits for the arrays of `tree`."""
        self._block(tree)

    def poison(self, shapes: Iterable[tuple[tuple[int, ...], str]]) -> None:
        """Nothing: XLA hands out no memory that it has not written."""

    def flush(self) -> None:
        """Writes more than the caches hold."""
        self._flush = self._add(self._flush)
        self._block(self._flush)

    def stopwatch(self, clock: Clock) -> Stopwatch:
        """Times calls that wait for their results."""
        return HostStopwatch(clock)

    def blocking(self, call: Callable[[], Any]) -> Callable[[], Any]:
        """`call`, and then the wait for what it returned."""
        block = self._block
        return lambda: block(call())

    def anchor(self, kind: str) -> Callable[[], object]:
        """A call of our own of one bound class: `memory` copies, anything else multiplies."""
        block = self._block
        if kind == "memory":
            source = jnp.ones(_ANCHOR_NUMBERS, dtype=jnp.float32)
            copy = jax.jit(lambda values: values + 1)
            return lambda: block(copy(source))
        one = jnp.ones((_ANCHOR_EDGE, _ANCHOR_EDGE), dtype=jnp.float32)
        product = jax.jit(jnp.matmul)
        return lambda: block(product(one, one))

    def with_gradient(self, call: Callable[..., Any]) -> Callable[..., Any]:
        """`call` and the gradients of its floating arguments, compiled together."""

        def forward_and_backward(*args: Any) -> Any:
            places = [i for i, a in enumerate(args) if jnp.issubdtype(a.dtype, jnp.floating)]

            def of_floating(*given: Any) -> Any:
                filled = list(args)
                for place, value in zip(places, given, strict=True):
                    filled[place] = value
                outputs = call(*filled)
                return outputs if isinstance(outputs, tuple | list) else (outputs,)

            outputs, pull = jax.vjp(of_floating, *(args[i] for i in places))
            weights = [_wave(o) for o in outputs]
            return (*outputs, *pull(type(outputs)(weights)))

        compiled: Callable[..., Any] = jax.jit(forward_and_backward)
        return compiled

    def tampered(self) -> Sequence[str]:
        """What of JAX's that timing rests on has been replaced."""
        return [] if jax.block_until_ready is self._block else ["jax.block_until_ready"]

    def between_cases(self) -> None:
        """Nothing: a compiled function of JAX keeps one program for each shape."""

    def forget_peak(self) -> None:
        """Starts to watch how much memory is in use at most, on a CPU."""
        if self.device == "cpu":
            self._host.forget()

    def peak_bytes(self) -> int | None:
        """Memory in use at most since then; None on a device: XLA tells it since the start."""
        return self._host.peak_bytes() if self.device == "cpu" else None


def _wave(like: Any) -> Any:
    wave = np.sin(np.arange(like.size, dtype=np.float64)).reshape(like.shape)
    return jnp.asarray(wave, dtype=like.dtype)


def float64_enabled() -> Any:
    """A context in which JAX computes in float64 what is given in it."""
    return jax.enable_x64(True)  # noqa: FBT003 - its only argument


def make() -> JaxValues:
    """For JAX's default device."""
    return JaxValues(jax.default_backend(), cache_of(identity()))
