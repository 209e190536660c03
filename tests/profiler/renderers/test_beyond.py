"""The table of what is executed and not useful."""

from dataclasses import replace

from goodput.renderers.beyond import beyond_table
from goodput.renderers.text import render_text
from goodput.report.beyond import CHECKPOINTS, KERNELS, MASKED, TOLD, beyond
from goodput.report.model import Beyond, Report
from goodput.trace.recording import WorkEntry
from goodput.work import Work


def entry(phase: str, work: Work | None, told: int = 0) -> WorkEntry:
    return WorkEntry("aten::bmm", phase, "", "", "float32", work, told_flops=told)


def test_each_cause_by_itself() -> None:
    entries = [
        entry("forward", Work(flops=60, padding_flops=40), told=30),
        entry("backward", Work(flops=8, recompute_flops=2)),
        entry("recompute", Work(flops=5, padding_flops=1, recompute_flops=1), told=1),
        entry("forward", None),
    ]
    found = {one.cause: one.flops for one in beyond(entries)}
    assert found == {CHECKPOINTS: 7, KERNELS: 2, MASKED: 10, TOLD: 30}
    executed = sum(one.work.executed_flops for one in entries if one.work)
    useful = sum(one.work.flops for one in entries if one.work and one.phase != "recompute")
    assert useful + sum(found.values()) == executed


def test_what_is_not_there_has_no_row() -> None:
    assert beyond([entry("forward", Work(flops=1))]) == ()


def test_a_table_with_shares(report: Report) -> None:
    assert beyond_table(report) is None
    executed = report.totals.executed_flops
    assert executed
    told = replace(report, beyond=(Beyond(TOLD, executed / 4),))
    table = beyond_table(told)
    assert table is not None
    assert table.rows[0][0] == TOLD
    assert table.rows[0][-1] == "25.0 %"
    assert "Executed, not useful" in render_text(told)
