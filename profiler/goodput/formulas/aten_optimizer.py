"""PyTorch's fused optimizers and the loss-scaling kernels of automatic mixed precision."""

from __future__ import annotations

from functools import partial

from goodput.formulas.aten_recorded import (
    argument,
    flag,
    formula,
    optional_tensor,
    tensor,
    tensor_list,
)
from goodput.formulas.optimizer import adagrad_flops, adam_flops, fused_step, sgd_flops
from goodput.work import Call, TensorSpec, Work


def _nonzero(call: Call, place: int) -> bool:
    """Whether a factor does something; one that was not recorded is taken not to."""
    return argument(call, place) not in (None, 0)


def _list_or_none(call: Call, place: int) -> tuple[TensorSpec, ...]:
    """A list that may rightly be empty, such as the maxima of an Adam without AMSGrad."""
    value = argument(call, place)
    items = value if isinstance(value, tuple) else ()
    return tuple(item for item in items if isinstance(item, TensorSpec))


def adam(call: Call, *, decoupled: bool) -> Work:
    """A fused Adam step; with a loss scale the unscaled gradients are written back."""
    parameters, gradients, mean, square = (tensor_list(call, place) for place in range(4))
    amsgrad, scaled = flag(call, 11), optional_tensor(call, 13) is not None
    maxima = tensor_list(call, 4) if amsgrad else ()
    state = (parameters, mean, square, maxima)
    return fused_step(
        parameters,
        (*state, gradients, _list_or_none(call, 5)),
        (*state, gradients if scaled else ()),
        flops=adam_flops(
            decoupled=decoupled,
            weight_decay=_nonzero(call, 9),
            amsgrad=amsgrad,
            maximize=flag(call, 12),
            scaled=scaled,
        ),
        special=1,
    )


def sgd(call: Call) -> Work:
    """A fused SGD step; the first one writes the momentum without reading it."""
    parameters, gradients = tensor_list(call, 0), tensor_list(call, 1)
    momentum, first = _nonzero(call, 4), flag(call, 9)
    buffers = tensor_list(call, 2) if momentum else ()
    scaled = optional_tensor(call, 10) is not None
    return fused_step(
        parameters,
        (parameters, gradients, () if first else buffers),
        (parameters, buffers, gradients if scaled else ()),
        flops=sgd_flops(
            weight_decay=_nonzero(call, 3),
            momentum=momentum and not first,
            dampened=_nonzero(call, 6),
            nesterov=flag(call, 7),
            maximize=flag(call, 8),
            scaled=scaled,
        ),
    )


def adagrad(call: Call) -> Work:
    """A fused Adagrad step."""
    parameters, gradients, sums = (tensor_list(call, place) for place in range(3))
    scaled = optional_tensor(call, 9) is not None
    return fused_step(
        parameters,
        (parameters, gradients, sums, _list_or_none(call, 3)),
        (parameters, sums, gradients if scaled else ()),
        flops=adagrad_flops(weight_decay=_nonzero(call, 6), maximize=flag(call, 8), scaled=scaled),
        special=1,
    )


def unscale(call: Call) -> Work:
    """Dividing all gradients by the loss scale, in place, while looking for infinities."""
    gradients = tensor_list(call, 0)
    found, scale = tensor(call, 1), tensor(call, 2)
    work = fused_step(gradients, (gradients, (found, scale)), (gradients,), flops=1)
    return work + Work(bytes_written=found.bytes)


def update_scale(call: Call) -> Work:
    """Growing or shrinking the loss scale: three scalars are read, two written, one product."""
    scale, tracker, found = (tensor(call, place) for place in range(3))
    return Work(
        vector_flops=1,
        bytes_read=scale.bytes + tracker.bytes + found.bytes,
        bytes_written=scale.bytes + tracker.bytes,
    )


formula("aten::_fused_adam_")(partial(adam, decoupled=False))
formula("aten::_fused_adamw_")(partial(adam, decoupled=True))
formula("aten::_fused_sgd_")(sgd)
formula("aten::_fused_adagrad_")(adagrad)
formula("aten::_amp_foreach_non_finite_check_and_unscale_")(unscale)
formula("aten::_amp_update_scale_")(update_scale)
