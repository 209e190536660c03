"""PyTorch's activations, dropout and losses, forward and backward, by cost per element."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from goodput.formulas.aten_pointwise import Row, binary, register_rows, row_work, unary
from goodput.formulas.aten_recorded import argument, formula, optional_tensor, tensor
from goodput.formulas.pointwise import elementwise
from goodput.work import Call, TensorSpec, Work

WITH_INPLACE: Mapping[str, Row] = {
    "relu": unary(1, result="same"),
    "threshold": unary(0, result="same"),
    "hardtanh": unary(2, result="same"),
    "leaky_relu": unary(1),
    "hardsigmoid": unary(4),  # min(max(x + 3, 0), 6) / 6
    "hardswish": unary(5),
    "silu": unary(4, 1),  # x / (1 + exp(-x))
    "elu": unary(3, 1),
    "celu": unary(3, 1),
    "mish": unary(2, 3),  # x tanh(log1p(exp(x)))
    "rrelu_with_noise": Row((0, 1), 1),
}

FORWARD: Mapping[str, Row] = {
    "softplus": unary(2, 2),
    "hardshrink": unary(0),
    "softshrink": unary(1),
    "log_sigmoid_forward": Row((0,), 4, 2, outputs=2),
    "_prelu_kernel": binary(1),
}

BACKWARD: Mapping[str, Row] = {
    "threshold_backward": binary(0),
    "hardtanh_backward": binary(0),
    "hardshrink_backward": binary(0),
    "softshrink_backward": binary(0),
    "leaky_relu_backward": binary(1),
    "hardsigmoid_backward": binary(1),
    "hardswish_backward": binary(3),
    "rrelu_with_noise_backward": Row((0, 1, 2), 1),
    "sigmoid_backward": binary(3),  # g (1 - y) y
    "tanh_backward": binary(3),  # g (1 - y y)
    "logit_backward": binary(3),
    "silu_backward": binary(8, 1),  # s = sigmoid(x); g s (1 + x (1 - s))
    "mish_backward": binary(10, 3),
    "softplus_backward": binary(4, 1),
    "elu_backward": Row((0, 5), 4, 1),
    "log_sigmoid_backward": Row((0, 1, 2), 5, 1),
    "_prelu_kernel_backward": Row((0, 1, 2), 2, outputs=2),
    "native_dropout_backward": Row((0, 1), 2, result="first"),
    "_masked_scale": Row((0, 1), 2, result="first"),
    "mse_loss_backward": Row((0, 1, 2), 3),  # 2 (x - y) g
    "smooth_l1_loss_backward": Row((0, 1, 2), 3),
    "huber_loss_backward": Row((0, 1, 2), 3),
    "soft_margin_loss_backward": Row((0, 1, 2), 5, 1),
    "binary_cross_entropy_backward": Row((0, 1, 2, 3), 6),
}
"""Gradients; one with respect to a loss is broadcast from a scalar."""

GELU_TANH = Row((0,), 8, 1)  # 0.5 x (1 + tanh(c (x + 0.044715 x x x)))
GELU_ERF = Row((0,), 4, 1)  # 0.5 x (1 + erf(c x))
GELU_TANH_BACKWARD = Row((0, 1), 17, 1)
GELU_ERF_BACKWARD = Row((0, 1), 9, 2)  # g (cdf + x pdf)

LOSSES: Mapping[str, tuple[Row, int]] = {
    "mse_loss": (Row((0, 1), 2), 2),
    "smooth_l1_loss": (Row((0, 1), 5), 2),
    "huber_loss": (Row((0, 1), 5), 2),
    "soft_margin_loss": (Row((0, 1), 2, 2), 2),
    "binary_cross_entropy": (Row((0, 1, 2), 5, 2), 3),
    "binary_cross_entropy_with_logits": (Row((0, 1, 2, 3), 7, 2), 4),
}
"""Losses: cost per element before the reduction, and the position of the reduction."""


def gelu(call: Call) -> Work:
    """A GELU: through erf, or through tanh if the call says so (traces leave it out)."""
    return row_work(GELU_TANH if argument(call, 1) == "tanh" else GELU_ERF, call)


def gelu_backward(call: Call) -> Work:
    """The gradient of a GELU."""
    tanh = argument(call, 2) == "tanh"
    return row_work(GELU_TANH_BACKWARD if tanh else GELU_ERF_BACKWARD, call)


def loss(name: str, call: Call) -> Work:
    """A loss: elementwise, then one add per element unless it is not reduced."""
    row, reduction = LOSSES[name]
    work = row_work(row, call)
    if argument(call, reduction) == 0:
        return work
    source = tensor(call, 0)
    per_element = elementwise((), (source,), flops=1)
    return Work(
        vector_flops=work.vector_flops + per_element.vector_flops,
        special=work.special,
        bytes_read=work.bytes_read,
        bytes_written=source.item_bytes,
    )


def dropout(call: Call) -> Work:
    """Dropout: the mask's product and the scale; random bits are integer work and 0 FLOPs."""
    source = tensor(call, 0)
    kept = TensorSpec(source.shape, "bool")
    dense = TensorSpec(source.shape, source.dtype)
    return elementwise((source,), (dense, kept), flops=2)


def _half(source: TensorSpec, dim: int) -> TensorSpec:
    sizes = list(source.shape)
    sizes[dim] //= 2
    return TensorSpec(tuple(sizes), source.dtype)


def glu(call: Call) -> Work:
    """A gated linear unit: `a sigmoid(b)` over the halves of the input."""
    source, dim = tensor(call, 0), argument(call, 1)
    half = _half(source, dim if isinstance(dim, int) else -1)
    return elementwise((source,), (half,), flops=4, special=1)


def glu_backward(call: Call) -> Work:
    """The gradient of a gated linear unit: of both halves, from one sigmoid."""
    gradient, source = tensor(call, 0), tensor(call, 1)
    work = elementwise((gradient, source), (gradient,), flops=8, special=1)
    written = source.numel * source.item_bytes
    return Work(
        vector_flops=work.vector_flops,
        special=work.special,
        bytes_read=work.bytes_read,
        bytes_written=written,
    )


def nll_loss(call: Call) -> Work:
    """Negative log likelihood: one element of each row is read and added up."""
    source, target = tensor(call, 0), tensor(call, 1)
    weight = optional_tensor(call, 2)
    rows = target.numel
    weighted = 2 if weight is not None else 0
    reduced = argument(call, 3) != 0
    written = (1 + (1 if reduced else rows)) * source.item_bytes  # and the total weight
    return Work(
        vector_flops=rows * (1 + weighted),
        bytes_read=target.bytes + rows * source.item_bytes + (weight.bytes if weight else 0),
        bytes_written=written,
    )


def nll_loss_backward(call: Call) -> Work:
    """The gradient of negative log likelihood: zeros, but for one element of each row."""
    gradient, source, target = tensor(call, 0), tensor(call, 1), tensor(call, 2)
    weight = optional_tensor(call, 3)
    return Work(
        vector_flops=target.numel * (1 + (weight is not None)),
        bytes_read=gradient.bytes + target.bytes + (weight.bytes if weight else 0),
        bytes_written=source.numel * source.item_bytes,
    )


register_rows(WITH_INPLACE, inplace=True)
register_rows(FORWARD)
register_rows(BACKWARD)
for _name in LOSSES:
    formula(f"aten::{_name}")(partial(loss, _name))
formula("aten::gelu", "aten::gelu_")(gelu)
formula("aten::gelu_backward")(gelu_backward)
formula("aten::native_dropout", "aten::_fused_dropout")(dropout)
formula("aten::glu")(glu)
formula("aten::glu_backward")(glu_backward)
formula("aten::nll_loss_forward", "aten::nll_loss2d_forward")(nll_loss)
formula("aten::nll_loss_backward", "aten::nll_loss2d_backward")(nll_loss_backward)
