import json
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from goodput.errors import SchemaVersionError, TraceFormatError
from goodput.renderers.json_report import parse_json, render_json
from goodput.report.model import OperatorRow, Report

NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
UNKNOWN_OR_NUMBERS = st.none() | NUMBERS


def test_gold(report: Report, gold: Callable[[str, str], None]) -> None:
    short = replace(report, operators=report.operators[:2], modules=report.modules[:2])
    gold("report.json", render_json(short))


def test_the_keys_are_those_of_the_schema(report: Report) -> None:
    keys = json.loads(render_json(report))
    assert keys["schema"] == "goodput.report/1"
    assert {"device", "environment", "convention", "capacity", "step", "totals", "ladder"} < set(
        keys
    )
    assert {"operators", "coverage", "warnings"} < set(keys)
    assert set(keys["step"]) == {"count", "basis", "seconds"}
    assert {"median", "p05", "p95"} < set(keys["step"]["seconds"])
    assert {
        "useful_flops",
        "executed_flops",
        "vector_flops",
        "special",
        "bytes",
        "useful_seconds",
        "ideal_seconds",
        "program_goodput",
        "program_goodput_sustained",
        "roofline_efficiency",
        "mfu",
        "hfu",
        "useful_flops_per_s",
        "tokens_per_s",
    } < set(keys["totals"])
    assert set(keys["ladder"][0]) == {"rung", "seconds", "share"}
    assert {
        "operator",
        "phase",
        "module",
        "dtype",
        "shapes",
        "calls",
        "useful_flops",
        "executed_flops",
        "vector_flops",
        "special",
        "bytes",
        "device_seconds",
        "ideal_seconds",
        "lost_seconds",
        "goodput",
        "roofline_efficiency",
        "bound",
    } < set(keys["operators"][0])
    assert keys["coverage"]["absent_rungs"] == ["shape", "latency"]


def test_unknown_is_null(unknown_report: Report) -> None:
    keys = json.loads(render_json(unknown_report))
    assert keys["device"] is None
    assert keys["capacity"] is None
    assert keys["totals"]["program_goodput"] is None


def test_a_number_that_is_not_finite_is_null(report: Report) -> None:
    strange = replace(report, totals=replace(report.totals, mfu=float("nan")))
    assert json.loads(render_json(strange))["totals"]["mfu"] is None


def test_round_trip(report: Report, broken_report: Report, unknown_report: Report) -> None:
    for each in (report, broken_report, unknown_report):
        assert parse_json(render_json(each)) == each


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(
    numbers=st.tuples(NUMBERS, NUMBERS, UNKNOWN_OR_NUMBERS, UNKNOWN_OR_NUMBERS),
    names=st.tuples(st.text(), st.text()),
)
def test_round_trip_of_any_row(
    report: Report,
    numbers: tuple[float, float, float | None, float | None],
    names: tuple[str, str],
) -> None:
    row: OperatorRow = replace(
        report.operators[0],
        calls=numbers[0],
        device_seconds=numbers[1],
        goodput=numbers[2],
        bytes=numbers[3],
        operator=names[0],
        shapes=names[1],
    )
    one = replace(report, operators=(row,), title=names[0])
    assert parse_json(render_json(one)) == one


def test_a_newer_schema_is_refused() -> None:
    with pytest.raises(SchemaVersionError, match=r"goodput\.report/2"):
        parse_json('{"schema": "goodput.report/2"}')


@pytest.mark.parametrize("text", ["", "[]", "{", '{"schema": "goodput.report/1"}'])
def test_what_is_no_report_is_refused(text: str) -> None:
    with pytest.raises(TraceFormatError, match="no goodput report"):
        parse_json(text)


def test_gold_of_counts_alone(count_only_report: Report, gold: Callable[[str, str], None]) -> None:
    report = count_only_report
    short = replace(report, operators=report.operators[:2], modules=report.modules[:1])
    gold("count_only.json", render_json(short))


def test_what_is_unknown_without_times_is_null_and_comes_back(
    counted_report: Report, count_only_report: Report
) -> None:
    for report in (counted_report, count_only_report):
        assert parse_json(render_json(report)) == report
    keys = json.loads(render_json(count_only_report))
    assert set(keys["step"]["seconds"].values()) == {None}
    assert keys["operators"][0]["device_seconds"] is None
    assert keys["ladder"] == []
