from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from goodput.renderers.text import render_text
from goodput.report.model import Report
from goodput.report.totals import untimed

NOW = datetime(2026, 8, 11, tzinfo=UTC)


@pytest.mark.parametrize("width", [80, 100, 120])
def test_gold(report: Report, gold: Callable[[str, str], None], width: int) -> None:
    gold(f"report_{width}.txt", render_text(report, width=width, now=NOW))


@pytest.mark.parametrize("width", [80, 95, 120])
def test_no_line_is_wider_than_the_terminal(report: Report, width: int) -> None:
    assert max(map(len, render_text(report, width=width).splitlines())) <= width


def test_the_headline_and_the_ladder_stand_on_the_first_screen(report: Report) -> None:
    first_screen = render_text(report).splitlines()[:34]
    assert any(line.startswith("program goodput") and "50.0 %" in line for line in first_screen)
    assert any(line.startswith("total") and "100.0 %" in line for line in first_screen)


def test_above_the_limit_is_an_error_and_never_a_percentage(broken_report: Report) -> None:
    text = render_text(broken_report, width=120)
    assert "error: the step does 2.10 times" in text
    for percentage in ("210", "170", "220", "105", "110"):
        assert f"{percentage}.0 %" not in text
    headline = next(line for line in text.splitlines() if line.startswith("program goodput"))
    assert "error" in headline
    row = next(line for line in text.splitlines() if line.startswith("mm "))
    assert row.split().count("error") == 2


def test_below_the_limit_is_a_percentage(report: Report) -> None:
    text = render_text(replace(report, totals=replace(report.totals, program_goodput=1.02)))
    assert "102.0 %" in text
    assert "error" not in text


def test_a_soft_roof_may_be_passed_and_the_note_says_why(report: Report) -> None:
    text = render_text(report, width=120)
    row = next(line for line in text.splitlines() if line.startswith("add_"))
    assert "> 100 %" in row
    assert "140" not in row
    assert "> 100 %: a cache served it" in text


def test_unknown_is_never_zero(unknown_report: Report) -> None:
    text = render_text(unknown_report)
    for label in ("program goodput", "MFU", "HFU"):
        line = next(line for line in text.splitlines() if line.startswith(label))
        assert line.removeprefix(label).strip().startswith("n/a")
    assert "--capacity FILE" in text


def test_absent_rungs_are_named(report: Report) -> None:
    text = render_text(report)
    assert "not measured on this run, so not 0: shape, latency" in text
    assert not any(line.startswith(("shape", "latency")) for line in text.splitlines())


def test_what_is_left_out_of_the_table_is_counted(report: Report) -> None:
    assert "… 4 more with 400 us (0.4 % of the step)" in render_text(report)


def test_colours_only_where_asked_and_they_change_no_word(report: Report) -> None:
    plain = render_text(report)
    coloured = render_text(report, colour=True)
    assert "\x1b[" not in plain
    assert "\x1b[" in coloured
    for code in ("\x1b[0m", "\x1b[1m", "\x1b[33m", "\x1b[31m"):
        coloured = coloured.replace(code, "")
    assert coloured == plain


def test_views_by_module_and_phase_show_only_their_own_names(report: Report) -> None:
    phases = tuple(
        replace(row, operator="", dtype="", shapes="", phase=phase)
        for row, phase in zip(report.operators[:2], ("forward", "backward"), strict=True)
    )
    text = render_text(replace(report, operators=phases))
    header = next(line for line in text.splitlines() if line.startswith("phase"))
    assert header.split()[:2] == ["phase", "calls"]


def test_the_age_of_the_capacity_is_told(report: Report) -> None:
    assert "9 days ago" in render_text(report, now=NOW)
    assert "days ago" not in render_text(report)


def test_a_scaled_step_says_so(report: Report) -> None:
    text = render_text(replace(report, coverage=replace(report.coverage, scale=0.931)))
    assert "by 0.931" in text


@pytest.mark.parametrize("width", [80, 120])
def test_gold_of_counts_and_step_times(
    counted_report: Report, gold: Callable[[str, str], None], width: int
) -> None:
    text = render_text(counted_report, width=width, now=NOW)
    assert max(map(len, text.splitlines())) <= width
    gold(f"counted_{width}.txt", text)


def test_gold_of_counts_alone(count_only_report: Report, gold: Callable[[str, str], None]) -> None:
    gold("count_only.txt", render_text(count_only_report))


def test_without_operator_times_it_says_why_and_shows_no_table_of_seconds(
    counted_report: Report, count_only_report: Report
) -> None:
    for report in (counted_report, count_only_report):
        text = render_text(report, width=120)
        assert report.coverage.untimed in text.replace("\n", " ")
        assert "by useful FLOPs" in text
        assert "Where the step went" not in text
        assert "0 s" not in text
    assert "50.0 % of the delivered capacity" in render_text(counted_report)


def test_a_step_that_was_timed_and_never_counted(unknown_report: Report) -> None:
    nothing = replace(
        unknown_report,
        totals=untimed(),
        ladder=(),
        operators=(),
        modules=(),
        coverage=replace(unknown_report.coverage, untimed="none was profiled", unmodelled=()),
    )
    text = render_text(nothing)
    for label in ("program goodput", "MFU", "HFU", "useful", "modelled"):
        line = next(line for line in text.splitlines() if line.startswith(label))
        assert "no step was counted" in line
    assert "100 ms median" in text
