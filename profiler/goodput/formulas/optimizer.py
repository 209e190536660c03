"""Work of optimizer steps that one fused operator does for many parameters, in integers.

FLOPs per parameter follow the published update, with what depends on the step number alone
(bias corrections, the learning rate) computed once and not counted.
"""

from __future__ import annotations

from collections.abc import Sequence

from goodput.work import TensorSpec, Work


def fused_step(
    parameters: Sequence[TensorSpec],
    read: Sequence[Sequence[TensorSpec]],
    written: Sequence[Sequence[TensorSpec]],
    *,
    flops: int,
    special: int = 0,
) -> Work:
    """Work of one fused step.

    Args:
        parameters: the parameters that are updated.
        read: lists of the tensors that are read: parameters, gradients, state.
        written: lists of those that are written.
        flops: vector FLOPs per parameter.
        special: special-function calls per parameter.
    """
    elements = sum(parameter.numel for parameter in parameters)
    return Work(
        vector_flops=flops * elements,
        special=special * elements,
        bytes_read=sum(tensor.bytes for group in read for tensor in group),
        bytes_written=sum(tensor.bytes for group in written for tensor in group),
    )


def adam_flops(
    *, decoupled: bool, weight_decay: bool, amsgrad: bool, maximize: bool, scaled: bool
) -> int:
    """Vector FLOPs per parameter of Adam (https://arxiv.org/abs/1412.6980) beside its square root.

    `m += (1 - b1) (g - m)` 3, `v = b2 v + (1 - b2) g g` 4, `sqrt(v) / c + eps` 2,
    `p -= s m / d` 3; weight decay 2 (decoupled, AdamW: 1), the maximum of AMSGrad 1, the negation
    of a maximised objective 1, the division by a loss scale 1.
    """
    decay = (1 if decoupled else 2) if weight_decay else 0
    return 12 + decay + amsgrad + maximize + scaled


def sgd_flops(
    *,
    weight_decay: bool,
    momentum: bool,
    dampened: bool,
    nesterov: bool,
    maximize: bool,
    scaled: bool,
) -> int:
    """Vector FLOPs per parameter of stochastic gradient descent.

    `p -= lr g` 2; weight decay 2; momentum `v = m v + g` 2, one more where the gradient is
    dampened; Nesterov `g + m v` 2; negation 1; loss scale 1.
    """
    moving = (2 + dampened + 2 * nesterov) if momentum else 0
    return 2 + 2 * weight_decay + moving + maximize + scaled


def adagrad_flops(*, weight_decay: bool, maximize: bool, scaled: bool) -> int:
    """Vector FLOPs per parameter of Adagrad beside its square root.

    `s += g g` 2, `sqrt(s) + eps` 1, `p -= lr g / d` 3; weight decay 2; negation 1; loss scale 1.
    """
    return 6 + 2 * weight_decay + maximize + scaled
