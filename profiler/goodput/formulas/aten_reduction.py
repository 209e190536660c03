"""PyTorch's reductions, scans, softmax and sorting."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial

from goodput.formulas.aten_pointwise import REAL, binary, foreach, row_work
from goodput.formulas.aten_recorded import (
    argument,
    axes,
    dtype,
    flag,
    formula,
    integer,
    tensor,
    tensor_list,
)
from goodput.formulas.pointwise import is_floating
from goodput.formulas.reduction import (
    reduced_shape,
    reduction,
    scan,
    softmax,
    softmax_backward,
)
from goodput.formulas.registry import Formula
from goodput.work import Argument, Call, TensorSpec, Work


@dataclass(frozen=True, slots=True)
class Row:
    """What a reduction costs.

    Attributes:
        flops: vector FLOPs per input element.
        output_flops: vector FLOPs per output element, added to that.
        special: special-function calls per input element.
        output_special: special-function calls per output element, added to that.
        dim: position of the dimensions in the schema; `keepdim` follows them.
        results: dtypes of the outputs: an empty one is the input's, `sum` makes integers int64,
            `float` makes them float32, `real` is the magnitude of complex ones.
        listed: an integer there is no dimension but a dtype: only lists are dimensions.
        typed: whether the schema has a dtype, behind `keepdim` or where no dimensions are.
    """

    flops: int = 0
    output_flops: int = 0
    special: int = 0
    output_special: int = 0
    dim: int = 1
    results: tuple[str, ...] = ("",)
    listed: bool = False
    typed: bool = False


EXTREME = Row(1, -1)

REDUCTIONS: Mapping[str, Row] = {
    "sum": Row(1, -1, results=("sum",), listed=True, typed=True),
    "nansum": Row(1, -1, results=("sum",), listed=True, typed=True),
    "mean": Row(1, listed=True, typed=True),
    "prod": Row(1, -1, results=("sum",), typed=True),
    "amax": EXTREME,
    "amin": EXTREME,
    "argmax": Row(1, -1, results=("int64",)),
    "argmin": Row(1, -1, results=("int64",)),
    "aminmax": Row(2, -2, results=("", "")),
    "_aminmax": Row(2, -2, results=("", "")),
    "_is_all_true": Row(results=("bool",)),
    "_is_any_true": Row(results=("bool",)),
    "any": Row(results=("bool",)),
    "all": Row(results=("bool",)),
    "count_nonzero": Row(results=("int64",)),
    "mode": Row(results=("", "int64")),
    "kthvalue": Row(dim=2, results=("", "int64")),
    # mean: n; subtract, square, sum, divide: 3 n
    "var": Row(4, results=("real",)),
    "std": Row(4, output_special=1, results=("real",)),
    "var_mean": Row(4, results=("real", "")),
    "std_mean": Row(4, output_special=1, results=("real", "")),
    "logsumexp": Row(3, -1, 1, 1, results=("float",)),
}


def dimensions(call: Call, row: Row, rank: int) -> tuple[int, ...]:
    """The dimensions that a call reduces; all of them where it names none."""
    value: Argument = argument(call, row.dim)
    if isinstance(value, bool) or (row.listed and not isinstance(value, tuple)):
        value = None  # `unbiased` of var(x, unbiased), `dtype` of sum(x, dtype)
    return axes(value, rank)


def keeps(call: Call, row: Row) -> bool:
    """Whether the reduced dimensions stay, with size 1; it changes no count but the shape."""
    return flag(call, row.dim + 1)


def result_dtype(source: str, result: str) -> str:
    """The dtype of an output; integers are summed in int64."""
    if result in ("sum", "float"):
        return source if is_floating(source) else {"sum": "int64", "float": "float32"}[result]
    return REAL.get(source, source) if result == "real" else result or source


def asked_dtype(call: Call, row: Row, default: str) -> str:
    """The dtype that a call asks for, if its schema has one."""
    if not row.typed:
        return default
    dims = argument(call, row.dim)
    alone = isinstance(dims, str) or (row.listed and isinstance(dims, int))
    return dtype(dims if alone else argument(call, row.dim + 2), default)


def reduce(row: Row, call: Call) -> Work:
    """The work of one reduction."""
    source = tensor(call, 0)
    dims = dimensions(call, row, len(source.shape))
    shape = reduced_shape(source.shape, dims, keep=keeps(call, row))
    kinds = (asked_dtype(call, row, result_dtype(source.dtype, name)) for name in row.results)
    outputs = tuple(TensorSpec(shape, kind) for kind in kinds)
    return reduction(
        source,
        outputs,
        flops=row.flops,
        output_flops=row.output_flops,
        special=row.special,
        output_special=row.output_special,
    )


def product(call: Call) -> Work:
    """A product: its integer is a dimension only where `keepdim` follows it, else a dtype."""
    row = REDUCTIONS["prod"]
    return reduce(row if len(call.inputs) > 2 else replace(row, listed=True), call)


def extreme(call: Call) -> Work:
    """A maximum or minimum: of a tensor, along a dimension with its indices, or of two tensors."""
    other = argument(call, 1)
    if isinstance(other, TensorSpec):
        return row_work(binary(1), call)
    if isinstance(other, int):
        return reduce(Row(1, -1, results=("", "int64")), call)
    return reduce(EXTREME, call)


def median(call: Call) -> Work:
    """A median: of a tensor, or along a dimension with its indices."""
    along = isinstance(argument(call, 1), int)
    return reduce(Row(results=("", "int64") if along else ("",)), call)


def norm_row(order: Argument, dim: int) -> Row:
    """What a vector norm of `order` costs: n absolute values or products, n - 1 adds, a root."""
    real = Row(2, -1, dim=dim, results=("real",), listed=True, typed=True)
    if order == 0:
        return replace(real, flops=1)
    if order in (1, float("inf"), float("-inf")):
        return real
    return replace(real, special=0 if order in (None, 2) else 1, output_special=1)


def vector_norm(call: Call) -> Work:
    """A vector norm (order 2 if the call does not say)."""
    return reduce(norm_row(argument(call, 1), 2), call)


def foreach_norm(call: Call, *, rooted: bool = True) -> Work:
    """A vector norm of every tensor of a list, or its power."""
    row = norm_row(argument(call, 1), 1)
    if not rooted:
        row = replace(row, output_special=0)
    total = Work()
    for item in tensor_list(call, 0):
        total += reduce(row, Call(call.name, (item, argument(call, 2))))
    return total


def foreach_extreme(call: Call) -> Work | None:
    """The maximum of every tensor of a list."""
    return foreach(lambda item: reduce(EXTREME, Call(item.name, item.inputs[:1])))(call)


def _size(source: TensorSpec, dim: int) -> int:
    return source.shape[dim] if source.shape else 1


def running(call: Call) -> Work:
    """A running sum or product along a dimension."""
    source = tensor(call, 0)
    kind = dtype(argument(call, 2), result_dtype(source.dtype, "sum"))
    return scan(source, (TensorSpec(source.shape, kind),), _size(source, integer(call, 1)))


def running_extreme(call: Call) -> Work:
    """A running maximum or minimum, with its indices."""
    source = tensor(call, 0)
    outputs = (TensorSpec(source.shape, source.dtype), TensorSpec(source.shape, "int64"))
    return scan(source, outputs, _size(source, integer(call, 1)))


def running_logsumexp(call: Call) -> Work:
    """A running log-sum-exp: `max + log1p(exp(-|a - b|))`, 4 FLOPs and 2 specials a step."""
    source = tensor(call, 0)
    size = _size(source, integer(call, 1))
    work = scan(source, (source,), size, flops=4)
    return work + Work(special=work.vector_flops // 2)


def forward_softmax(call: Call, *, logarithm: bool = False, dim: int = 1) -> Work:
    """A softmax; with `half_to_float`, or a dtype, it writes float32."""
    source, kind = tensor(call, 0), argument(call, dim + 1)
    wide = "float32" if kind is True else source.dtype
    out = TensorSpec(source.shape, wide if isinstance(kind, bool) else dtype(kind, wide))
    return softmax(source, out, _size(source, integer(call, dim)), logarithm=logarithm)


def log_softmax(call: Call) -> Work:
    """The logarithm of a softmax."""
    return forward_softmax(call, logarithm=True)


def masked_softmax(call: Call) -> Work:
    """A softmax of the elements that a mask leaves (counted in full), over the last dimension."""
    source, mask = tensor(call, 0), tensor(call, 1)
    dim = argument(call, 2)
    work = softmax(source, source, _size(source, dim if isinstance(dim, int) else -1))
    return work + Work(bytes_read=mask.bytes)


def backward_softmax(call: Call, *, logarithm: bool = False) -> Work:
    """The gradient of a softmax; it is written in the dtype of the softmax's input."""
    gradient, result = tensor(call, 0), tensor(call, 1)
    out = TensorSpec(result.shape, dtype(argument(call, 3), result.dtype))
    size = _size(result, integer(call, 2))
    return softmax_backward(gradient, result, out, size, logarithm=logarithm)


def backward_log_softmax(call: Call) -> Work:
    """The gradient of the logarithm of a softmax."""
    return backward_softmax(call, logarithm=True)


def backward_masked_softmax(call: Call) -> Work:
    """The gradient of a masked softmax."""
    gradient, result, mask = tensor(call, 0), tensor(call, 1), tensor(call, 2)
    dim = argument(call, 3)
    size = _size(result, dim if isinstance(dim, int) else -1)
    return softmax_backward(gradient, result, result, size) + Work(bytes_read=mask.bytes)


def sort(call: Call) -> Work:
    """Sorting: comparisons are 0 FLOPs; values and int64 indices are written."""
    source = tensor(call, 0)
    written = source.numel * (source.item_bytes + 8)
    return Work(bytes_read=source.bytes, bytes_written=written)


def topk(call: Call) -> Work:
    """The k largest of each row, with int64 indices; comparisons are 0 FLOPs."""
    source, kept = tensor(call, 0), integer(call, 1)
    dim = argument(call, 2)
    size = _size(source, dim if isinstance(dim, int) else -1)
    results = source.numel // size * kept if size else 0
    return Work(bytes_read=source.bytes, bytes_written=results * (source.item_bytes + 8))


def distance(call: Call) -> Work:
    """The norm of a difference."""
    source = tensor(call, 0)
    row = norm_row(argument(call, 2), 9)
    subtracted = Work(vector_flops=source.numel, bytes_read=tensor(call, 1).bytes)
    return reduce(row, Call(call.name, (source,))) + subtracted


def trace(call: Call) -> Work:
    """The sum of a diagonal."""
    source = tensor(call, 0)
    length = min(source.shape)
    return Work(
        vector_flops=max(0, length - 1) if is_floating(source.dtype) else 0,
        bytes_read=length * source.item_bytes,
        bytes_written=source.item_bytes,
    )


def _register(function: Formula, *names: str) -> None:
    formula(*(f"aten::{name}" for name in names))(function)


for _name, _row in REDUCTIONS.items():
    if _name != "prod":
        formula(f"aten::{_name}")(partial(reduce, _row))
_register(product, "prod")
_register(extreme, "max", "min")
_register(vector_norm, "linalg_vector_norm", "norm")
_register(foreach_norm, "_foreach_norm")
_register(partial(foreach_norm, rooted=False), "_foreach_powsum")
_register(median, "median", "nanmedian")
_register(foreach_extreme, "_foreach_max")
_register(running, "cumsum", "cumsum_", "cumprod", "cumprod_")
_register(running_extreme, "cummax", "cummin")
_register(running_logsumexp, "logcumsumexp", "_logcumsumexp")
_register(forward_softmax, "_softmax", "_safe_softmax")
_register(log_softmax, "_log_softmax")
_register(backward_softmax, "_softmax_backward_data")
_register(backward_log_softmax, "_log_softmax_backward_data")
_register(masked_softmax, "_masked_softmax")
_register(backward_masked_softmax, "_masked_softmax_backward")
_register(sort, "sort")
_register(topk, "topk")
_register(trace, "trace")
_register(distance, "dist")
