"""JAX's elementwise primitives: a table of what one output element costs, and its reader.

Operands have the output's shape already; see `pointwise` for what counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from goodput.formulas.lax_parameters import integer
from goodput.formulas.pointwise import elementwise
from goodput.formulas.registry import register
from goodput.work import Call, Work


@dataclass(frozen=True, slots=True)
class Row:
    """What one output element costs.

    Attributes:
        flops: vector FLOPs.
        special: special-function calls.
        complex_flops: FLOPs of a complex element, where it is not four times `flops`.
    """

    flops: int = 0
    special: int = 0
    complex_flops: int | None = None


FREE, ONE, SPECIAL = Row(), Row(1), Row(0, 1)

# fmt: off
_FREE = (
    "and", "clz", "complex", "convert_element_type", "eq", "eq_to", "ge", "gt", "imag",
    "is_finite", "le", "le_to", "lt", "lt_to", "mulhi", "ne", "nextafter", "not", "or",
    "population_count", "real", "reduce_precision", "select_n", "shift_left",
    "shift_right_arithmetic", "shift_right_logical", "sign", "xor",
)
_SPECIAL = (
    "acos", "acosh", "asin", "asinh", "atan", "atanh", "bessel_i0e", "bessel_i1e", "cbrt", "cos",
    "cosh", "digamma", "erf", "erf_inv", "erfc", "exp", "exp2", "expm1", "igamma",
    "igamma_grad_a", "igammac", "lgamma", "log", "log1p", "log2", "polygamma", "pow",
    "random_gamma", "random_gamma_grad", "regularized_incomplete_beta", "rsqrt", "sin", "sinh",
    "sqrt", "tan", "tanh", "zeta",
)
# fmt: on
ROWS: Mapping[str, Row] = {
    **dict.fromkeys(_FREE, FREE),
    **dict.fromkeys(_SPECIAL, SPECIAL),
    **dict.fromkeys(("ceil", "floor", "max", "min", "reciprocal", "round"), ONE),
    "abs": Row(1, complex_flops=3),
    "add": Row(1, complex_flops=2),
    "add_any": Row(1, complex_flops=2),
    "atan2": Row(1, 1),
    "clamp": Row(2),
    "conj": Row(0, complex_flops=1),
    "div": Row(1, complex_flops=11),
    "logistic": Row(3, 1),
    "mul": Row(1, complex_flops=6),
    "neg": Row(1, complex_flops=2),
    "one_minus_square": Row(2, complex_flops=7),
    "rem": Row(4),
    "square": Row(1, complex_flops=6),
    "sub": Row(1, complex_flops=2),
}
"""What each primitive costs; the same as its counterpart of torch."""


def _work(row: Row, call: Call) -> Work:
    """Work of one call; the arithmetic is in the dtype of its first tensor."""
    return elementwise(
        call.tensors,
        call.outputs,
        flops=row.flops,
        special=row.special,
        computed_in=call.tensors[0].dtype if call.tensors else None,
        complex_flops=row.complex_flops,
    )


@register("lax::integer_pow")
def _integer_pow(call: Call) -> Work:
    """A power by squaring: a product for each bit and each further one that is set; a division."""
    exponent = integer(call, "y", 1)
    size = abs(exponent)
    products = size.bit_length() - 1 + size.bit_count() - 1 if size else 0
    flops = products + (exponent < 0)
    return _work(Row(flops, complex_flops=6 * products + 11 * (exponent < 0)), call)


for _name, _row in ROWS.items():
    register(f"lax::{_name}")(partial(_work, _row))
