from dataclasses import replace

import pytest

from goodput.renderers.operators import SHOWN, operators_table, short_name, short_shapes
from goodput.report.model import Report


@pytest.mark.parametrize(
    ("shapes", "short"),
    [
        ("f32[8,64] f32[64,64]", "f32[8,64] [64,64]"),
        ("f32[8] i64[8] f32[8]", "f32[8] i64[8] f32[8]"),
        ("(48 tensors)", "(48 tensors)"),
        ("", ""),
    ],
)
def test_short_shapes(shapes: str, short: str) -> None:
    assert short_shapes(shapes) == short


def test_only_torchs_own_namespace_is_dropped() -> None:
    assert short_name("aten::mm") == "mm"
    assert short_name("mylib::mm") == "mylib::mm"


def test_the_order_is_the_reports(report: Report) -> None:
    table = operators_table(report)
    assert [row[0] for row in table.rows[:2]] == ["mm", "addmm"]
    assert len(table.rows) == SHOWN


def test_a_group_above_the_limit_that_is_too_small_to_judge_is_explained(report: Report) -> None:
    fast = replace(report, operators=(replace(report.operators[0], goodput=1.2),))
    assert any("in too little time to judge" in note for note in operators_table(fast).notes)


def test_no_operator_no_row(report: Report) -> None:
    assert operators_table(replace(report, operators=())).rows == []


def test_shares_are_of_the_step_and_never_above_it(report: Report) -> None:
    crowded = replace(report, step=replace(report.step, median=0.01))
    table = operators_table(crowded)
    shares = next(column for column in table.columns if column.header == "share")
    assert sum(float(cell.removesuffix(" %")) for cell in shares.cells) <= 100.1


def test_without_times_the_columns_are_of_work(
    counted_report: Report, count_only_report: Report
) -> None:
    table = operators_table(counted_report, shown=16)
    assert table.headers[-7:] == ["calls", "useful", "share", "vector", "bytes", "ideal", "bound"]
    assert table.rows[0][-6:-4] == ("4.80 GFLOP", "48.0 %")
    assert table.rows[-1][0] == "mystery"
    assert table.rows[-1][-6:-1] == ("n/a",) * 5
    assert operators_table(counted_report, shown=10).notes == (
        "… 6 more with 40.0 MFLOP (0.4 %); all of them with --json",
    )
    assert operators_table(count_only_report).headers[-1] == "bytes"
