"""Elementwise work: shapes broadcast, dtypes promote, every output element costs the same.

A vector FLOP is one floating-point add, subtract, multiply, divide, negate, absolute value,
rounding, minimum or maximum. Comparisons, selections, sign tests and bit operations are 0, and so
is all arithmetic on integers and booleans: it moves bytes. One call of an elementary function that
is not one of those (exp, log, sin, tanh, erf, sqrt, rsqrt, a general power...) is one `special`;
what is composed of both counts both, e.g. a sigmoid `1 / (1 + exp(-x))` is 3 FLOPs and 1 special.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import zip_longest

from goodput.work import ITEM_BYTES, Argument, TensorSpec, Work

COMPLEX_FACTOR = 4
"""Real FLOPs per complex FLOP where nothing better is known: a complex multiply-add is 8."""

_BOOL, _INTEGER, _FLOAT, _COMPLEX = range(4)


def broadcast(shapes: Iterable[Sequence[int]]) -> tuple[int, ...]:
    """The shape that all of `shapes` expand to.

    Raises:
        ValueError: they do not fit each other.
    """
    result: list[int] = []
    for sizes in zip_longest(*(reversed(shape) for shape in shapes), fillvalue=1):
        wide = {size for size in sizes if size != 1}
        if len(wide) > 1:
            raise ValueError(f"sizes {sizes} do not broadcast")
        result.append(wide.pop() if wide else 1)
    return tuple(reversed(result))


def category(dtype: str) -> int:
    """0 for bool, 1 for integers, 2 for floating point (and unknown dtypes), 3 for complex."""
    if dtype == "bool":
        return _BOOL
    if dtype.startswith("complex"):
        return _COMPLEX
    return _INTEGER if dtype.lstrip("u").startswith("int") else _FLOAT


def is_floating(dtype: str) -> bool:
    """Whether arithmetic in `dtype` counts as FLOPs: floating point or complex."""
    return category(dtype) >= _FLOAT


def promote(operands: Iterable[Argument]) -> str:
    """The dtype that an operator computes in, by PyTorch's type promotion.

    Tensors with dimensions come first, then 0-dimensional ones, then Python numbers; a later group
    matters only where it is of a higher category.
    """
    wide: list[str] = []
    single: list[str] = []
    numbers: list[str] = []
    for operand in operands:
        if isinstance(operand, TensorSpec):
            (wide if operand.shape else single).append(operand.dtype)
        elif isinstance(operand, bool | int | float | complex):
            numbers.append(_number_dtype(operand))
    result = ""
    for group in (wide, single, numbers):
        best = _widest(group)
        if best and (not result or category(best) > category(result)):
            mixed = category(best) == _COMPLEX and category(result or best) == _FLOAT
            result = _complex_of(result) if mixed else best
    return result or "float32"


def _number_dtype(value: complex) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int):
        return "int64"
    return "float32" if isinstance(value, float) else "complex64"


def _complex_of(dtype: str) -> str:
    return "complex128" if dtype == "float64" else "complex64"


def _widest(dtypes: Sequence[str]) -> str:
    if not dtypes:
        return ""
    top = max(category(dtype) for dtype in dtypes)
    best = {dtype for dtype in dtypes if category(dtype) == top}
    if best == {"bfloat16", "float16"}:
        return "float32"  # neither holds the other
    if best == {"int8", "uint8"}:
        return "int16"
    if top == _COMPLEX and "float64" in dtypes:
        return "complex128"
    return max(best, key=lambda dtype: (ITEM_BYTES.get(dtype, 4), dtype))


def elementwise(
    operands: Sequence[TensorSpec],
    outputs: Sequence[TensorSpec],
    *,
    flops: int,
    special: int = 0,
    computed_in: str | None = None,
    complex_flops: int | None = None,
) -> Work:
    """Work of an operator that costs the same for each element of its first output.

    Args:
        operands: the tensors it reads, each once.
        outputs: the tensors it writes, each once.
        flops: vector FLOPs per element.
        special: special-function calls per element.
        computed_in: dtype of the arithmetic; that of the first output if not given.
        complex_flops: FLOPs per element of complex arithmetic, four times `flops` if not given.
    """
    elements = outputs[0].numel
    kind = category(computed_in or outputs[0].dtype)
    if kind == _COMPLEX:
        flops = COMPLEX_FACTOR * flops if complex_flops is None else complex_flops
    arithmetic = elements if kind >= _FLOAT else 0
    return Work(
        vector_flops=flops * arithmetic,
        special=special * arithmetic,
        bytes_read=sum(operand.bytes for operand in operands),
        bytes_written=sum(output.bytes for output in outputs),
    )
