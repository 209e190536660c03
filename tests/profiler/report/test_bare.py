"""What is summed entry by entry says what the columns say: one report, however it was made."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from goodput.formulas.conventions import BY_OPERATOR
from goodput.report import counts
from goodput.report.bare import BareStep
from goodput.report.costs import costs_of
from goodput.report.totals import modelled_calls_share, totals_of
from goodput.report.views import VIEWS
from goodput.trace.recording import COUNTED, Recording, WorkEntry, WorkPass
from goodput.trace.table import Invocations, Trace
from goodput.work import Work

SMALL = st.integers(0, 10**6)
WORK = st.builds(Work, SMALL, SMALL, SMALL, SMALL, SMALL, SMALL, SMALL, SMALL)


def entry(operator, phase, module, shapes, mode, work, calls):
    """An entry of `calls` equal calls, each of `work`."""
    whole = None if work is None else work * calls
    return WorkEntry(operator, phase, module, shapes, mode, whole, calls=calls)


ENTRY = st.builds(
    entry,
    st.sampled_from(["aten::mm", "aten::add", "mylib::mystery", "c10d::allreduce_"]),
    st.sampled_from(["forward", "backward", "recompute", "optimizer"]),
    st.sampled_from(["", "blocks.0", "blocks.0.up", "blocks.10.up"]),
    st.sampled_from(["f32[2,2]", ""]),
    st.sampled_from(["float32", ""]),
    st.none() | WORK,
    st.integers(1, 5),
)


def by_names(rows):
    names = ("operator", "phase", "module", "dtype", "shapes", "kernel")
    return {tuple(getattr(row, name) for name in names): row for row in rows}


@settings(max_examples=40)
@given(
    st.lists(ENTRY, min_size=1, max_size=12),
    st.sampled_from(BY_OPERATOR),
    st.sampled_from(sorted(VIEWS)),
)
def test_both_ways_say_the_same(entries, convention, view) -> None:
    empty = Trace(None, "torch", (), Invocations.of({}), ("",))
    recording = Recording("x", "", empty, (), COUNTED, work=WorkPass(tuple(entries)))
    step = BareStep(recording.work, convention)
    trace, calls = counts.counted(recording), counts.calls_of(recording)
    trace, costs = counts.of_all_calls(trace, costs_of(trace, None, convention), calls)
    rows = step.rows_by(view)
    assert by_names(rows) == by_names(counts.rows_by(trace, costs, calls, view))
    ranked = [-(row.useful_flops or 0.0) for row in rows if row.useful_flops is not None]
    assert ranked == sorted(ranked)
    # What bounds a module as a whole is told from its rows there, and from its calls here.
    tree = counts.module_tree(trace, costs, calls)
    assert [replace(row, bound="") for row in step.modules] == [
        replace(row, bound="") for row in tree
    ]
    assert step.totals == totals_of(trace, costs, None, None)
    assert step.modelled_calls_share == modelled_calls_share(trace, calls)
    assert counts.bare_coverage(recording, step) == counts.coverage(recording, trace, costs, calls)
