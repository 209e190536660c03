"""PyTorch's elementwise arithmetic: a table of what one output element costs, and its reader.

A row serves the operator, its in-place form and its foreach form. See `pointwise` for what counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from goodput.formulas.aten_recorded import UnrecordedError, argument, formula, tensor
from goodput.formulas.pointwise import broadcast, elementwise, is_floating, promote
from goodput.formulas.registry import Formula
from goodput.work import Argument, Call, TensorSpec, Work


@dataclass(frozen=True, slots=True)
class Row:
    """What one output element costs.

    Attributes:
        at: positions of the operands in the schema; everything else is no operand.
        flops: vector FLOPs per output element.
        special: special-function calls per output element.
        result: dtype of the output: `same` as computed in, `float` (integers become float32),
            `real` (the magnitude of complex), `real_float`, `complex`, `bool`, `first` or `second`
            (that of the first operand, or of the others).
        scale: position of a factor that costs one more FLOP unless it is 1.
        complex_flops: FLOPs per complex element, where it is not four times `flops`.
        outputs: how many tensors of the output's shape it writes.
    """

    at: tuple[int, ...]
    flops: int = 0
    special: int = 0
    result: str = "same"
    scale: int | None = None
    complex_flops: int | None = None
    outputs: int = 1


def unary(flops: int, special: int = 0, result: str = "float") -> Row:
    """A row with one operand."""
    return Row((0,), flops, special, result)


def binary(flops: int, special: int = 0, result: str = "same") -> Row:
    """A row with two operands."""
    return Row((0, 1), flops, special, result)


REAL = {"complex64": "float32", "complex128": "float64"}
COMPARISON = Row((0, 1), result="bool")
TEST = Row((0,), result="bool")

ARITHMETIC: Mapping[str, Row] = {
    "abs": Row((0,), 1, result="real", complex_flops=3),
    "neg": Row((0,), 1, complex_flops=2),
    "ceil": unary(1, result="same"),
    "floor": unary(1, result="same"),
    "trunc": unary(1, result="same"),
    "round": unary(1, result="same"),
    "frac": unary(2, result="same"),
    "sign": unary(0, result="same"),
    "sgn": unary(0, result="same"),
    "nan_to_num": unary(0, result="same"),
    "deg2rad": unary(1),
    "rad2deg": unary(1),
    "reciprocal": unary(1),
    "exp": unary(0, 1),
    "exp2": unary(0, 1),
    "expm1": unary(0, 1),
    "log": unary(0, 1),
    "log2": unary(0, 1),
    "log10": unary(0, 1),
    "log1p": unary(0, 1),
    "sqrt": unary(0, 1),
    "rsqrt": unary(0, 1),
    "sin": unary(0, 1),
    "cos": unary(0, 1),
    "tan": unary(0, 1),
    "asin": unary(0, 1),
    "acos": unary(0, 1),
    "atan": unary(0, 1),
    "sinh": unary(0, 1),
    "cosh": unary(0, 1),
    "tanh": unary(0, 1),
    "asinh": unary(0, 1),
    "acosh": unary(0, 1),
    "atanh": unary(0, 1),
    "erf": unary(0, 1),
    "erfc": unary(0, 1),
    "erfinv": unary(0, 1),
    "lgamma": unary(0, 1),
    "digamma": unary(0, 1),
    "i0": unary(0, 1),
    "sinc": unary(2, 1),
    "sigmoid": unary(3, 1),
    "logit": unary(2, 1),
    "add": Row((0, 1), 1, scale=2, complex_flops=2),
    "sub": Row((0, 1), 1, scale=2, complex_flops=2),
    "mul": Row((0, 1), 1, complex_flops=6),
    "floor_divide": binary(2),
    "remainder": binary(4),
    "fmod": binary(4),
    "hypot": binary(3, 1),
    "atan2": binary(1, 1, "float"),
    "xlogy": binary(1, 1, "float"),
    "ldexp": binary(1, 0, "float"),
    "copysign": binary(0, 0, "float"),
    "heaviside": binary(0),
    "nextafter": binary(0),
    "igamma": binary(0, 1),
    "igammac": binary(0, 1),
    "gcd": binary(0),
    "lcm": binary(0),
    "clamp_min": binary(1),
    "clamp_max": binary(1),
    "bitwise_and": binary(0),
    "bitwise_or": binary(0),
    "bitwise_xor": binary(0),
    "bitwise_not": unary(0, result="same"),
    "bitwise_left_shift": binary(0),
    "bitwise_right_shift": binary(0),
    "logical_and": COMPARISON,
    "logical_or": COMPARISON,
    "logical_xor": COMPARISON,
    "logical_not": TEST,
    "eq": COMPARISON,
    "ne": COMPARISON,
    "lt": COMPARISON,
    "le": COMPARISON,
    "gt": COMPARISON,
    "ge": COMPARISON,
    "addcmul": Row((0, 1, 2), 2, scale=3, complex_flops=8),
    "addcdiv": Row((0, 1, 2), 2, scale=3),
    "lerp": Row((0, 1, 2), 3, complex_flops=10),
    "masked_fill": Row((0, 1, 2), result="first"),
}
"""Operators that have an in-place form, spelled with a trailing underscore."""

OUT_OF_PLACE: Mapping[str, Row] = {
    "_conj_physical": Row((0,), 1, complex_flops=1),
    "conj_physical_": Row((0,), 1, complex_flops=1),
    "rsub": Row((0, 1), 1, scale=2, complex_flops=2),
    "maximum": binary(1),
    "minimum": binary(1),
    "fmax": binary(1),
    "fmin": binary(1),
    "logaddexp": binary(4, 2),
    "logaddexp2": binary(4, 2),
    "angle": Row((0,), 0, 1, "real_float"),
    "isnan": TEST,
    "isinf": TEST,
    "isposinf": TEST,
    "isneginf": TEST,
    "signbit": TEST,
    "where": Row((0, 1, 2), result="second"),
    "complex": Row((0, 1), result="complex"),
    "polar": Row((0, 1), 2, 2, result="complex"),
    "linalg_cross": binary(3),
    "polygamma": Row((1,), 0, 1, "float"),
    "polygamma_": Row((0,), 0, 1, "float"),
    "special_entr": unary(2, 1),
    "special_erfcx": unary(0, 1),
    "special_bessel_j0": unary(0, 1),
    "special_bessel_j1": unary(0, 1),
    "special_i0e": unary(0, 1),
    "special_i1": unary(0, 1),
    "special_i1e": unary(0, 1),
    "special_log_ndtr": unary(0, 1),
    "special_ndtri": unary(0, 1),
    "special_xlog1py": binary(1, 1, "float"),
    "special_zeta": binary(0, 1, "float"),
}

# fmt: off
FOREACH = frozenset(
    {
        "abs", "acos", "add", "addcdiv", "addcmul", "asin", "atan", "ceil", "clamp_max",
        "clamp_min", "cos", "cosh", "div", "erf", "erfc", "exp", "expm1", "floor", "frac",
        "lerp", "lgamma", "log", "log10", "log1p", "log2", "maximum", "minimum", "mul",
        "neg", "pow", "reciprocal", "round", "rsqrt", "sigmoid", "sign", "sin", "sinh",
        "sqrt", "sub", "tan", "tanh", "trunc"
    }
)
# fmt: on
"""Names that also exist as `_foreach_<name>` and `_foreach_<name>_`, over lists of tensors."""

POWERS: Mapping[object, Row] = {
    0: binary(0),
    1: binary(0),
    2: binary(1),
    3: binary(2),
    -1: binary(1, 0, "float"),
    -2: binary(2, 0, "float"),
}
"""Exponents that need no special function: they are products (a square is one) and a division."""


def result_dtype(row: Row, operands: tuple[Argument, ...], computed: str) -> str:
    """The dtype that an operator of `row` writes when it computes in `computed`."""
    first = operands[0]
    if row.result == "first" and isinstance(first, TensorSpec):
        return first.dtype
    if row.result == "second":
        return promote(operands[1:])
    if "float" in row.result and not is_floating(computed):
        return "float32"
    fixed = {
        "bool": "bool",
        "real": REAL.get(computed, computed),
        "real_float": REAL.get(computed, computed),
        "complex": "complex128" if computed == "float64" else "complex64",
    }
    return fixed.get(row.result, computed)


def row_work(row: Row, call: Call, *, inplace: bool = False) -> Work:
    """The work of one call of an operator whose cost per element is `row`.

    Raises:
        UnrecordedError: the call has no tensor among the operands.
    """
    operands = tuple(argument(call, position) for position in row.at)
    tensors = tuple(operand for operand in operands if isinstance(operand, TensorSpec))
    if not tensors or (inplace and tensors[0] is not operands[0]):
        raise UnrecordedError
    computed = promote(operands)
    written = result_dtype(row, operands, computed)
    if "float" in row.result and not is_floating(computed):
        computed = written
    out = tensors[0] if inplace else TensorSpec(broadcast(t.shape for t in tensors), written)
    scaled = int(row.scale is not None and argument(call, row.scale) not in (None, 1))
    return elementwise(
        tensors,
        (out,) * row.outputs,
        flops=row.flops + scaled,
        special=row.special,
        computed_in=computed,
        complex_flops=None if row.complex_flops is None else row.complex_flops + 6 * scaled,
    )


def row_formula(row: Row, *, inplace: bool = False) -> Formula:
    """The formula that counts by `row`."""
    return lambda call: row_work(row, call, inplace=inplace)


def register_rows(rows: Mapping[str, Row], *, inplace: bool = False) -> None:
    """Makes every row the formula of its aten operator, and of the in-place form if asked."""
    for name, row in rows.items():
        formula(f"aten::{name}")(row_formula(row))
        if inplace:
            formula(f"aten::{name}_")(row_formula(row, inplace=True))


def power(call: Call, *, inplace: bool = False) -> Work:
    """A power: products for small whole exponents, else one special per element."""
    exponent = argument(call, 1)
    if isinstance(exponent, int | float) and exponent in POWERS:
        return row_work(POWERS[exponent], call, inplace=inplace)
    return row_work(binary(0, 1), call, inplace=inplace)


def clamp(call: Call, *, inplace: bool = False) -> Work:
    """A clamp: one minimum or maximum for each bound there is."""
    bounds = sum(argument(call, position) is not None for position in (1, 2))
    return row_work(Row((0, 1, 2), bounds), call, inplace=inplace)


def division(call: Call, *, inplace: bool = False) -> Work:
    """A division; rounding it is one FLOP more and keeps integers."""
    rounded = isinstance(argument(call, 2), str)
    row = Row((0, 1), 2) if rounded else Row((0, 1), 1, result="float", complex_flops=11)
    return row_work(row, call, inplace=inplace)


FUNCTIONS = {"pow": power, "clamp": clamp, "div": division}
"""Operators whose cost depends on their numbers; they have in-place forms."""


def forms(name: str) -> tuple[Formula, Formula]:
    """The formulas of an operator and of its in-place form."""
    if name in FUNCTIONS:
        return FUNCTIONS[name], partial(FUNCTIONS[name], inplace=True)
    row = ARITHMETIC.get(name) or OUT_OF_PLACE[name]
    return row_formula(row), row_formula(row, inplace=True)


def equal(call: Call) -> Work:
    """Whether two tensors are equal: both are read, one truth value is written."""
    return Work(bytes_read=tensor(call, 0).bytes + tensor(call, 1).bytes, bytes_written=1)


def foreach(single: Formula) -> Formula:
    """The formula of an operator over lists: that of `single`, summed over their items."""

    def summed(call: Call) -> Work | None:
        lists = [item for item in call.inputs if isinstance(item, tuple) and item]
        specs = [item for item in lists if isinstance(item[0], TensorSpec)]
        if not specs:
            raise UnrecordedError  # Kineto writes lists of more than 30 tensors as empty
        total = Work()
        for index in range(len(specs[0])):
            work = single(Call(call.name, tuple(_item(value, index) for value in call.inputs)))
            if work is None:
                return None
            total += work
        return total

    return summed


def _item(value: Argument, index: int) -> Argument:
    if not isinstance(value, tuple):
        return value
    return value[index] if index < len(value) else None


register_rows(ARITHMETIC, inplace=True)
register_rows(OUT_OF_PLACE)
for _name, _function in FUNCTIONS.items():
    formula(f"aten::{_name}")(_function)
    formula(f"aten::{_name}_")(partial(_function, inplace=True))
for _name in FOREACH:
    _plain, _inplace = forms(_name)
    formula(f"aten::_foreach_{_name}")(foreach(_plain))
    formula(f"aten::_foreach_{_name}_")(foreach(_inplace))
formula("aten::equal")(equal)
