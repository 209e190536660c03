"""Triton kernels of every kind, and launches of them to count: by their text, and interpreted."""

from dataclasses import dataclass, field
from typing import Any

import triton
import triton.language as tl


@triton.jit
def masked_product(  # noqa: PLR0913, PLR0917 - a kernel has no other way to be told
    a, b, c, m, n, k, stride_a, stride_b, stride_c,
    rows: tl.constexpr, columns: tl.constexpr, depth: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0) * rows + tl.arange(0, rows)
    column = tl.program_id(1) * columns + tl.arange(0, columns)
    inner = tl.arange(0, depth)
    a_at = a + row[:, None] * stride_a + inner[None, :]
    b_at = b + inner[:, None] * stride_b + column[None, :]
    total = tl.zeros((rows, columns), tl.float32)
    for start in range(tl.cdiv(k, depth)):
        left = k - start * depth
        x = tl.load(a_at, mask=(row[:, None] < m) & (inner[None, :] < left), other=0.0)
        y = tl.load(b_at, mask=(inner[:, None] < left) & (column[None, :] < n), other=0.0)
        total = tl.dot(x, y, total)
        a_at += depth
        b_at += depth * stride_b
    inside = (row[:, None] < m) & (column[None, :] < n)
    c_at = c + row[:, None] * stride_c + column[None, :]
    tl.store(c_at, total.to(c.dtype.element_ty), mask=inside)


@triton.jit
def wrapped_product(  # noqa: PLR0913, PLR0917 - a kernel has no other way to be told
    a, b, c, m, n, k,
    rows: tl.constexpr, columns: tl.constexpr, depth: tl.constexpr, group: tl.constexpr,
):  # fmt: skip
    pid = tl.program_id(0)
    tiles_m = tl.cdiv(m, rows)
    tiles_n = tl.cdiv(n, columns)
    per_group = group * tiles_n
    first = pid // per_group * group
    height = min(tiles_m - first, group)
    pid_m = first + (pid % per_group) % height
    pid_n = (pid % per_group) // height
    row = (pid_m * rows + tl.arange(0, rows)) % m
    column = (pid_n * columns + tl.arange(0, columns)) % n
    inner = tl.arange(0, depth)
    a_at = a + (row[:, None] * k + inner[None, :])
    b_at = b + (inner[:, None] * n + column[None, :])
    total = tl.zeros((rows, columns), tl.float32)
    for start in range(tl.cdiv(k, depth)):
        x = tl.load(a_at, mask=inner[None, :] < k - start * depth, other=0.0)
        y = tl.load(b_at, mask=inner[:, None] < k - start * depth, other=0.0)
        total = tl.dot(x, y, total)
        a_at += depth
        b_at += depth * n
    row = pid_m * rows + tl.arange(0, rows)
    column = pid_n * columns + tl.arange(0, columns)
    inside = (row[:, None] < m) & (column[None, :] < n)
    tl.store(c + n * row[:, None] + column[None, :], total.to(tl.float16), mask=inside)


@triton.jit
def persistent_product(  # noqa: PLR0913, PLR0917 - a kernel has no other way to be told
    a, b, c, m, n, k,
    rows: tl.constexpr, columns: tl.constexpr, depth: tl.constexpr,
):  # fmt: skip
    tiles_n = tl.cdiv(n, columns)
    tiles = tl.cdiv(m, rows) * tiles_n
    inner = tl.arange(0, depth)
    for tile in range(tl.program_id(0), tiles, tl.num_programs(0)):
        row = tile // tiles_n * rows + tl.arange(0, rows)
        column = tile % tiles_n * columns + tl.arange(0, columns)
        total = tl.zeros((rows, columns), tl.float32)
        for start in range(0, k, depth):
            at = start + inner
            x_in = (row[:, None] < m) & (at[None, :] < k)
            y_in = (at[:, None] < k) & (column[None, :] < n)
            x = tl.load(a + row[:, None] * k + at[None, :], mask=x_in, other=0.0)
            y = tl.load(b + at[:, None] * n + column[None, :], mask=y_in, other=0.0)
            total = tl.dot(x, y, total)
        inside = (row[:, None] < m) & (column[None, :] < n)
        tl.store(c + row[:, None] * n + column[None, :], total.to(tl.float16), mask=inside)


@triton.jit
def described_product(  # noqa: PLR0913, PLR0917 - a kernel has no other way to be told
    a, b, c, m, n, k,
    rows: tl.constexpr, columns: tl.constexpr, depth: tl.constexpr,
):  # fmt: skip
    left = tl.make_tensor_descriptor(a, [m, k], [k, 1], [rows, depth])
    right = tl.make_tensor_descriptor(b, [n, k], [k, 1], [columns, depth])
    result = tl.make_tensor_descriptor(c, [m, n], [n, 1], [rows, columns])
    row = tl.program_id(0) * rows
    column = tl.program_id(1) * columns
    total = tl.zeros((rows, columns), tl.float32)
    for start in range(0, k, depth):
        x = left.load([row, start])
        y = right.load([column, start])
        total = tl.dot(x, y.T, total)
    result.store([row, column], total.to(tl.float16))


@triton.jit
def split_product(  # noqa: PLR0913, PLR0917 - a kernel has no other way to be told
    a, b, c, m, n, k,
    rows: tl.constexpr, columns: tl.constexpr, depth: tl.constexpr, splits: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0) * rows + tl.arange(0, rows)
    column = tl.program_id(1) * columns + tl.arange(0, columns)
    inner = tl.program_id(2) * depth + tl.arange(0, depth)
    total = tl.zeros((rows, columns), tl.float32)
    for start in range(tl.cdiv(k, depth * splits)):
        at = inner + start * depth * splits
        x_in = (row[:, None] < m) & (at[None, :] < k)
        y_in = (at[:, None] < k) & (column[None, :] < n)
        x = tl.load(a + row[:, None] * k + at[None, :], mask=x_in, other=0.0)
        y = tl.load(b + at[:, None] * n + column[None, :], mask=y_in, other=0.0)
        total = tl.dot(x, y, total)
    inside = (row[:, None] < m) & (column[None, :] < n)
    tl.atomic_add(c + row[:, None] * n + column[None, :], total, mask=inside)


@triton.jit
def attention(  # noqa: PLR0913, PLR0917 - a kernel has no other way to be told
    q, k, v, out, tokens, scale,
    block_m: tl.constexpr, block_n: tl.constexpr, width: tl.constexpr,
):  # fmt: skip
    start = tl.program_id(0) * block_m
    base = tl.program_id(1).to(tl.int64) * tokens * width
    rows = start + tl.arange(0, block_m)
    lanes = tl.arange(0, width)
    keys = tl.arange(0, block_n)
    q_at = q + base + rows[:, None] * width + lanes[None, :]
    x = tl.load(q_at, mask=rows[:, None] < tokens, other=0.0)
    greatest = tl.full((block_m,), float("-inf"), tl.float32)
    sums = tl.zeros((block_m,), tl.float32)
    total = tl.zeros((block_m, width), tl.float32)
    for first in range(0, tl.minimum(start + block_m, tokens), block_n):
        at = first + keys
        k_at = k + base + at[None, :] * width + lanes[:, None]
        scores = tl.dot(x, tl.load(k_at, mask=at[None, :] < tokens, other=0.0))
        is_open = (rows[:, None] >= at[None, :]) & (at[None, :] < tokens)
        scores = tl.where(is_open, scores * scale, float("-inf"))
        new = tl.maximum(greatest, tl.max(scores, 1))
        p = tl.math.exp2(scores - new[:, None])
        fade = tl.math.exp2(greatest - new)
        sums = sums * fade + tl.sum(p, 1)
        total = total * fade[:, None]
        v_at = v + base + at[:, None] * width + lanes[None, :]
        y = tl.load(v_at, mask=at[:, None] < tokens, other=0.0)
        total = tl.dot(p.to(tl.float16), y, total)
        greatest = new
    total = total / sums[:, None]
    out_at = out + base + rows[:, None] * width + lanes[None, :]
    tl.store(out_at, total.to(tl.float16), mask=rows[:, None] < tokens)


@triton.jit
def softmax(x, y, rows, columns, block: tl.constexpr):
    for row in range(tl.program_id(0), rows, tl.num_programs(0)):
        at = tl.arange(0, block)
        inside = at < columns
        values = tl.load(x + row * columns + at, mask=inside, other=float("-inf"))
        powers = tl.exp(values - tl.max(values, 0))
        tl.store(y + row * columns + at, powers / tl.sum(powers, 0), mask=inside)


@triton.jit
def layer_norm(x, y, weight, bias, columns, eps, block: tl.constexpr):
    row = tl.program_id(0)
    total = tl.zeros((block,), tl.float32)
    for first in range(0, columns, block):
        at = first + tl.arange(0, block)
        total += tl.load(x + row * columns + at, mask=at < columns, other=0.0)
    mean = tl.sum(total, 0) / columns
    squares = tl.zeros((block,), tl.float32)
    for first in range(0, columns, block):
        at = first + tl.arange(0, block)
        values = tl.load(x + row * columns + at, mask=at < columns, other=0.0)
        centred = tl.where(at < columns, values - mean, 0.0)
        squares += centred * centred
    scale = tl.rsqrt(tl.sum(squares, 0) / columns + eps)
    for first in range(0, columns, block):
        at = first + tl.arange(0, block)
        inside = at < columns
        values = tl.load(x + row * columns + at, mask=inside, other=0.0)
        w = tl.load(weight + at, mask=inside)
        b = tl.load(bias + at, mask=inside)
        tl.store(y + row * columns + at, (values - mean) * scale * w + b, mask=inside)


@triton.jit
def dropout(x, y, size, p, seed, block: tl.constexpr):
    at = tl.program_id(0) * block + tl.arange(0, block)
    inside = at < size
    values = tl.load(x + at, mask=inside)
    kept = tl.rand(seed, at) > p
    tl.store(y + at, tl.where(kept, values / p, 0.0), mask=inside)


@triton.jit
def running_sum(x, y, rows, columns, block: tl.constexpr):
    row = tl.program_id(0)
    if row >= rows:
        return
    at = tl.arange(0, block)
    values = tl.load(x + row * columns + at, mask=at < columns, other=0.0)
    tl.store(y + row * columns + at, tl.cumsum(values, 0), mask=at < columns)


@triton.jit
def halving(x, y, size, block: tl.constexpr):
    at = tl.arange(0, block)
    length = size
    total = tl.zeros((block,), tl.float32)
    while length > tl.program_id(0):
        total += tl.load(x + at, mask=at < length, other=0.0)
        length = length // 2
    if tl.program_id(0) % 2 == 0:
        total = total * 2.0
    tl.store(y + tl.program_id(0) * block + at, total)


@triton.jit(noinline=True)
def scaled_sum(a, b, factor):
    return (a + b) * factor


@triton.jit
def nested(x, y, size, factor, block: tl.constexpr):  # noqa: ARG001 - all launches have one
    pid = tl.program_id(0)
    a = tl.load(x + pid)
    b = tl.load(x + size - 1 - pid)
    tl.store(y + pid, scaled_sum(a, b, factor))


@triton.jit
def transposed(x, y, rows, columns, block: tl.constexpr):
    row = tl.program_id(0) * block + tl.arange(0, block)
    column = tl.program_id(1) * block + tl.arange(0, block)
    inside = (row[:, None] < rows) & (column[None, :] < columns)
    values = tl.load(x + row[:, None] * columns + column[None, :], mask=inside)
    other = (column[:, None] < columns) & (row[None, :] < rows)
    tl.store(y + column[:, None] * rows + row[None, :], tl.trans(values), mask=other)


@triton.jit
def scaled_product(  # noqa: PLR0913, PLR0917 - a kernel has no other way to be told
    a, b, c, scale_a, scale_b, m, n, k,
    rows: tl.constexpr, columns: tl.constexpr, depth: tl.constexpr, packed: tl.constexpr,
    kind: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0) * rows + tl.arange(0, rows)
    column = tl.program_id(1) * columns + tl.arange(0, columns)
    inner = tl.arange(0, depth // packed)
    groups = tl.arange(0, depth // 32)
    total = tl.zeros((rows, columns), tl.float32)
    for start in range(0, k // packed, depth // packed):
        at = start + inner
        group = start * packed // 32 + groups
        x_in = (row[:, None] < m) & (at[None, :] < k // packed)
        y_in = (at[:, None] < k // packed) & (column[None, :] < n)
        x = tl.load(a + row[:, None] * (k // packed) + at[None, :], mask=x_in, other=0)
        y = tl.load(b + at[:, None] * n + column[None, :], mask=y_in, other=0)
        s_in = (row[:, None] < m) & (group[None, :] < k // 32)
        t_in = (column[:, None] < n) & (group[None, :] < k // 32)
        s = tl.load(scale_a + row[:, None] * (k // 32) + group[None, :], mask=s_in, other=0)
        t = tl.load(scale_b + column[:, None] * (k // 32) + group[None, :], mask=t_in, other=0)
        total = tl.dot_scaled(x, s, kind, y, t, kind, total)
    inside = (row[:, None] < m) & (column[None, :] < n)
    tl.store(c + row[:, None] * n + column[None, :], total, mask=inside)


@triton.jit
def blended(a, b):
    return a * 0.5 + b


@triton.jit
def custom_scan(x, y, rows, columns, block: tl.constexpr):
    row = tl.program_id(0)
    at = tl.arange(0, block)
    values = tl.load(x + row * columns + at, mask=at < columns, other=0.0)
    scanned = tl.associative_scan(values, 0, blended)
    tl.store(y + row * columns + at, scanned, mask=at < columns * (row < rows))


@triton.jit
def custom_reduction(x, y, rows, columns, block: tl.constexpr):
    row = tl.program_id(0)
    at = tl.arange(0, block)
    values = tl.load(x + row * columns + at, mask=at < columns, other=0.0)
    tl.store(y + row, tl.reduce(values, 0, blended) + tl.argmax(values, 0), mask=row < rows)


@triton.jit
def atomics(x, y, locks, size, block: tl.constexpr):
    at = tl.program_id(0) * block + tl.arange(0, block)
    values = tl.load(x + at, mask=at < size)
    tl.atomic_add(y + at % 7, values, mask=at < size)
    tl.atomic_max(locks + at % 5, at, mask=at < size)
    tl.atomic_xchg(locks + 5, 3)
    tl.atomic_cas(locks + 6 + tl.program_id(0), 0, 1)


@triton.jit
def faded_sum(a, b, factor):
    return (a + b) * factor


@triton.jit
def twice_faded(a, b, factor):
    for _ in range(2):
        a = faded_sum(a, b, factor)
    return a


@triton.jit
def loops_in_loops(x, y, size, factor, block: tl.constexpr):
    pid = tl.program_id(0)
    at = tl.arange(0, block)
    total = tl.zeros((block,), tl.float32)
    for outer in range(pid + 1):
        left = size
        while left > outer:
            total = twice_faded(total, tl.load(x + at, mask=at < left, other=0.0), factor)
            left = left // 3
            if left % 2 == 1:
                total = tl.exp2(total)
    tl.store(y + pid * block + at, total)


@triton.jit
def sorted_rows(x, y, rows, columns, block: tl.constexpr):
    row = tl.program_id(0)
    at = tl.arange(0, block)
    inside = at < columns * (row < rows)
    values = tl.load(x + row * columns + at, mask=inside, other=0.0)
    tl.store(y + row * block + at, tl.sort(values))


@triton.jit
def by_lengths(x, y, lengths, many, block: tl.constexpr):
    pid = tl.program_id(0)
    length = tl.load(lengths + pid) * (many * pid + 5)
    total = tl.zeros((block,), tl.float32)
    for first in range(0, length, block):
        at = first + tl.arange(0, block)
        total += tl.load(x + at, mask=at < length, other=0.0)
    left = length
    while left > 0:
        total = total * 2.0
        left -= 3 * tl.load(lengths + pid)
    tl.store(y + pid * block + tl.arange(0, block), total)


@triton.jit
def paged(x, y, table, pages, block: tl.constexpr):
    pid = tl.program_id(0)
    total = tl.zeros((block,), tl.float32)
    for page in range(pages):
        row = tl.load(table + pid * pages + page) * (pid + page)
        total += tl.load(x + row * block + tl.arange(0, block))
    tl.store(y + pid * block + tl.arange(0, block), total)


@dataclass(frozen=True)
class Launch:
    """A launch to count.

    Attributes:
        kernel: the Triton function.
        grid: programs.
        tensors: name of each tensor, with its dtype in torch's words and its elements.
        numbers: the other arguments, in order.
        constants: compile-time arguments.
    """

    kernel: Any
    grid: tuple[int, ...]
    tensors: dict[str, tuple[str, int]]
    numbers: dict[str, float]
    constants: dict[str, Any] = field(default_factory=dict)


def _product(kernel, m, n, k, tile, grid, result="float16", **constants):
    tensors = {"a": ("float16", m * k), "b": ("float16", k * n), "c": (result, m * n)}
    names = dict(zip(("rows", "columns", "depth"), tile, strict=True)) | constants
    numbers = {"m": m, "n": n, "k": k}
    if kernel is masked_product:
        numbers |= {"stride_a": k, "stride_b": n, "stride_c": n}
    return Launch(kernel, grid, tensors, numbers, names)


def _scaled(m, n, k, tile, grid, packed, kind):
    tensors = {"a": ("uint8", m * k // packed), "b": ("uint8", n * k // packed)}
    tensors |= {"c": ("float32", m * n)}
    tensors |= {"scale_a": ("uint8", m * k // 32), "scale_b": ("uint8", n * k // 32)}
    names = dict(zip(("rows", "columns", "depth"), tile, strict=True))
    constants = names | {"packed": packed, "kind": kind}
    return Launch(scaled_product, grid, tensors, {"m": m, "n": n, "k": k}, constants)


def _rows(kernel, grid, elements, numbers, block, more=()):
    tensors = dict.fromkeys(("x", "y", *more), ("float32", elements))
    return Launch(kernel, grid, tensors, numbers, {"block": block})


LAUNCHES = {
    "masked product": _product(masked_product, 200, 150, 100, (64, 64, 32), (4, 3)),
    "wrapped product": _product(wrapped_product, 200, 150, 100, (64, 64, 32), (12,), group=2),
    "persistent product": _product(persistent_product, 200, 150, 100, (64, 32, 32), (7,)),
    "described product": _product(described_product, 200, 152, 104, (64, 64, 32), (4, 3)),
    "split product": _product(
        split_product, 100, 70, 300, (32, 32, 32), (4, 3, 2), result="float32", splits=2
    ),
    "attention": Launch(
        attention,
        (4, 3),
        dict.fromkeys(("q", "k", "v", "out"), ("float16", 3 * 200 * 64)),
        {"tokens": 200, "scale": 0.18},
        {"block_m": 64, "block_n": 32, "width": 64},
    ),
    "softmax": _rows(softmax, (5,), 33_000, {"rows": 33, "columns": 1000}, 1024),
    "layer norm": _rows(
        layer_norm, (6,), 6 * 300, {"columns": 300, "eps": 1e-5}, 128, ("weight", "bias")
    ),
    "dropout": _rows(dropout, (8,), 1000, {"size": 1000, "p": 0.5, "seed": 7}, 128),
    "running sum": _rows(running_sum, (9,), 7 * 50, {"rows": 7, "columns": 50}, 64),
    "while": _rows(halving, (5,), 5 * 64, {"size": 50}, 64),
    "nested function": _rows(nested, (6,), 60, {"size": 60, "factor": 3.0}, 1),
    "transposed": _rows(transposed, (4, 3), 60 * 40, {"rows": 60, "columns": 40}, 16),
    "scaled product": _scaled(100, 70, 96, (64, 64, 64), (2, 2), 1, "e4m3"),
    "scaled product in four bits": _scaled(100, 70, 192, (64, 64, 128), (2, 2), 2, "e2m1"),
    "custom scan": _rows(custom_scan, (3,), 3 * 50, {"rows": 3, "columns": 50}, 64),
    "custom reduction": _rows(custom_reduction, (3,), 3 * 50, {"rows": 3, "columns": 50}, 64),
    "atomics": Launch(
        atomics,
        (5,),
        {"x": ("float32", 300), "y": ("float32", 300), "locks": ("int32", 16)},
        {"size": 300},
        {"block": 64},
    ),
    "loops in loops": _rows(loops_in_loops, (4,), 4 * 64, {"size": 50, "factor": 0.5}, 64),
    "sorted": _rows(sorted_rows, (3,), 3 * 64, {"rows": 3, "columns": 50}, 64),
}
"""What is told by the text and the arguments alone."""


def _by_values(kernel, numbers, many):
    tensors = {"x": ("float32", 64 * 64), "y": ("float32", 64 * 64), many: ("int32", 64)}
    return Launch(kernel, (5,), tensors, numbers, {"block": 16})


MEASURED = {
    "loops by lengths": _by_values(by_lengths, {"many": 20}, "lengths"),
    "pages by a table": _by_values(paged, {"pages": 6}, "table"),
}
"""What depends on the whole numbers that tensors hold: ones, all of them."""
