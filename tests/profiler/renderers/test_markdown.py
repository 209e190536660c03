from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

from goodput.renderers.markdown import render_markdown
from goodput.renderers.text import render_text
from goodput.report.model import Report


def test_gold(report: Report, gold: Callable[[str, str], None]) -> None:
    gold("report.md", render_markdown(report, now=datetime(2026, 8, 11, tzinfo=UTC)))


def test_every_table_row_has_as_many_cells_as_its_header(report: Report) -> None:
    piped = replace(report, operators=(replace(report.operators[0], shapes="a|b*c_d"),))
    blocks = render_markdown(piped).split("\n\n")
    tables = [block.splitlines() for block in blocks if block.startswith("|")]
    assert len(tables) == 4
    for table in tables:
        assert len({line.replace("\\|", "").count("|") for line in table}) == 1


def test_it_says_what_the_text_says(report: Report) -> None:
    text, markdown = render_text(report, width=1000), render_markdown(report).replace("\\", "")
    for line in (
        "program goodput",
        "not measured on this run, so not 0: shape, latency",
        "the mean step is 1.05 times the median",
        "98.7 % of computing time has a formula and a roof",
        "… 4 more with 400 us",
    ):
        assert line in text
        assert line in markdown


def test_above_the_limit_is_an_error(broken_report: Report) -> None:
    markdown = render_markdown(broken_report)
    assert "**error**: the step does 2.10 times" in markdown
    assert "210.0 %" not in markdown


def test_gold_of_counts_alone(count_only_report: Report, gold: Callable[[str, str], None]) -> None:
    gold("count_only.md", render_markdown(count_only_report))
