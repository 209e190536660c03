"""HLO instructions as calls of JAX's primitives: one formula serves both. Counts nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from goodput.readers.hlo import Computation, Instruction, Program
from goodput.work import Call, TensorSpec

# fmt: off
_SAME = (
    "abs", "add", "and", "atan2", "cbrt", "ceil", "cholesky", "clamp", "complex", "copy", "cosh",
    "erf", "fft", "floor", "gather", "imag", "iota", "log", "logistic", "not", "or", "pad", "real",
    "reshape", "rsqrt", "scatter", "sign", "sinh", "slice", "sort", "sqrt", "tan", "tanh",
    "transpose", "xor", "acos", "acosh", "asin", "asinh", "atan", "atanh",
)
# fmt: on
_PRIMITIVES: Mapping[str, str] = {
    **{name: name for name in _SAME},
    "bitcast": "reshape",
    "bitcast-convert": "bitcast_convert_type",
    "broadcast": "broadcast_in_dim",
    "compare": "eq",
    "concatenate": "concatenate",
    "convert": "convert_element_type",
    "convolution": "conv_general_dilated",
    "cosine": "cos",
    "count-leading-zeros": "clz",
    "divide": "div",
    "dot": "dot_general",
    "dynamic-slice": "dynamic_slice",
    "dynamic-update-slice": "dynamic_update_slice",
    "exponential": "exp",
    "exponential-minus-one": "expm1",
    "is-finite": "is_finite",
    "log-plus-one": "log1p",
    "maximum": "max",
    "minimum": "min",
    "multiply": "mul",
    "negate": "neg",
    "popcnt": "population_count",
    "power": "pow",
    "ragged-dot": "ragged_dot_general",
    "reduce-precision": "reduce_precision",
    "remainder": "rem",
    "reverse": "rev",
    "rng": "rng_uniform",
    "rng-bit-generator": "rng_bit_generator",
    "round-nearest-afz": "round",
    "round-nearest-even": "round",
    "select": "select_n",
    "shift-left": "shift_left",
    "shift-right-arithmetic": "shift_right_arithmetic",
    "shift-right-logical": "shift_right_logical",
    "sine": "sin",
    "subtract": "sub",
    "topk": "top_k",
    "triangular-solve": "triangular_solve",
}

NOTHING = frozenset(
    {
        *("after-all", "bitcast", "constant", "copy-done", "domain", "get-tuple-element"),
        *("opt-barrier", "optimization-barrier", "parameter", "partition-id", "replica-id"),
        *("rng-get-and-update-state", "tuple", "add-dependency", "all-reduce-done"),
        *("all-gather-done", "collective-permute-done", "async-done", "send-done", "recv-done"),
    }
)
"""Opcodes that do nothing on a device, or end what another began."""

COLLECTIVES = (
    "all-gather",
    "all-reduce",
    "all-to-all",
    "collective-broadcast",
    "collective-permute",
    "ragged-all-to-all",
    "reduce-scatter",
)
"""Opcodes of communication; some stand as `-start` and `-done` too."""

CONTAINERS = frozenset({"while", "conditional", "call", "async-start"})
"""Opcodes whose time is that of the instructions in what they call."""

FUSIONS = frozenset({"fusion", "map"})

_REDUCTIONS = {"add": "sum", "multiply": "prod", "maximum": "max", "minimum": "min"}

# What the libraries' names contain, the first that fits.
_TARGETS: tuple[tuple[str, str], ...] = (
    ("$gemm", "dot_general"),
    ("$lt$matmul", "dot_general"),
    ("__onednn$matmul", "dot_general"),
    ("conv", "conv_general_dilated"),
    ("potrf", "cholesky"),
    ("cholesky", "cholesky"),
    ("trsm", "triangular_solve"),
    ("getrf", "lu"),
    ("geqrf", "geqrf"),
    ("syevd", "eigh"),
    ("heevd", "eigh"),
    ("gesdd", "svd"),
    ("gesvd", "svd"),
    ("TopK", "top_k"),
)
_ATTENTION, _BACKWARD, _BIASED = "__cudnn$fmha", "Backward", "Bias"
_Roles = Callable[[TensorSpec, TensorSpec, TensorSpec], tuple[TensorSpec, TensorSpec, TensorSpec]]

# Image, weight and output of the forward convolution, among two operands and the result.
_GRADIENTS: Mapping[str, _Roles] = {
    "convBackwardInput": lambda first, second, out: (out, second, first),
    "convBackwardFilter": lambda first, second, out: (first, out, second),
}


def call_of(
    instruction: Instruction, place: Computation, program: Program, *, tf32: bool = False
) -> Call | None:
    """The primitive that `instruction` is; None for an opcode or a library that is not known.

    Args:
        instruction: not a fusion, and not one of `CONTAINERS`.
        place: the computation it stands in.
        program: the whole module.
        tf32: whether float32 products for which no more precision was asked run as TF32, as XLA
            has them on NVIDIA devices.
    """
    inputs = tuple(
        spec for name in instruction.operands for spec in place.instructions[name].outputs
    )
    if instruction.opcode == "custom-call":
        return _library_call(instruction, inputs, tf32=tf32)
    name = _PRIMITIVES.get(instruction.opcode) or _reduction(instruction, program)
    if not name:
        return None
    return Call(f"lax::{name}", inputs, instruction.outputs, _attributes(instruction, tf32=tf32))


def _attributes(instruction: Instruction, *, tf32: bool) -> dict[str, object]:
    found = dict(instruction.parameters)
    return {**found, "tf32": True} if found.pop("default_precision", False) and tf32 else found


def _reduction(instruction: Instruction, program: Program) -> str:
    """JAX's name of a reduction, which HLO tells by the computation that it applies."""
    kind = {"reduce": "reduce", "reduce-window": "reduce_window"}.get(instruction.opcode)
    if kind is None:
        return "select_and_scatter_add" if instruction.opcode == "select-and-scatter" else ""
    opcode = next(iter(program.called(instruction))).result.opcode
    return f"{kind}_{_REDUCTIONS.get(opcode, 'max')}"


def _library_call(
    instruction: Instruction, inputs: tuple[TensorSpec, ...], *, tf32: bool
) -> Call | None:
    """A library's kernel by its own configuration."""
    if instruction.target.startswith(_ATTENTION):
        return _attention(instruction, inputs)
    name = next((to for part, to in _TARGETS if part in instruction.target), "")
    attributes = _attributes(instruction, tf32=tf32)
    outputs = instruction.outputs[:1]
    if name == "dot_general":
        numbers = _gemm_numbers(instruction, inputs)
        if numbers is None:
            return None
        attributes["dimension_numbers"] = numbers
    elif name == "conv_general_dilated":
        if "window_strides" not in attributes:
            return None
        inputs, outputs = _convolved(instruction.target, inputs, outputs)
    return Call(f"lax::{name}", inputs, outputs, attributes) if name else None


def _attention(instruction: Instruction, inputs: tuple[TensorSpec, ...]) -> Call | None:
    """Fused attention of cuDNN: query, key and value come first in either layout."""
    config = instruction.config.get("cudnn_fmha_backend_config")
    if not isinstance(config, dict) or len(inputs) < len(("query", "key", "value")):
        return None
    scores = config.get("intermediate_tensor_shape", {}).get("dimensions", ())
    batch, heads, tokens, _ = (int(size) for size in scores) if len(scores) == 4 else (0,) * 4
    if inputs[0].shape[:3] not in ((batch, heads, tokens), (batch, tokens, heads)):
        return None
    attributes: dict[str, object] = {
        "layout": int(inputs[0].shape[:3] == (batch, heads, tokens)),
        "mask_type": config.get("mask_type", ""),
        "sliding_window_length": int(config.get("sliding_window_length") or 0),
        "is_paged_attention": bool(config.get("is_paged_attention")),
        "biased": _BIASED in instruction.target,
    }
    way = "bwd" if _BACKWARD in instruction.target else "fwd"
    name = f"lax::dot_product_attention_{way}"
    return Call(name, inputs, instruction.outputs[:-1], attributes)  # the last is scratch


def _gemm_numbers(
    instruction: Instruction, inputs: tuple[TensorSpec, ...]
) -> tuple[tuple[tuple[int, ...], ...], ...] | None:
    config = instruction.config.get("gemm_backend_config", instruction.config)
    found = config.get("dot_dimension_numbers") if isinstance(config, dict) else None
    if isinstance(found, dict):
        dims = {
            name: tuple(int(dim) for dim in found.get(f"{name}_dimensions", ()))
            for name in ("lhs_contracting", "rhs_contracting", "lhs_batch", "rhs_batch")
        }
        return (
            (dims["lhs_contracting"], dims["rhs_contracting"]),
            (dims["lhs_batch"], dims["rhs_batch"]),
        )
    return _onednn_numbers(instruction, inputs)


def _onednn_numbers(
    instruction: Instruction, inputs: tuple[TensorSpec, ...]
) -> tuple[tuple[tuple[int, ...], ...], ...] | None:
    """A product of the last two dimensions, either of whose operands may stand transposed."""
    config = instruction.config.get("onednn_matmul_config", {})
    packed = config.get("optimization_config", {}).get("weights_prepacked")
    # Packed weights have a shape of the library's own, and a reordering of them is no product.
    if instruction.target != "__onednn$matmul" or packed or len(inputs) < 2:
        return None
    left, right = (len(spec.shape) for spec in inputs[:2])
    batch = tuple(range(min(left, right) - 2))
    turned = config.get("transpose_a"), config.get("transpose_b")
    contracted = (left - (2 if turned[0] else 1),), (right - (1 if turned[1] else 2),)
    return contracted, (batch, batch)


def _convolved(
    target: str, inputs: tuple[TensorSpec, ...], outputs: tuple[TensorSpec, ...]
) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
    """Image, weight and output of the forward convolution, whose numbers a gradient has too."""
    roles = next((roles for part, roles in _GRADIENTS.items() if part in target), None)
    if roles is None or len(inputs) < 2 or not outputs:
        return inputs, outputs
    image, weight, out = roles(inputs[0], inputs[1], outputs[0])
    return (image, weight), (out,)
