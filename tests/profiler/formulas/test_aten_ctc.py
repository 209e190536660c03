"""CTC losses as PyTorch calls them: each sequence by its own lengths, none of it useful FLOPs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import goodput.formulas.aten
from goodput.formulas.ctc import ctc_loss, ctc_loss_backward
from goodput.formulas.registry import work_of
from goodput.work import Call, TensorSpec, Work

assert goodput.formulas.aten.MODULES

SYMBOLS = 7
LENGTHS = st.lists(st.tuples(st.integers(1, 20), st.integers(0, 8)), min_size=1, max_size=4)


def inputs(lengths):
    frames, labels = zip(*lengths, strict=True)
    log_probs = TensorSpec((max(frames), len(lengths), SYMBOLS), "float32")
    return log_probs, TensorSpec((len(lengths), max(labels)), "int64"), frames, labels


@given(LENGTHS)
def test_a_batch_is_the_sum_of_its_sequences(lengths) -> None:
    loss = work_of(Call("aten::_ctc_loss", (*inputs(lengths), 0, False)))
    library = work_of(Call("aten::_cudnn_ctc_loss", (*inputs(lengths), 0, False, False)))
    forward = sum((ctc_loss(*each) for each in lengths), Work())
    backward = sum((ctc_loss_backward(*each, SYMBOLS) for each in lengths), Work())
    assert loss is not None
    assert library is not None
    assert (loss.flops, loss.vector_flops, loss.special) == (
        0,
        forward.vector_flops,
        forward.special,
    )
    assert library.vector_flops == forward.vector_flops + backward.vector_flops
    assert library.special == forward.special + backward.special


def test_the_calls_of_a_training_step_and_their_bytes(calls_of) -> None:
    torch = pytest.importorskip("torch")
    logits = torch.randn(12, 3, SYMBOLS, requires_grad=True)
    targets = torch.randint(1, SYMBOLS, (3, 4))
    lengths = (12, 11, 10), (4, 3, 2)

    def step() -> None:
        torch.nn.functional.ctc_loss(logits.log_softmax(-1), targets, *lengths).backward()

    calls = [call for call in calls_of(step) if "ctc_loss" in call.name]
    assert [call.name for call in calls] == ["aten::_ctc_loss", "aten::_ctc_loss_backward"]
    loss, gradient = map(work_of, calls)
    pairs = [(12, 4), (11, 3), (10, 2)]
    assert loss is not None
    assert loss.vector_flops == sum(ctc_loss(*each).vector_flops for each in pairs)
    assert gradient is not None
    assert gradient.special == sum(ctc_loss_backward(*each, SYMBOLS).special for each in pairs)
    for call, work in zip(calls, (loss, gradient), strict=True):
        assert work.bytes_written == sum(output.bytes for output in call.outputs), call.name
        assert work.bytes_read == sum(spec.bytes for spec in call.tensors)


def test_lengths_in_tensors_are_unknown_not_zero() -> None:
    log_probs, targets, frames, labels = inputs([(5, 2), (4, 1)])
    in_data = (TensorSpec((len(frames),), "int64"), TensorSpec((len(labels),), "int64"))
    for name in ("_ctc_loss", "_cudnn_ctc_loss", "miopen_ctc_loss"):
        assert work_of(Call(f"aten::{name}", (log_probs, targets, *in_data, 0))) is None
        assert work_of(Call(f"aten::{name}")) is None
    assert work_of(Call("aten::_ctc_loss_backward")) is None
