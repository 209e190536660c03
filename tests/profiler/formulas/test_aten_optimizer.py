"""What fused optimizer steps cost, and that they agree with the same step done piece by piece."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import goodput.formulas.aten  # noqa: F401 - registers the formulas
from goodput.formulas.registry import work_of
from goodput.work import Argument, Call, TensorSpec, Work

A, B = TensorSpec((3, 4), "float32"), TensorSpec((5,), "float32")
N = 17
LIST = (A, B)
STEPS = (TensorSpec((), "float32"),) * 2
ONE = TensorSpec((), "float32")


def work(name: str, *inputs: Argument) -> Work:
    found = work_of(Call(f"aten::{name}", inputs))
    assert found is not None, name
    return found


def adam(name: str, *, decay: float = 0, amsgrad: bool = False, scale: Argument = None) -> Work:
    maxima = LIST if amsgrad else ()
    numbers = (1e-3, 0.9, 0.999, decay, 1e-8, amsgrad, False, scale, None)
    return work(name, LIST, LIST, LIST, LIST, maxima, STEPS, *numbers)


def test_adam():
    found = adam("_fused_adam_")

    assert (found.vector_flops, found.special) == (12 * N, N)
    assert found.bytes_read == 4 * 4 * N + 8
    assert found.bytes_written == 3 * 4 * N


def test_decay_is_cheaper_where_it_is_decoupled():
    assert adam("_fused_adam_", decay=0.1).vector_flops == 14 * N
    assert adam("_fused_adamw_", decay=0.1).vector_flops == 13 * N


def test_amsgrad_keeps_a_fourth_state():
    found = adam("_fused_adam_", amsgrad=True)

    assert found.vector_flops == 13 * N
    assert found.bytes_written == 4 * 4 * N


def test_a_loss_scale_is_divided_out_of_the_gradients():
    found = adam("_fused_adam_", scale=ONE)

    assert found.vector_flops == 13 * N
    assert found.bytes_written == 4 * 4 * N


def sgd(momentum: float, buffers: Argument, *, first: bool = False) -> Work:
    rest = (0.0, momentum, 0.1, 0.0, False, False, first, None, None)
    return work("_fused_sgd_", LIST, LIST, buffers, *rest)


def test_sgd():
    plain, moving, first = sgd(0.0, ()), sgd(0.9, LIST), sgd(0.9, LIST, first=True)

    assert (plain.vector_flops, plain.bytes) == (2 * N, 3 * 4 * N)
    assert (moving.vector_flops, moving.bytes) == (4 * N, 5 * 4 * N)
    assert (first.vector_flops, first.bytes) == (2 * N, 4 * 4 * N)


def test_adagrad():
    found = work("_fused_adagrad_", LIST, LIST, LIST, STEPS, 0.1, 0.0, 0.0, 1e-10)

    assert (found.vector_flops, found.special) == (6 * N, N)


def test_unscaling_reads_and_writes_every_gradient():
    found = work("_amp_foreach_non_finite_check_and_unscale_", LIST, ONE, ONE)

    assert found.vector_flops == N
    assert found.bytes == 2 * 4 * N + 3 * 4
    assert work("_amp_update_scale_", ONE, ONE, ONE, 2.0, 0.5, 2000).bytes == 5 * 4


@pytest.mark.parametrize("missing", [(), None])
@pytest.mark.parametrize(
    "name", ["_fused_adam_", "_fused_adamw_", "_fused_sgd_", "_fused_adagrad_"]
)
def test_lists_that_were_not_recorded_are_unknown(name, missing):
    assert work_of(Call(f"aten::{name}", (missing,) * 6)) is None


@given(st.lists(st.integers(1, 50), min_size=1, max_size=6))
def test_a_step_is_the_sum_of_its_parameters(sizes):
    def step(tensors: tuple[TensorSpec, ...]) -> Work:
        steps = tuple(ONE for _ in tensors)
        numbers = (1e-3, 0.9, 0.999, 0.01, 1e-8, False, False, None, None)
        return work("_fused_adamw_", *[tensors] * 4, (), steps, *numbers)

    tensors = tuple(TensorSpec((size,), "float32") for size in sizes)

    assert step(tensors) == sum((step((each,)) for each in tensors), Work())


def test_fused_sgd_counts_what_its_pieces_count(calls_of):
    torch = pytest.importorskip("torch")

    def flops(**kinds: bool) -> int:
        parameter = torch.nn.Parameter(torch.ones(N))
        parameter.grad = torch.ones(N)
        optimizer = torch.optim.SGD([parameter], 0.1, momentum=0.9, weight_decay=0.1, **kinds)
        optimizer.step()
        calls = calls_of(optimizer.step)
        return sum(found.vector_flops for call in calls if (found := work_of(call)))

    assert flops(fused=True) == flops(foreach=True) == flops(foreach=False) == 6 * N
