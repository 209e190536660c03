from __future__ import annotations

import pytest

import goodput.formulas.aten
from goodput.formulas.aten_recurrent import STACKS
from goodput.formulas.registry import has_formula, work_of
from goodput.work import Call, TensorSpec, Work

assert goodput.formulas.aten.MODULES
GATES = {0: 1, 1: 1, 2: 4, 3: 3}


def spec(*shape: int) -> TensorSpec:
    return TensorSpec(shape, "float32")


def cudnn(mode: int, layers: int, *, both: bool, projection: int = 0, weights=()) -> Call:
    inputs = (spec(10, 4, 32), weights, 4, None, spec(layers, 4, 48), None, mode, 48, projection)
    rest = (layers, False, 0.0, True, both, (), None)
    return Call("aten::_cudnn_rnn", (*inputs, *rest))


def total(works) -> Work:
    return sum((work for work in works if work), Work())


@pytest.mark.parametrize("mode", GATES)
@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("both", [False, True])
def test_a_cudnn_stack_is_its_weights_once_a_token(mode, layers, both) -> None:
    directions, gates = 1 + both, GATES[mode]
    above = (layers - 1) * directions * gates * 48 * (directions * 48 + 48)
    weights = directions * gates * 48 * (32 + 48) + above
    found = work_of(cudnn(mode, layers, both=both))
    assert found is not None
    assert found.flops == 2 * 40 * weights
    assert found.bytes_read == 4 * (40 * 32 + weights)
    assert found.bytes_written == 4 * 40 * 48 * directions


def test_a_dropped_weight_list_changes_nothing() -> None:
    listed = cudnn(2, 2, both=False, weights=(spec(192, 32), spec(192, 48)))
    assert work_of(listed) == work_of(cudnn(2, 2, both=False))


def test_miopen_counts_as_cudnn_does() -> None:
    inputs = (spec(10, 4, 32), (), 4, spec(2, 4, 48), None, 2, 48, 2, False, 0.0, True, False, ())
    assert work_of(Call("aten::miopen_rnn", inputs)) == work_of(cudnn(2, 2, both=False))


def test_backward_honours_its_output_mask() -> None:
    head = (spec(10, 4, 32), (), 4, None, spec(1, 4, 48), None, *[spec(10, 4, 48)] * 2, None, None)
    sizes = (2, 48, 0, 1, False, 0.0, True, False, (), None, spec(9))
    forward = 2 * 40 * 192 * 80
    for mask, useful in (
        ((True, True, True, True), 2 * forward),
        ((True, True, True, False), forward),
        ((False, True, True, True), 2 * forward - 2 * 40 * 192 * 32),
    ):
        found = work_of(Call("aten::_cudnn_rnn_backward", (*head, *sizes, mask)))
        assert found is not None
        assert found.flops == useful


def test_an_lstm_and_its_gradients_as_pytorch_calls_them_on_a_cpu(calls_of) -> None:
    torch = pytest.importorskip("torch")
    model = torch.nn.LSTM(32, 48, 2, batch_first=True)
    x = torch.ones(4, 10, 32, requires_grad=True)
    calls = calls_of(lambda: model(x)[0].sum().backward())
    forward = 2 * 40 * (4 * 48 * (32 + 48) + 4 * 48 * (48 + 48))
    products = total(work_of(call) for call in calls)
    assert products.flops == 3 * forward
    assert products.recompute_flops == 0


def test_a_gru_counts_its_products_apart_from_its_cells(calls_of) -> None:
    torch = pytest.importorskip("torch")
    model = torch.nn.GRU(32, 48, 1, batch_first=True)
    with torch.no_grad():
        calls = calls_of(lambda: model(torch.ones(4, 10, 32)))
    assert total(work_of(call) for call in calls).flops == 2 * 40 * 3 * 48 * (32 + 48)


def test_fused_cells_are_vector_work() -> None:
    gates, state = spec(4, 4 * 48), spec(4, 48)
    lstm = work_of(Call("aten::_thnn_fused_lstm_cell", (gates, gates, state, None, None)))
    assert lstm == Work(
        vector_flops=192 * (4 + 4),
        special=192 * 5,
        bytes_read=2 * gates.bytes + state.bytes,
        bytes_written=6 * state.bytes,
    )
    three = spec(4, 3 * 48)
    gru = work_of(Call("aten::_thnn_fused_gru_cell", (three, three, state, spec(144), spec(144))))
    assert gru is not None
    assert (gru.flops, gru.vector_flops, gru.special) == (0, 192 * 13, 192 * 3)
    back = work_of(
        Call("aten::_thnn_fused_lstm_cell_backward_impl", (state, None, state, state, gates))
    )
    assert back is not None
    assert back.bytes_written == 5 * state.bytes
    gru_back = work_of(Call("aten::_thnn_fused_gru_cell_backward", (state, spec(4, 240), True)))
    assert gru_back is not None
    assert gru_back.bytes_written == 7 * state.bytes


def test_calls_without_shapes_are_unknown() -> None:
    names = (*STACKS, "aten::mkldnn_rnn_layer", "aten::mkldnn_rnn_layer_backward")
    names += ("aten::_thnn_fused_lstm_cell", "aten::_thnn_fused_gru_cell")
    assert [work_of(Call(name)) for name in names] == [None] * len(names)


@pytest.mark.parametrize("name", ["lstm", "gru", "rnn_tanh", "lstm_cell"])
def test_composites_are_left_to_what_runs_inside_them(name: str) -> None:
    assert not has_formula(f"aten::{name}")


@pytest.mark.parametrize("name", STACKS)
def test_sizes_stand_where_pytorch_has_them(named, name) -> None:
    row = STACKS[name]
    assert named(name, row.mode) == "mode"
    assert named(name, row.hidden) == "hidden_size"
    assert named(name, row.layers) == "num_layers"
    assert named(name, row.bidirectional) == "bidirectional"
    assert row.projection < 0 or named(name, row.projection) == "proj_size"
    assert row.mask < 0 or named(name, row.mask) == "output_mask"
