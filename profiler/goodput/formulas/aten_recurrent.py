"""PyTorch's fused recurrent layers in neutral terms: oneDNN, cuDNN and MIOpen, and the fused cells.

`aten::lstm`, `gru` and `rnn_*` are composites and stay unregistered. cuDNN's weight list is not
read: a trace drops lists of more than 30 tensors, so the sizes say what the weights are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from goodput.formulas.aten_arguments import flag, flags, integer, tensor
from goodput.formulas.modes import matrix_operator
from goodput.formulas.recurrent import CELLS, Recurrent, fused_cell, fused_cell_backward
from goodput.formulas.registry import register
from goodput.work import Call, TensorSpec, Work

_LSTM, _GRU = CELLS[2], CELLS[3]
_STATE = 4
"""The place of the initial hidden state of a stack's backward operator."""
_GRU_WORKSPACE = 5
"""Values a unit that the fused GRU cell keeps for its backward pass."""


@dataclass(frozen=True, slots=True)
class Row:
    """Where an operator keeps its sizes; -1 for what it does not have.

    Attributes:
        mode, hidden, layers, bidirectional: places of the sizes.
        projection: place of the projected size.
        mask: place of the output mask (input, hx, cx, weight) of a backward operator.
    """

    mode: int
    hidden: int
    layers: int
    bidirectional: int
    projection: int = -1
    mask: int = -1


STACKS: Mapping[str, Row] = {
    "aten::_cudnn_rnn": Row(6, 7, 9, 13, projection=8),
    "aten::miopen_rnn": Row(5, 6, 7, 11),
    "aten::_cudnn_rnn_backward": Row(10, 11, 13, 17, projection=12, mask=21),
    "aten::miopen_rnn_backward": Row(10, 11, 12, 16, mask=20),
}
"""Operators that run a whole stack."""


def _stack(call: Call, row: Row) -> Recurrent | None:
    source, mode, hidden = tensor(call, 0), integer(call, row.mode), integer(call, row.hidden)
    layers, both = integer(call, row.layers), flag(call, row.bidirectional)
    if (
        source is None
        or mode is None
        or mode not in CELLS
        or not hidden
        or not layers
        or both is None
    ):
        return None
    projection = integer(call, row.projection) if row.projection >= 0 else 0
    features = source.shape[-1]
    return Recurrent(
        source.numel // features if features else 0,
        features,
        hidden,
        CELLS[mode],
        layers,
        1 + both,
        projection or 0,
    )


def _forward_bytes(stack: Recurrent, source: TensorSpec) -> Work:
    """Input and weights read once; output of the last layer written once. States are left out."""
    return Work(
        bytes_read=source.bytes + stack.weights * source.item_bytes,
        bytes_written=_outputs(stack) * source.item_bytes,
    )


def _outputs(stack: Recurrent) -> int:
    return stack.tokens * stack.directions * stack.state_size


def _backward_bytes(stack: Recurrent, source: TensorSpec, *, of_weights: bool) -> Work:
    """Also the output and its gradient read; gradients of input and weights written."""
    read = source.numel + stack.weights + 2 * _outputs(stack)
    written = source.numel + (stack.weights if of_weights else 0)
    return Work(bytes_read=read * source.item_bytes, bytes_written=written * source.item_bytes)


def _stack_work(call: Call) -> Work | None:
    row = STACKS[call.name]
    stack, source = _stack(call, row), tensor(call, 0)
    if stack is None or source is None:
        return None
    if row.mask < 0:
        return stack.forward + _forward_bytes(stack, source)
    mask = flags(call, row.mask) or (True, True, True, True)
    of_weights = mask[-1]
    state = tensor(call, _STATE)
    fixed = 0
    if state is not None and not mask[1]:
        fixed = state.numel // (stack.layers * stack.directions * stack.state_size)
    work = stack.backward(of_input=mask[0], of_weights=of_weights, fixed_states=fixed)
    return work + _backward_bytes(stack, source, of_weights=of_weights)


for _name in STACKS:
    matrix_operator(_name)(register(_name)(_stack_work))


def _layer(call: Call, mode: int, hidden: int) -> Recurrent | None:
    """One layer in one direction; the operator's own `num_layers` is that of the whole stack."""
    source, weight = tensor(call, 0), tensor(call, 1)
    kind, size = integer(call, mode), integer(call, hidden)
    if source is None or weight is None or kind is None or kind not in CELLS or not size:
        return None
    features = weight.shape[-1]
    tokens = source.numel // features if features else 0
    return Recurrent(tokens, features, size, CELLS[kind])


@matrix_operator("aten::mkldnn_rnn_layer")
@register("aten::mkldnn_rnn_layer")
def _mkldnn_layer(call: Call) -> Work | None:
    layer, source = _layer(call, 9, 10), tensor(call, 0)
    if layer is None or source is None:
        return None
    return layer.forward + _forward_bytes(layer, source)


@matrix_operator("aten::mkldnn_rnn_layer_backward")
@register("aten::mkldnn_rnn_layer_backward")
def _mkldnn_layer_backward(call: Call) -> Work | None:
    """The attribute `needed` says which gradients are used: of the input, and of the state."""
    layer, source = _layer(call, 14, 15), tensor(call, 0)
    if layer is None or source is None:
        return None
    needed, state = call.attributes.get("needed"), tensor(call, 5)
    of_input, of_state = needed if isinstance(needed, tuple) else (True, True)
    fixed = state.numel // layer.hidden_size if state is not None and not of_state else 0
    work = layer.backward(of_input=of_input, fixed_states=fixed)
    return work + _backward_bytes(layer, source, of_weights=True)


def _cell_bytes(call: Call, state: TensorSpec, written: int) -> Work:
    read = sum(spec.bytes for spec in call.tensors)
    return Work(bytes_read=read, bytes_written=written * state.item_bytes)


@register("aten::_thnn_fused_lstm_cell")
def _lstm_cell(call: Call) -> Work | None:
    """Writes the hidden state, the cell state and the four gates."""
    cell = tensor(call, 2)
    if cell is None:
        return None
    units, biased = cell.numel, tensor(call, 3) is not None
    written = units * (_LSTM.states + _LSTM.gates)
    return fused_cell(units, _LSTM, biased=biased) + _cell_bytes(call, cell, written)


@register("aten::_thnn_fused_lstm_cell_backward_impl")
def _lstm_cell_backward(call: Call) -> Work | None:
    """Writes the gradients of the gates and of the cell state."""
    cell = tensor(call, 2)
    if cell is None:
        return None
    written = cell.numel * (1 + _LSTM.gates)
    return fused_cell_backward(cell.numel, _LSTM) + _cell_bytes(call, cell, written)


@register("aten::_thnn_fused_gru_cell")
def _gru_cell(call: Call) -> Work | None:
    """Writes the hidden state and what the backward pass needs."""
    hidden = tensor(call, 2)
    if hidden is None:
        return None
    units, biased = hidden.numel, tensor(call, 3) is not None
    written = units * (1 + _GRU_WORKSPACE)
    return fused_cell(units, _GRU, biased=biased) + _cell_bytes(call, hidden, written)


@register("aten::_thnn_fused_gru_cell_backward")
def _gru_cell_backward(call: Call) -> Work | None:
    """Writes the gradients of both gate inputs and of the hidden state."""
    gradient = tensor(call, 0)
    if gradient is None:
        return None
    written = gradient.numel * (1 + 2 * _GRU.gates)
    return fused_cell_backward(gradient.numel, _GRU) + _cell_bytes(call, gradient, written)
