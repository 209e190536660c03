from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from goodput.formulas.recurrent import CELLS, Recurrent, fused_cell, fused_cell_backward
from goodput.work import Work

SIZE = st.integers(0, 512)
STACK = st.builds(
    Recurrent,
    tokens=SIZE,
    input_size=SIZE,
    hidden_size=st.integers(1, 512),
    cell=st.sampled_from(list(CELLS.values())),
    layers=st.integers(1, 4),
    directions=st.integers(1, 2),
    projection=st.sampled_from([0, 0, 3]),
)


def matrices(stack: Recurrent) -> list[tuple[int, int]]:
    """Every weight matrix, as torch.nn.LSTM's documentation lists them."""
    found, rows = [], stack.cell.gates * stack.hidden_size
    state = stack.projection or stack.hidden_size
    for layer in range(stack.layers):
        for _ in range(stack.directions):
            found.append((rows, stack.input_size if layer == 0 else stack.directions * state))
            found.append((rows, state))
            if stack.projection:
                found.append((stack.projection, stack.hidden_size))
    return found


@given(STACK)
def test_the_forward_pass_uses_every_weight_once_a_token(stack: Recurrent) -> None:
    weights = sum(rows * columns for rows, columns in matrices(stack))
    assert stack.weights == weights
    assert stack.forward.flops == stack.forward.dense_flops == 2 * stack.tokens * weights
    assert stack.forward.recompute_flops == stack.forward.padding_flops == 0


@given(STACK)
def test_the_backward_pass_is_twice_the_forward_pass(stack: Recurrent) -> None:
    assert stack.backward().flops == 2 * stack.forward.flops
    assert stack.backward(of_weights=False).flops == stack.forward.flops
    assert stack.backward().recompute_flops == 0


@given(STACK)
def test_an_unneeded_input_gradient_is_executed_not_useful(stack: Recurrent) -> None:
    part, whole = stack.backward(of_input=False), stack.backward()
    assert part.executed_flops == whole.executed_flops
    gates = stack.cell.gates * stack.hidden_size
    assert (
        whole.flops - part.flops == 2 * stack.tokens * stack.directions * gates * stack.input_size
    )


def test_an_lstm_by_hand() -> None:
    # 2 layers of 48 on 32 features, 4 sequences of 10.
    stack = Recurrent(40, 32, 48, CELLS[2], layers=2)
    assert stack.forward.flops == 2 * 40 * (4 * 48 * (32 + 48) + 4 * 48 * (48 + 48))
    assert stack.forward.special == 40 * 2 * 48 * 5
    assert stack.forward.vector_flops == 40 * 2 * 48 * (12 + 4)


@given(SIZE, st.sampled_from(list(CELLS.values())))
def test_a_fused_cell_has_no_products(units: int, cell) -> None:
    work = fused_cell(units, cell)
    assert work == Work(
        vector_flops=units * (3 * cell.gates + cell.vector), special=units * cell.special
    )
    assert fused_cell(units, cell, biased=False).vector_flops <= work.vector_flops
    assert fused_cell_backward(units, cell) == Work(vector_flops=2 * work.vector_flops)
