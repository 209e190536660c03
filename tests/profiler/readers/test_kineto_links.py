"""Nesting, and what follows from it: phase, module, source line."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from goodput.readers.kineto_links import NOBODY, nest
from goodput.trace.table import Phase

MM = [(8, 16), (16, 4)]


def phases(table):
    return dict(zip(table.operators, map(Phase, table.rows.phase.tolist()), strict=True))


def modules(table):
    return list(zip(table.operators, table.words("module"), strict=True))


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(1, 20)), min_size=1, max_size=25))
def test_a_parent_is_the_innermost_event_that_holds_the_start(spans):
    spans = sorted(spans, key=lambda span: (span[0], -span[1]))
    start = np.array([a for a, _ in spans], dtype=float)
    end = start + [d for _, d in spans]
    nesting = nest(np.zeros(len(spans), np.int64), start, end)
    assert sorted(np.concatenate(nesting.levels).tolist()) == list(range(len(spans)))
    for index, parent in enumerate(nesting.parent.tolist()):
        # An event that outlasts its parent ends with it, so an ancestor's end counts as well.
        holders = [j for j in range(index) if end[j] > start[index]]
        chains = [j for j in holders if all(end[k] > start[index] for k in ancestors(nesting, j))]
        assert parent == (max(chains) if chains else NOBODY)


def ancestors(nesting, index):
    found = []
    while (index := int(nesting.parent[index])) != NOBODY:
        found.append(index)
    return found


def test_threads_do_not_nest_in_each_other():
    nesting = nest(np.array([0, 0, 1]), np.array([0.0, 1.0, 2.0]), np.array([9.0, 5.0, 3.0]))
    assert nesting.parent.tolist() == [NOBODY, 0, NOBODY]


def test_forward_backward_and_optimizer(written):
    written.op("aten::mm", 0, 5, MM, **{"Sequence number": 4, "Fwd thread id": 0})
    written.engine("MmBackward0", 10, 20, 4)
    written.op("aten::bmm", 11, 15, [(2, 8, 16), (2, 16, 4)])
    written.annotation("Optimizer.step#SGD.step", 30, 40)
    written.op("aten::addmm", 31, 35, [(4,), (8, 16), (16, 4)], concrete=["", "", ""])
    assert phases(written.read()) == {
        "aten::mm": Phase.FORWARD,
        "aten::bmm": Phase.BACKWARD,
        "aten::addmm": Phase.OPTIMIZER,
    }


def test_optimizer_in_backward_and_backward_in_optimizer(written):
    written.engine("AccumulateGrad", 0, 20, -1)
    written.annotation("Optimizer.step#SGD.step", 1, 9)
    written.op("aten::mm", 2, 8, MM)
    written.annotation("Optimizer.step#LBFGS.step", 30, 60)
    written.module("net", 31, 39)
    written.op("aten::bmm", 32, 38, [(2, 8, 16), (2, 16, 4)])
    written.engine("BmmBackward0", 40, 50, 1)
    written.op("aten::dot", 41, 49, [(8,), (8,)])
    assert phases(written.read()) == {
        "aten::mm": Phase.OPTIMIZER,
        "aten::bmm": Phase.FORWARD,
        "aten::dot": Phase.BACKWARD,
    }


IN_GRAD_MODE = {"Sequence number": 9, "Fwd thread id": 0}


def recompute(written, marker):
    written.engine("MmBackward0", 10, 30, 4)
    if marker == "module":
        written.module("net.0", 11, 19)
    if marker == "checkpoint":
        written.host(
            "CheckpointFunctionBackward", 11, 29, **{"Sequence number": 4, "Fwd thread id": 1}
        )
    written.op("aten::mm", 12, 15, MM, **IN_GRAD_MODE)
    written.op("aten::bmm", 16, 18, [(2, 8, 16), (2, 16, 4)])
    return written


@pytest.mark.parametrize("marker", ["none", "module", "checkpoint"])
def test_an_operator_in_grad_mode_inside_a_backward_node_recomputes(written, marker):
    found = phases(recompute(written, marker).read())
    assert found == {"aten::mm": Phase.RECOMPUTE, "aten::bmm": Phase.BACKWARD}


def test_double_backward_is_no_recompute_where_the_file_has_module_markers(written):
    written.module("net", 0, 5)
    written.op("aten::dot", 1, 4, [(8,), (8,)])
    found = phases(recompute(written, "none").read())
    assert found["aten::mm"] == Phase.BACKWARD


@pytest.mark.parametrize("marker", ["module", "checkpoint"])
def test_recompute_where_the_file_has_module_markers(written, marker):
    written.module("net", 0, 5)
    written.op("aten::dot", 1, 4, [(8,), (8,)])
    assert phases(recompute(written, marker).read())["aten::mm"] == Phase.RECOMPUTE


def test_a_custom_function_in_the_recomputed_part_recomputes_as_a_whole(written):
    written.engine("MmBackward0", 10, 30, 4)
    written.module("net", 11, 29)
    written.host("MyFunction", 12, 20, **IN_GRAD_MODE)
    written.op("aten::mm", 13, 18, MM)
    assert phases(written.read()) == {"aten::mm": Phase.RECOMPUTE}


def test_the_inner_engine_of_a_reentrant_checkpoint_is_backward_again(written):
    recompute(written, "checkpoint")
    written.engine("BmmBackward0", 20, 28, 9)
    written.op("aten::dot", 21, 27, [(8,), (8,)])
    assert phases(written.read())["aten::dot"] == Phase.BACKWARD


def test_data_loading_is_other(written):
    written.annotation("enumerate(DataLoader)#_SingleProcessDataLoaderIter.__next__", 0, 9)
    written.op("aten::mm", 1, 5, MM)
    assert phases(written.read()) == {"aten::mm": Phase.OTHER}


def forward_and_backward(written):
    """Two layers; the operator that makes the node is the last to start with its number."""
    for index, name in enumerate(["a", "b"]):
        at = 20 * index
        number = {"Sequence number": 5 + index, "Fwd thread id": 0}
        written.op("aten::dot", at, at + 2, [(8,), (8,)], **number)
        written.module(name, at + 3, at + 19)
        written.op("aten::mm", at + 4, at + 18, MM, **number)
    for index in (1, 0):
        at = 100 - 20 * index
        written.engine("MmBackward0", at, at + 15, 5 + index)
        written.op("aten::bmm", at + 1, at + 9, [(2, 8, 16), (2, 16, 4)])
    return written


def test_backward_takes_the_module_of_the_last_forward_operator_with_its_number(written):
    assert modules(forward_and_backward(written).read()) == [
        ("aten::dot", ""),
        ("aten::mm", "a"),
        ("aten::dot", ""),
        ("aten::mm", "b"),
        ("aten::bmm", "b"),
        ("aten::bmm", "a"),
    ]


def test_the_forward_is_sought_on_the_thread_that_has_most_of_the_numbers(written):
    forward_and_backward(written)
    written.module("elsewhere", 50, 60, thread=2)
    written.op("aten::mv", 51, 59, [(8, 8), (8,)], 2, **{"Sequence number": 5, "Fwd thread id": 0})
    assert modules(written.read())[-1] == ("aten::bmm", "a")


def test_a_node_without_a_forward_has_no_module(written):
    written.module("a", 0, 9)
    written.op("aten::mm", 1, 8, MM, **{"Sequence number": 5, "Fwd thread id": 0})
    written.engine("SumBackward0", 10, 20, 6)
    written.op("aten::bmm", 11, 19, [(2, 8, 16), (2, 16, 4)])
    assert modules(written.read())[-1] == ("aten::bmm", "")


def test_the_innermost_marker_names_the_module_and_an_engine_ends_it(written):
    written.module("net", 0, 90)
    written.module("net.0", 10, 50)
    written.op("aten::mm", 20, 30, MM)
    written.op("aten::bmm", 60, 70, [(2, 8, 16), (2, 16, 4)])
    written.engine("X", 71, 89, 77)
    written.op("aten::dot", 72, 80, [(8,), (8,)])
    assert modules(written.read()) == [
        ("aten::mm", "net.0"),
        ("aten::bmm", "net"),
        ("aten::dot", ""),
    ]


def test_python_frames_give_a_module_path_and_the_users_line(written):
    written.frame("train.py(12): step", 0, 90)
    written.frame("nn.Module: Net_0", 5, 80)
    written.frame("torch/nn/modules/module.py(1): _call_impl", 6, 79)
    written.frame("model.py(34): forward", 7, 78)
    written.frame("nn.Module: Linear_3", 10, 50)
    written.frame("torch/nn/modules/linear.py(7): forward", 11, 49)
    written.frame("<built-in function linear>", 12, 48)
    written.op("aten::mm", 20, 30, MM)
    written.op("aten::bmm", 85, 88, [(2, 8, 16), (2, 16, 4)])
    table = written.read()
    assert table.words("module") == ["Net_0.Linear_3", ""]
    assert table.words("source") == ["model.py:34", "train.py:12"]


def test_rounding_that_lets_a_child_outlast_its_parent_does_not_unnest_it(written):
    written.engine("MmBackward0", 0, 10, 4)
    written.op("aten::mm", 1, 10.25, MM)
    written.op("aten::bmm", 10.1, 12, [(2, 8, 16), (2, 16, 4)])
    assert phases(written.read()) == {"aten::mm": Phase.BACKWARD, "aten::bmm": Phase.FORWARD}
