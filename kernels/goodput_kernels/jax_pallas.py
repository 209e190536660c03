"""Kernels in Pallas for TPU (Mosaic) and GPU (Triton): a matrix product, a pass over an array.

Both lower for their devices without one (jax 0.10.2); they have not been run on a device by us.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from goodput_kernels.jax_operands import description
from goodput_kernels.operands import item_bytes

if TYPE_CHECKING:
    import jax

LANES = 1024
"""Columns of the arrays that `elementwise` takes; rows come in eights."""

_SUBLANES = 8
_TPU = "tpu"
# Edges to choose from, the largest that divides the size. On a TPU two blocks of each operand and
# of the result, and one of sums, must fit 16 MB of vector memory: these take 7 to 12 MB.
_TPU_EDGES = (1024, 512, 256, 128)
_TPU_ROWS = 512
_TPU_FLOAT32_DEPTH = 512
_TPU_MODES = frozenset({"bfloat16", "float32", "int8", "float8_e4m3"})
# A tile of 128x128 on 4 warps fits the shared memory of every GPU of the datasheet.
_GPU_BLOCK = (128, 128, 32)
_GPU_MODES = frozenset({"bfloat16", "float16", "tf32"})
_GPU_WARPS = 4
_GPU_STAGES = {"cuda": 3, "hip": 2}
_COPY_ROWS = 256


def blocks(mode: str, size: tuple[int, int, int, int], kind: str) -> tuple[int, int, int] | None:
    """The `(m, n, k)` of a block for a product on a device of `kind`; None where it has no kernel.

    Args:
        mode: math mode.
        size: `(batch, m, n, k)`.
        kind: of the device.
    """
    batch, *sizes = size
    if batch != 1 or mode not in (_TPU_MODES if kind == _TPU else _GPU_MODES):
        return None
    if kind != _TPU:
        fits = all(whole % edge == 0 for whole, edge in zip(sizes, _GPU_BLOCK, strict=True))
        return _GPU_BLOCK if fits else None
    wide = item_bytes(mode) > 2
    limits = (_TPU_ROWS, _TPU_EDGES[0], _TPU_FLOAT32_DEPTH if wide else _TPU_EDGES[0])
    edges = [_edge(whole, limit) for whole, limit in zip(sizes, limits, strict=True)]
    return (edges[0], edges[1], edges[2]) if all(edges) else None


def _edge(whole: int, limit: int) -> int:
    return next((edge for edge in _TPU_EDGES if edge <= limit and whole % edge == 0), 0)


def matmul(
    left: jax.Array,
    right: jax.Array,
    dtype: Any,
    kind: str,
    block: tuple[int, int, int],
    precise: bool,
    interpret: bool = False,
) -> jax.Array:
    """The product `[m, k] x [k, n]` as `dtype`, summed in float32 or, of integers, in int32.

    Args:
        left: `[m, k]`; `block` divides its sizes.
        right: `[k, n]`; the same.
        dtype: of the result.
        kind: of the device.
        block: `(m, n, k)` of a block.
        precise: float32 as such, not as TF32 or bfloat16.
        interpret: run in Pallas's interpreter.
    """
    import jax.numpy as jnp
    from jax import lax

    sums = jnp.int32 if jnp.issubdtype(left.dtype, jnp.integer) else jnp.float32
    dot = functools.partial(
        lax.dot_general,
        dimension_numbers=(((1,), (0,)), ((), ())),
        precision=lax.Precision.HIGHEST if precise else lax.Precision.DEFAULT,
        preferred_element_type=sums,
    )
    make = _tpu_matmul if kind == _TPU else functools.partial(_gpu_matmul, kind)
    return make(left, right, dtype, sums, dot, block, interpret)


def _tpu_matmul(
    left: jax.Array,
    right: jax.Array,
    dtype: Any,
    sums: Any,
    dot: Callable[..., jax.Array],
    block: tuple[int, int, int],
    interpret: bool,
) -> jax.Array:
    """Blocks stream through vector memory; the grid's last dimension adds up one block of sums."""
    from jax.experimental import pallas as pl
    from jax.experimental.pallas import tpu as pltpu

    rows, columns, depth = block
    (m, k), n = left.shape, right.shape[1]
    kernel = pl.pallas_call(
        functools.partial(_add_block, dot, k // depth - 1),
        grid=(m // rows, n // columns, k // depth),
        in_specs=[
            pl.BlockSpec((rows, depth), lambda i, _, step: (i, step)),
            pl.BlockSpec((depth, columns), lambda _, j, step: (step, j)),
        ],
        out_specs=pl.BlockSpec((rows, columns), lambda i, j, _: (i, j)),
        out_shape=description((m, n), dtype),
        scratch_shapes=[pltpu.VMEM((rows, columns), sums)],
        compiler_params=pltpu.CompilerParams(
            dimension_semantics=("parallel", "parallel", "arbitrary")
        ),
        interpret=pltpu.InterpretParams() if interpret else False,
    )
    made: jax.Array = kernel(left, right)
    return made


def _add_block(
    dot: Callable[..., jax.Array], last: int, left: Any, right: Any, result: Any, total: Any
) -> None:
    import jax.numpy as jnp
    from jax.experimental import pallas as pl

    @pl.when(pl.program_id(2) == 0)
    def clear() -> None:
        total[...] = jnp.zeros_like(total)

    total[...] += dot(left[...], right[...])

    @pl.when(pl.program_id(2) == last)
    def write() -> None:
        result[...] = total[...].astype(result.dtype)


def _gpu_matmul(
    kind: str,
    left: jax.Array,
    right: jax.Array,
    dtype: Any,
    sums: Any,
    dot: Callable[..., jax.Array],
    block: tuple[int, int, int],
    interpret: bool,
) -> jax.Array:
    """One program makes one block of the result, in a loop over the inner dimension."""
    from jax.experimental import pallas as pl
    from jax.experimental.pallas import triton

    rows, columns, depth = block
    (m, k), n = left.shape, right.shape[1]
    kernel = pl.pallas_call(
        functools.partial(_sum_blocks, dot, depth, sums),
        grid=(m // rows, n // columns),
        in_specs=[
            pl.BlockSpec((rows, k), lambda i, _: (i, 0)),
            pl.BlockSpec((k, columns), lambda _, j: (0, j)),
        ],
        out_specs=pl.BlockSpec((rows, columns), lambda i, j: (i, j)),
        out_shape=description((m, n), dtype),
        compiler_params=triton.CompilerParams(num_warps=_GPU_WARPS, num_stages=_GPU_STAGES[kind]),
        interpret=interpret,
    )
    made: jax.Array = kernel(left, right)
    return made


def _sum_blocks(
    dot: Callable[..., jax.Array], depth: int, sums: Any, left: Any, right: Any, result: Any
) -> None:
    import jax.numpy as jnp
    from jax import lax
    from jax.experimental import pallas as pl

    def add(step: Any, total: jax.Array) -> jax.Array:
        inner = pl.ds(step * depth, depth)
        return total + dot(left[:, inner], right[inner, :])

    steps = left.shape[1] // depth
    total = lax.fori_loop(0, steps, add, jnp.zeros(result.shape, sums))
    result[...] = total.astype(result.dtype)


def elementwise(
    function: Callable[[jax.Array], jax.Array],
    operand: jax.Array,
    kind: str,
    rows: int = _COPY_ROWS,
    interpret: bool = False,
) -> jax.Array:
    """`function` of each block of `operand`, each read once and written once.

    Args:
        function: of a block, to one of the same shape and dtype.
        operand: `[rows, LANES]`, its rows a multiple of 8.
        kind: of the device.
        rows: of a block at most; halved until they divide the operand's.
        interpret: run in Pallas's interpreter.
    """
    from jax.experimental import pallas as pl
    from jax.experimental.pallas import tpu as pltpu
    from jax.experimental.pallas import triton

    height, width = operand.shape
    # A GPU's block is held in registers, so it is one row.
    tall = _rows(height, rows) if kind == _TPU else 1
    params: Any = (
        pltpu.CompilerParams(dimension_semantics=("parallel",))
        if kind == _TPU
        else triton.CompilerParams(num_warps=_GPU_WARPS, num_stages=1)
    )

    def kernel(source: Any, result: Any) -> None:
        result[...] = function(source[...])

    spec = pl.BlockSpec((tall, width), lambda i: (i, 0))
    made: jax.Array = pl.pallas_call(
        kernel,
        grid=(height // tall,),
        in_specs=[spec],
        out_specs=spec,
        out_shape=description(operand.shape, operand.dtype),
        compiler_params=params,
        interpret=interpret,
    )(operand)
    return made


def _rows(height: int, most: int) -> int:
    rows = most
    while rows > _SUBLANES and height % rows:
        rows //= 2
    return rows
