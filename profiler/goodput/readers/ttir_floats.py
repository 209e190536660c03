"""What arithmetic on floating-point numbers means: it is counted, and padding is followed.

A vector FLOP and a special function are what `goodput.formulas.pointwise` says they are.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Sequence

from goodput.readers.ttir_index import Mask, truth
from goodput.readers.ttir_machine import Handler, Machine, Value, agreed
from goodput.readers.ttir_products import Data, Source, joined, masked_sources
from goodput.readers.ttir_text import Operation

FLOPS = dict.fromkeys(
    [
        "arith.addf",
        "arith.subf",
        "arith.mulf",
        "arith.divf",
        "arith.remf",
        "arith.negf",
        "arith.maxnumf",
        "arith.minnumf",
        "arith.maximumf",
        "arith.minimumf",
        "math.absf",
        "math.floor",
        "math.ceil",
        "math.round",
        "math.roundeven",
        "math.trunc",
        "tt.precise_divf",
    ],
    1,
) | {"math.fma": 2, "tt.clampf": 2}
"""Vector FLOPs of an element."""

SPECIAL = frozenset(
    [
        "math.exp",
        "math.exp2",
        "math.expm1",
        "math.log",
        "math.log2",
        "math.log10",
        "math.log1p",
        "math.sqrt",
        "math.rsqrt",
        "math.cbrt",
        "math.sin",
        "math.cos",
        "math.tan",
        "math.asin",
        "math.acos",
        "math.atan",
        "math.atan2",
        "math.sinh",
        "math.cosh",
        "math.tanh",
        "math.erf",
        "math.erfc",
        "math.powf",
        "math.fpowi",
        "tt.precise_sqrt",
        "tt.extern_elementwise",
    ]
)
"""One call of a special function an element."""

_FREE = [
    "arith.truncf",
    "arith.extf",
    "arith.sitofp",
    "arith.uitofp",
    "arith.fptosi",
    "arith.fptoui",
    "tt.fp_to_fp",
    "tt.bitcast",
    "arith.bitcast",
    "math.copysign",
    "tt.mulhiui",
    "arith.mulsi_extended",
    "arith.mului_extended",
    "math.ctpop",
    "math.ctlz",
    "math.isnan",
    "math.isinf",
]


_SUMS = frozenset(
    {
        "arith.addf",
        "arith.subf",
        "arith.maxnumf",
        "arith.minnumf",
        "arith.maximumf",
        "arith.minimumf",
        "arith.addi",
        "arith.subi",
    }
)
"""Operations whose result is no padding where one operand alone is."""


def combined(op: Operation, values: Sequence[Value]) -> Data:
    """What an elementwise operation makes of its operands: padding where any of them is.

    A product of tiles stays needed where something is added to it that was not loaded there.
    """
    given = [value for value in values if isinstance(value, Data)]
    cause = next((value.cause for value in given if value.cause), op.name)
    bearers = [value for value in given if value.sources]
    adds = bool(bearers) and op.name in _SUMS
    mask: Mask | None = None
    for value in given:
        if value.sources or value.valid is None or (adds and not value.erases):
            continue
        mask = value.valid if mask is None else mask & value.valid
    sources: tuple[Source, ...] = ()
    for bearer in bearers:
        sources = joined(sources, masked_sources(bearer.sources, mask))
    own = bearers[0].valid if bearers else None
    for bearer in bearers[1:]:
        own = agreed(own, bearer.valid)
    if own is not None:
        mask = own if mask is None else own & mask
    return Data(cause, mask, sources, erases=any(value.erases for value in given))


_FLOAT_RELATIONS: dict[str, Callable[[float, float], bool]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "lt": operator.lt,
    "le": operator.le,
    "gt": operator.gt,
    "ge": operator.ge,
}


def _compare_floats(_: Machine, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    """A boolean that depends on data, unless both sides are numbers that were given."""
    found = re.search(r"arith\.cmpf [ou](\w\w),", op.text)
    sides = [value.constant for value in values if isinstance(value, Data)]
    one, other = (*sides, None, None)[:2]
    if found is not None and one is not None and other is not None:
        return (truth(_FLOAT_RELATIONS[found[1]](one, other), op.type.shape),)
    return (combined(op, values),)


def _elementwise(flops: int, special: int) -> Handler:
    def handle(machine: Machine, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
        kind = (op.gives or op.takes)[0]
        size = math.prod(kind.shape)
        if kind.is_float:
            machine.count(flops=flops * size, special=special * size)
        found = combined(op, values)
        return (found,) * max(1, len(op.results))

    return handle


HANDLERS: dict[str, Handler] = {name: _elementwise(flops, 0) for name, flops in FLOPS.items()}
HANDLERS |= {name: _elementwise(0, 1) for name in SPECIAL}
HANDLERS |= {name: _elementwise(0, 0) for name in _FREE}
HANDLERS["arith.cmpf"] = _compare_floats
