"""What arithmetic on whole numbers and booleans means, and what constants are."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence

import numpy as np

from goodput.readers.ttir_floats import combined
from goodput.readers.ttir_index import (
    Array,
    Index,
    Mask,
    applied,
    constant,
    masked,
    truth,
)
from goodput.readers.ttir_machine import PURE, Handler, Machine, Value, agreed
from goodput.readers.ttir_products import Data, joined, masked_sources
from goodput.readers.ttir_text import Operation

_LOWEST = -1e4
"""What masks add to scores or put in their place, so that nothing is left of them."""


def numbers(value: Value) -> Index | None:
    """A value as whole numbers; None where it is data."""
    if isinstance(value, Index):
        return value
    if isinstance(value, Mask) and not value.hidden:
        return applied("number", (value,), lambda v: v.astype(np.int64))
    return None


def _whole(function: Callable[[Index, Index], Index]) -> Handler:
    """A handler of two whole numbers."""

    def handle(_: Machine, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
        if op.type.element == "i1":
            return (_boolean(op, values),)
        one, other = numbers(values[0]), numbers(values[1])
        if one is None or other is None:
            return (combined(op, values),)
        return (function(one, other),)

    return handle


def _applied(symbol: str, function: Callable[[Array, Array], Array]) -> Handler:
    return _whole(lambda a, b: applied(symbol, (a, b), function))


def _boolean(op: Operation, values: Sequence[Value]) -> Value:
    """The logic of booleans, two of them."""
    one, other = values
    if op.name in {"arith.andi", "arith.muli", "arith.minui"}:
        return _both(one, other)
    if isinstance(one, Mask) and isinstance(other, Mask):
        shape = one.shape or other.shape
        if op.name in {"arith.ori", "arith.maxui"}:
            return masked("or", (one, other), np.logical_or, shape)
        if op.name in {"arith.xori", "arith.addi", "arith.subi"}:
            return masked("xor", (one, other), np.logical_xor, shape)
    return combined(op, values)


def _both(one: Value, other: Value) -> Value:
    """The conjunction; a part that depends on data leaves where the other part lets it."""
    if isinstance(one, Data) and isinstance(other, Data):
        return Data(one.cause or other.cause, None, joined(one.sources, other.sources))
    if isinstance(one, Data):
        one, other = other, one
    if isinstance(other, Data):
        other.use()
    if not isinstance(one, Mask):
        return Data("arith.andi")
    if isinstance(other, Data):
        return one & Mask.everywhere(one.shape, other.cause or "data")
    return one & other if isinstance(other, Mask) else Data("arith.andi")


def _divided(one: Index, other: Index) -> Index:
    return applied("/", (one, other), _quotient)


def _quotient(a: Array, b: Array) -> Array:
    """Rounded towards zero, as the hardware does it."""
    safe = np.where(b == 0, 1, b)
    found: Array = (a - np.fmod(a, safe)) // safe
    return found


def _remainder(one: Index, other: Index) -> Index:
    """The remainder; of numbers that are below the divisor, these themselves."""
    if other.is_uniform and not other.fixed and not one.atoms:
        fixed = one.fixed.values()
        least = int(one.scalar.min()) + sum(int(array.min()) for array in fixed)
        most = int(one.scalar.max()) + sum(int(array.max()) for array in fixed)
        if least >= 0 and most < int(other.scalar[0]):
            return one
    return applied("%", (one, other), lambda a, b: np.fmod(a, np.where(b == 0, 1, b)))


_RELATIONS: dict[str, Callable[[Index, Index], Mask]] = {
    "lt": lambda a, b: (a - b).below_zero(),
    "le": lambda a, b: (a - b).plus(-1).below_zero(),
    "gt": lambda a, b: (b - a).below_zero(),
    "ge": lambda a, b: (b - a).plus(-1).below_zero(),
    "eq": lambda a, b: masked("==", (a, b), np.equal),
    "ne": lambda a, b: masked("!=", (a, b), np.not_equal),
}


def _compare(_: Machine, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    one, other = numbers(values[0]), numbers(values[1])
    if one is None or other is None:
        return (combined(op, values),)
    found = re.search(r"arith\.cmpi (\w+),", op.text)
    relation = found[1] if found else ""
    return (_RELATIONS[relation.lstrip("su") if len(relation) > 2 else relation](one, other),)


def _select(_: Machine, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    condition, one, other = values
    if isinstance(condition, Mask) and not condition.hidden:
        mask = condition.broadcast(op.takes[-1].shape)
        if isinstance(one, Data) and isinstance(other, Data):
            return (_chosen(mask, one, other),)
        if isinstance(one, Mask) and isinstance(other, Mask):
            return (masked("where", (mask, one, other), np.where),)
        first, second = numbers(one), numbers(other)
        if first is not None and second is not None:
            return (applied("where", (mask, first, second), np.where, first.shape),)
    return (combined(op, values),)


def _chosen(condition: Mask, one: Data, other: Data) -> Data:
    """Data where a mask lets it through, and a filler elsewhere, which is padding."""
    if _is_filler(other.constant) and not (_is_filler(one.constant) and one.constant):
        return _masked_data(condition, one)
    if _is_filler(one.constant):
        return _masked_data(~condition, other)
    valid = agreed(one.valid, other.valid)
    return Data(one.cause or other.cause, valid, joined(one.sources, other.sources))


def _is_filler(value: float | None) -> bool:
    """Whether it is zero, or so low that nothing of it is left behind an exponential."""
    return value is not None and (value == 0 or value <= _LOWEST)


def _masked_data(mask: Mask, data: Data) -> Data:
    valid = mask if data.valid is None else data.valid & mask
    return Data(data.cause, valid, masked_sources(data.sources, mask), erases=True)


def _constant(_: Machine, op: Operation, _values: Sequence[Value]) -> Sequence[Value]:
    found = re.match(r"arith\.constant (?:\{.*?\} )?(?:dense<(.*?)>|(\S+))(?: : |$)", op.text)
    text = (found[1] or found[2]) if found else ""
    shape = op.takes[0].shape if op.takes else ()
    if text in {"true", "false"}:
        return (truth(text == "true", shape),)
    if op.takes and op.takes[0].is_float:
        return (Data("arith.constant", constant=_float(text)),)
    if text.startswith("["):
        listed = np.array(re.findall(r"-?\d+", text), np.int64).reshape(shape)
        return (applied("listed", (constant(0, shape),), lambda _: listed[None]),)
    if op.takes and op.takes[0].element == "i1":
        return (truth(int(text) != 0, shape),)
    return (constant(int(text, 0), shape),)


def _float(text: str) -> float | None:
    """A floating-point number; None for one in a list, or given by bits that are not known."""
    if text.startswith("0x"):
        negative_infinities = {"0xFF800000", "0xFC00", "0xFF80", "0xFFF0000000000000"}
        return -math.inf if text in negative_infinities else None
    try:
        return float(text)
    except ValueError:
        return None


def _same(_: Machine, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    """Widened or narrowed whole numbers; a boolean becomes 0 or 1."""
    value = values[0]
    target = (op.gives or op.takes)[0].element
    if isinstance(value, Mask) and target != "i1":
        found = numbers(value)
        sign = -1 if op.name == "arith.extsi" else 1
        return (combined(op, values) if found is None else found.times(sign),)
    if isinstance(value, Index) and target == "i1":
        return (masked("odd", (value,), lambda v: v % 2 != 0),)
    return (value,)


def _bitcast(_: Machine, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    """Pointers and whole numbers stay what they are."""
    target = (op.gives or op.takes)[0]
    keeps = isinstance(values[0], Index) and not target.is_float
    return (values[0],) if keeps else (combined(op, values),)


def _absolute(_: Machine, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    value = numbers(values[0])
    return (combined(op, values) if value is None else applied("abs", (value,), np.abs),)


def _poison(_: Machine, op: Operation, _values: Sequence[Value]) -> Sequence[Value]:
    """Any value: nobody looks at it."""
    if op.type.is_float:
        return (Data("ub.poison", constant=0.0),)
    if op.type.element == "i1":
        return (truth(value=False, shape=op.type.shape),)
    return (constant(0, op.type.shape),)


def _shift(left: bool) -> Callable[[Array, Array], Array]:
    operation = np.left_shift if left else np.right_shift
    return lambda a, b: operation(a, np.clip(b, 0, 63))


def _floor(a: Index, b: Index) -> Index:
    return applied("floor", (a, b), lambda x, y: np.floor_divide(x, np.where(y == 0, 1, y)))


HANDLERS: dict[str, Handler] = {
    "arith.constant": _constant,
    "ub.poison": _poison,
    "arith.addi": _whole(lambda a, b: a + b),
    "arith.subi": _whole(lambda a, b: a - b),
    "arith.muli": _whole(lambda a, b: a * b),
    "arith.divsi": _whole(_divided),
    "arith.divui": _whole(_divided),
    "arith.ceildivsi": _whole(lambda a, b: -_floor(-a, b)),
    "arith.floordivsi": _whole(_floor),
    "arith.remsi": _whole(_remainder),
    "arith.remui": _whole(_remainder),
    "arith.minsi": _applied("min", np.minimum),
    "arith.minui": _applied("min", np.minimum),
    "arith.maxsi": _applied("max", np.maximum),
    "arith.maxui": _applied("max", np.maximum),
    "arith.andi": _applied("and", np.bitwise_and),
    "arith.ori": _applied("or", np.bitwise_or),
    "arith.xori": _applied("xor", np.bitwise_xor),
    "arith.shli": _applied("<<", _shift(left=True)),
    "arith.shrsi": _applied(">>", _shift(left=False)),
    "arith.shrui": _applied(">>", _shift(left=False)),
    "arith.cmpi": _compare,
    "arith.select": _select,
    "math.absi": _absolute,
    "arith.extsi": _same,
    "arith.extui": _same,
    "arith.trunci": _same,
    "arith.index_cast": _same,
    "arith.index_castui": _same,
    "tt.ptr_to_int": _same,
    "tt.int_to_ptr": _same,
}


HANDLERS |= {"tt.bitcast": _bitcast, "arith.bitcast": _bitcast}
PURE.update(HANDLERS)
