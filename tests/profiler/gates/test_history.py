"""The history file only grows, and its index follows it."""

import sqlite3
from dataclasses import replace

import numpy as np
import pytest

from goodput.errors import NotMeasuredError, UsageError
from goodput.gates.history import Entry, append, entries_of, indexed
from goodput.report.steps import all_steps, steps_of
from goodput.report.verdicts import Tier


def entry(value: float, night: int = 0, **fields) -> Entry:
    made = Entry(
        f"2026-08-{night + 1:02}T02:00:00+00:00",
        f"commit{night}",
        "gpt",
        Tier.MEASURED,
        "NVIDIA H200",
        {"cost": value},
        {"torch": "2.13.0"},
    )
    return replace(made, **fields)


def test_lines_are_added_and_found_again(tmp_path):
    path = tmp_path / "history.jsonl"
    append(path, [entry(1.0)])
    (series,) = indexed(path).series()
    assert [point.value for point in series.points] == [1.0]
    append(path, [entry(2.0, 1), entry(3.0, 2, case="other")])
    found = {one.case: [p.value for p in one.points] for one in indexed(path).series()}
    assert found == {"gpt": [1.0, 2.0], "other": [3.0]}
    assert [one.case for one in indexed(path).series(case="other")] == ["other"]
    assert path.with_suffix(".sqlite").is_file()


def test_the_index_follows_lines_that_were_rewritten_and_may_be_lost(tmp_path):
    path = tmp_path / "history.jsonl"
    append(path, [entry(float(n), n) for n in range(5)])
    assert len(next(indexed(path).series()).points) == 5
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:2]))
    assert len(next(indexed(path).series()).points) == 2
    path.with_suffix(".sqlite").write_bytes(b"no database")
    assert len(next(indexed(path).series()).points) == 2


def test_a_torn_line_takes_no_other_with_it(tmp_path):
    path = tmp_path / "history.jsonl"
    append(path, [entry(1.0)])
    with path.open("ab") as file:
        file.write(b'{"created": "20')
    append(path, [entry(2.0, 1)])
    index = indexed(path)
    assert index.skipped == 1
    assert [point.value for point in next(index.series()).points] == [1.0, 2.0]


def test_a_folder_that_cannot_be_written_is_read_in_memory(tmp_path, monkeypatch):
    path = tmp_path / "history.jsonl"
    append(path, [entry(1.0)])
    connect = sqlite3.connect

    def refuse(place, *args):
        if str(place) != ":memory:":
            raise sqlite3.OperationalError("unable to open database file")
        return connect(place, *args)

    monkeypatch.setattr(sqlite3, "connect", refuse)
    assert len(next(indexed(path).series()).points) == 1


def test_what_is_not_there_or_cannot_be_written_is_told(tmp_path):
    with pytest.raises(UsageError, match="--record writes one"):
        indexed(tmp_path / "none.jsonl")
    (tmp_path / "file").write_text("")
    with pytest.raises(NotMeasuredError, match="nothing was recorded"):
        append(tmp_path / "file" / "history.jsonl", [entry(1.0)])


def test_only_runs_with_figures_are_kept(run):
    assert entries_of([replace(run, error="crashed", processes=())], "now") == []
    (kept,) = entries_of([run], "now")
    assert kept.values["bytes"] == 5_000.0
    assert kept.software["torch"] == "2.13.0"


def test_a_lasting_change_names_its_commit_and_what_else_changed(tmp_path):
    path = tmp_path / "history.jsonl"
    random = np.random.default_rng(4)
    for night in range(20):
        later = night >= 12
        value = float(np.exp(random.normal(0, 0.004))) * (1.05 if later else 1.0)
        append(path, [entry(value, night, software={"driver": "581" if later else "580"})])
    (step,) = all_steps(indexed(path).series())
    assert step.point.commit == "commit12"
    assert step.change == pytest.approx(0.05, abs=0.01)
    assert step.worse
    assert step.software == "driver 580 to 581"


def test_an_exact_figure_changes_at_once(tmp_path):
    path = tmp_path / "history.jsonl"
    for night, value in enumerate((5.0, 5.0, 6.0)):
        append(
            path, [entry(1.0, night, tier=Tier.EXACT, device="", values={"graph_breaks": value})]
        )
    (series,) = indexed(path).series()
    (step,) = steps_of(series)
    assert (step.place, step.before, step.after, step.worse) == (2, 5.0, 6.0, True)
