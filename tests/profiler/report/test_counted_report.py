"""The report of bare counts, whose tables are made when they are asked for."""

import copy
import pickle
from dataclasses import replace

import pytest

from goodput.errors import UsageError
from goodput.renderers.json_report import parse_json, render_json
from goodput.report import build
from goodput.report.bare import BareStep
from goodput.report.model import Report
from goodput.trace.recording import COUNTED, Recording, WorkEntry, WorkPass
from goodput.trace.table import Invocations, Trace
from goodput.work import Work

RECORDING = Recording(
    "x",
    "",
    Trace(None, "torch", (), Invocations.of({}), ("",)),
    (),
    COUNTED,
    work=WorkPass(
        (WorkEntry("aten::mm", "forward", "a.b", "f32[2,2]", "float32", Work(16, 16), calls=1),)
    ),
)


@pytest.fixture
def made(monkeypatch):
    """The names of the views that were made."""
    seen = []
    original = BareStep.rows_by

    def rows_by(self, view):
        seen.append(view)
        return original(self, view)

    monkeypatch.setattr(BareStep, "rows_by", rows_by)
    return seen


def test_tables_are_made_once_and_not_before_they_are_asked_for(made) -> None:
    report = build.build(RECORDING, None)
    assert report.totals.useful_flops == 16
    assert made == []
    assert [row.operator for row in report.operators] == ["aten::mm"]
    assert [row.module for row in report.modules] == ["", "a", "a.b"]
    assert report.operators is report.operators
    assert made == ["operator"]


@pytest.mark.parametrize(
    "through",
    [
        copy.deepcopy,
        lambda report: pickle.loads(pickle.dumps(report)),  # noqa: S301 - our own
        lambda report: replace(report, title="y"),
        lambda report: parse_json(render_json(report)),
    ],
    ids=["copied", "pickled", "replaced", "as JSON"],
)
def test_whatever_is_done_with_it_has_them(through) -> None:
    found = through(build.build(RECORDING, None))
    assert isinstance(found, Report)
    assert len(found.operators) == 1
    assert len(found.modules) == 3


def test_it_is_equal_to_any_report_that_says_the_same() -> None:
    report = build.build(RECORDING, None)
    assert report == build.build(RECORDING, None) == parse_json(render_json(report))
    assert report != replace(report, title="y")
    assert report != "report"
    with pytest.raises(AttributeError):
        report.mystery  # noqa: B018


def test_a_view_that_is_not_there_is_told_at_once() -> None:
    with pytest.raises(UsageError):
        build.build(RECORDING, None, by="mystery")
