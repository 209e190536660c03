"""JAX devices, dtypes and random operands by math mode. Imports jax only when one is made.

Values come from a generator of their own, so that the program's random numbers stay what they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from goodput_kernels.operands import RANDOM, SEED, ZEROS

if TYPE_CHECKING:
    import jax

_DTYPES = {
    "float64": ("float64", "float64"),
    "float32": ("float32", "float32"),
    "tf32": ("float32", "float32"),
    "bfloat16": ("bfloat16", "bfloat16"),
    "float16": ("float16", "float16"),
    "int8": ("int8", "int32"),
    "float8_e4m3": ("float8_e4m3fn", "bfloat16"),
}
"""By math mode: the dtype of the operands of a product, and of its result."""

MODES = tuple(_DTYPES)
"""The math modes that there are operands for."""

_PLATFORMS = {"hip": "rocm"}
# Fewer values are drawn than an array may have, and repeated. The number is prime, so that no two
# rows of a matrix start alike.
_DRAWN = 1_048_573


def installed() -> bool:
    """Whether jax can be imported; it is not."""
    return find_spec("jax") is not None


def device_of(kind: str) -> jax.Device:
    """The first local device of `kind` (`cpu`, `cuda`, `hip` or `tpu`).

    Raises:
        RuntimeError: there is none.
    """
    import jax

    return jax.local_devices(backend=_PLATFORMS.get(kind, kind))[0]


def dtype_of(mode: str) -> Any:
    """The dtype of operands in `mode`, one of `MODES`."""
    import jax.numpy as jnp

    return jnp.dtype(getattr(jnp, _DTYPES[mode][0]))


def result_dtype_of(mode: str) -> Any:
    """The dtype of a product in `mode`."""
    import jax.numpy as jnp

    return jnp.dtype(getattr(jnp, _DTYPES[mode][1]))


def random_array(
    shape: tuple[int, ...], mode: str, kind: str, number: int = 0, data: str = RANDOM
) -> jax.Array:
    """Standard-normal values (int8: uniform over its range), others for each `number`; or zeros."""
    import numpy as np

    generator = np.random.default_rng((SEED, number))
    drawn = (
        generator.integers(-127, 128, _DRAWN, np.int8)
        if mode == "int8"
        else generator.standard_normal(_DRAWN)
    )
    values = drawn.astype(dtype_of(mode))
    return _spread(values * 0 if data == ZEROS else values, shape, kind)


def positive_array(shape: tuple[int, ...], kind: str, number: int = 0) -> jax.Array:
    """Float32 values from 0.5 to 1.5: no denormals, and their sum cancels nothing."""
    import numpy as np

    drawn = np.random.default_rng((SEED, number)).uniform(0.5, 1.5, _DRAWN)
    return _spread(drawn.astype(np.float32), shape, kind)


def _spread(drawn: Any, shape: tuple[int, ...], kind: str) -> jax.Array:
    import jax
    import jax.numpy as jnp
    import numpy as np

    # XLA would compile a program for each shape: dear on a CPU, cheap beside a device's transfers.
    # The copy is jax's own memory, which a loop may use up without copying it each time.
    library: Any = np if kind == "cpu" else jnp
    with jax.default_device(device_of(kind)):
        return jnp.array(library.resize(drawn, shape))


def description(shape: tuple[int, ...], dtype: Any, sharding: Any = None) -> Any:
    """Shape, dtype and place of an array that need not exist."""
    import jax

    describe: Any = jax.ShapeDtypeStruct  # untyped in jax
    return describe(shape, dtype, sharding=sharding)


def poison(shape: tuple[int, ...], dtype: Any, kind: str) -> jax.Array:
    """What no kernel writes: NaN, or the most negative integer."""
    import jax
    import jax.numpy as jnp

    inexact = jnp.issubdtype(dtype, jnp.inexact)
    value = jnp.nan if inexact else -(2 ** (8 * dtype.itemsize - 1))
    with jax.default_device(device_of(kind)):
        return jnp.full(shape, value, dtype)


@contextmanager
def widest(mode: str) -> Iterator[None]:
    """Inside, jax has 64-bit types if `mode` is `float64`; else it is as it was."""
    import jax

    if mode != "float64":
        yield
        return
    with jax.enable_x64(True):  # noqa: FBT003 - its only argument
        yield
