"""The code of Triton's matrix products: one program a unit, each walking over tiles of the result.

Says nothing of when which tile is right (`triton_tiles`), nor how it is launched (`triton_matmul`).
"""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def tile_position(
    tile: tl.tensor, tiles_m: tl.tensor, tiles_n: tl.tensor, group: tl.constexpr
) -> tuple[tl.tensor, tl.tensor]:
    """Row and column of a tile, counted down `group` rows before the next column begins."""
    per_group = group * tiles_n
    first = tile // per_group * group
    height = tl.minimum(tiles_m - first, group)
    inside = tile % per_group
    return first + inside % height, inside // height


@triton.jit
def pointer_kernel(  # noqa: PLR0913, PLR0917 - a kernel has no other way to be told
    left: tl.tensor,
    right: tl.tensor,
    result: tl.tensor,
    batch: tl.tensor,
    m: tl.tensor,
    n: tl.tensor,
    k: tl.tensor,
    programs: tl.constexpr,
    block_m: tl.constexpr,
    block_n: tl.constexpr,
    block_k: tl.constexpr,
    group: tl.constexpr,
    accumulator: tl.constexpr,
    precision: tl.constexpr,
    promote: tl.constexpr,
    widen: tl.constexpr,
) -> None:
    """The product, fetched by pointers; k is a multiple of `block_k`."""
    tiles_m = tl.cdiv(m, block_m)
    tiles_n = tl.cdiv(n, block_n)
    tiles = tiles_m * tiles_n
    steps = tl.arange(0, block_k)
    for tile in tl.range(tl.program_id(0), batch * tiles, programs):
        entry = (tile // tiles).to(tl.int64)
        row_tile, column_tile = tile_position(tile % tiles, tiles_m, tiles_n, group)
        rows = row_tile * block_m + tl.arange(0, block_m)
        columns = column_tile * block_n + tl.arange(0, block_n)
        # Rows past the end fetch row 0 and are not stored: no mask is needed in the loop.
        left_rows = tl.where(rows < m, rows, 0)
        right_rows = tl.where(columns < n, columns, 0)
        left_at = left + entry * m * k + left_rows[:, None].to(tl.int64) * k + steps[None, :]
        right_at = right + entry * n * k + right_rows[None, :].to(tl.int64) * k + steps[:, None]
        total = tl.zeros((block_m, block_n), accumulator)
        for _ in tl.range(0, k, block_k):
            a = tl.load(left_at)
            b = tl.load(right_at)
            if widen:
                a = a.to(tl.float32)
                b = b.to(tl.float32)
            total = tl.dot(
                a,
                b,
                total,
                input_precision=precision,
                max_num_imprecise_acc=promote,
                out_dtype=accumulator,
            )
            left_at += block_k
            right_at += block_k
        inside = (rows[:, None] < m) & (columns[None, :] < n)
        result_at = result + entry * m * n + rows[:, None].to(tl.int64) * n + columns[None, :]
        tl.store(result_at, total.to(result.dtype.element_ty), mask=inside)


@triton.jit
def descriptor_kernel(  # noqa: PLR0913, PLR0917 - a kernel has no other way to be told
    left: tl.tensor_descriptor,
    right: tl.tensor_descriptor,
    result: tl.tensor_descriptor,
    batch: tl.tensor,
    m: tl.tensor,
    n: tl.tensor,
    k: tl.tensor,
    programs: tl.constexpr,
    block_m: tl.constexpr,
    block_n: tl.constexpr,
    block_k: tl.constexpr,
    group: tl.constexpr,
    accumulator: tl.constexpr,
    precision: tl.constexpr,
    promote: tl.constexpr,
    widen: tl.constexpr,
    specialize: tl.constexpr,
    flatten: tl.constexpr,
    halves: tl.constexpr,
) -> None:
    """The product, fetched by descriptors of `[batch * m, k]`, `[batch * n, k]`, `[batch * m, n]`.

    In a batch, m and n are multiples of the tile, so that no tile reaches into the next matrix.
    """
    tiles_m = tl.cdiv(m, block_m)
    tiles_n = tl.cdiv(n, block_n)
    tiles = tiles_m * tiles_n
    for tile in tl.range(
        tl.program_id(0), batch * tiles, programs, flatten=flatten, warp_specialize=specialize
    ):
        entry = tile // tiles
        row_tile, column_tile = tile_position(tile % tiles, tiles_m, tiles_n, group)
        row = entry * m + row_tile * block_m
        column = column_tile * block_n
        total = tl.zeros((block_m, block_n), accumulator)
        for start in tl.range(0, k, block_k):
            a = left.load([row, start])
            b = right.load([entry * n + column, start])
            if widen:
                a = a.to(tl.float32)
                b = b.to(tl.float32)
            total = tl.dot(
                a,
                b.T,
                total,
                input_precision=precision,
                max_num_imprecise_acc=promote,
                out_dtype=accumulator,
            )
        if halves:
            pairs = tl.permute(tl.reshape(total, (block_m, 2, block_n // 2)), (0, 2, 1))
            first, second = tl.split(pairs)
            result.store([row, column], first.to(result.dtype))
            result.store([row, column + block_n // 2], second.to(result.dtype))
        else:
            result.store([row, column], total.to(result.dtype))
