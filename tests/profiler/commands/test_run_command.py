"""`goodput run` around a measurement that is made by hand; the passes have tests of their own."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import goodput
from goodput.capacity import store
from goodput.capacity.profile import Capacity
from goodput.cli import status_of
from goodput.commands import judgement, run
from goodput.commands.run import default_path
from goodput.recording.run import RunOptions, RunOutcome, ScriptTarget
from goodput.renderers.json_report import parse_json
from goodput.trace.recording import Recording, WorkEntry, WorkPass
from goodput.work import Work

Seen = list[tuple[ScriptTarget, RunOptions]]
Fake = Callable[[RunOutcome], Seen]


@pytest.fixture
def fake(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capacity: Capacity
) -> Callable[[RunOutcome], Seen]:
    """Makes `goodput run` measure nothing: a script writes a line, and this is what was seen."""
    monkeypatch.chdir(tmp_path)

    def install(outcome: RunOutcome) -> Seen:
        seen: Seen = []

        def record(target: ScriptTarget, options: RunOptions) -> RunOutcome:
            seen.append((target, options))
            print("the script's own line")  # noqa: T201  # a script may
            return outcome

        monkeypatch.setattr(run, "record_script", record)
        monkeypatch.setattr(judgement, "capacity_of", lambda *_, **__: capacity)
        return seen

    return install


@pytest.fixture
def good(recording: Recording) -> RunOutcome:
    return RunOutcome(recording=recording, exit_status=0, reason="")


def test_the_report_follows_the_scripts_output_and_the_recording_is_kept(
    fake: Fake, good: RunOutcome, capsys: pytest.CaptureFixture[str], capacity: Capacity
) -> None:
    fake(good)
    assert status_of(["run", "train.py"]) == 0
    captured = capsys.readouterr()
    assert captured.out.startswith("the script's own line\ngoodput: train.py --lr 1\n")
    assert "train.goodput" in captured.err
    stored = goodput.load("train.goodput")
    assert stored.capacity == capacity
    assert stored.report().totals.useful_flops == 2 * 256**3


@pytest.mark.parametrize(
    ("arguments", "name", "rest", "is_module"),
    [
        (["x.py"], "x.py", [], False),
        (
            ["x.py", "--steps", "3", "-m", "-o", "y", "--", "z"],
            "x.py",
            ["--steps", "3", "-m", "-o", "y", "--", "z"],
            False,
        ),
        (["--steps", "5", "x.py", "--unknown", "--help"], "x.py", ["--unknown", "--help"], False),
        (["-m", "pkg.train", "--steps", "3"], "pkg.train", ["--steps", "3"], True),
        (["--steps", "5", "-m", "pkg.train", "-m"], "pkg.train", ["-m"], True),
        (["x.py", ""], "x.py", [""], False),
    ],
)
def test_everything_after_the_script_is_its_own(
    fake: Fake,
    good: RunOutcome,
    arguments: list[str],
    name: str,
    rest: list[str],
    is_module: bool,
) -> None:
    seen = fake(good)
    assert status_of(["run", "--stop-after", *arguments]) == 0
    target, options = seen[0]
    assert (target.module if is_module else target.path) == name
    assert (target.path if is_module else target.module) is None
    assert list(target.argv) == rest
    assert options.steps == (5 if arguments[0] == "--steps" else 10)
    assert options.stop_after


def test_the_scripts_status_outranks_ours(
    fake: Fake, good: RunOutcome, capsys: pytest.CaptureFixture[str]
) -> None:
    fake(replace(good, exit_status=7))
    assert status_of(["run", "train.py"]) == 7
    assert "program goodput" in capsys.readouterr().out


def test_no_whole_step_is_3_and_the_reason(fake: Fake, capsys: pytest.CaptureFixture[str]) -> None:
    fake(RunOutcome(recording=None, exit_status=0, reason="no whole step was seen; mark steps"))
    assert status_of(["run", "train.py"]) == 3
    captured = capsys.readouterr()
    assert captured.err == "goodput: no whole step was seen; mark steps\n"
    assert not Path("train.goodput").exists()


def test_no_whole_step_of_a_script_that_failed_is_the_scripts_status(
    fake: Fake, capsys: pytest.CaptureFixture[str]
) -> None:
    fake(RunOutcome(recording=None, exit_status=1, reason="it ended before a whole step"))
    assert status_of(["run", "train.py"]) == 1
    assert "before a whole step" in capsys.readouterr().err


def test_above_the_limit_is_5_if_the_roof_stays_where_it_is(
    fake: Fake,
    good: RunOutcome,
    low_capacity: Capacity,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    fake(good)
    again = []
    monkeypatch.setattr(judgement, "capacity_of", lambda *_, **__: low_capacity)
    monkeypatch.setattr(
        judgement, "remeasure", lambda given, *_, **__: again.append(given) or given
    )
    assert status_of(["run", "train.py"]) == 5
    assert again == [low_capacity]
    assert "\nerror: " in capsys.readouterr().out


def test_a_roof_that_was_measured_too_low_is_raised(
    fake: Fake,
    good: RunOutcome,
    low_capacity: Capacity,
    capacity: Capacity,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fake(good)
    monkeypatch.setattr(judgement, "capacity_of", lambda *_, **__: low_capacity)
    monkeypatch.setattr(judgement, "remeasure", lambda *_, **__: capacity)
    assert status_of(["run", "train.py"]) == 0
    assert goodput.load("train.goodput").capacity == capacity


def test_a_device_that_cannot_be_measured_is_told_and_the_report_stands(
    fake: Fake,
    good: RunOutcome,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def out_of_memory(*_: object, **__: object) -> Capacity:
        raise RuntimeError("CUDA out of memory.\nMore about it")

    fake(good)
    monkeypatch.setattr(judgement, "capacity_of", out_of_memory)
    assert status_of(["run", "train.py"]) == 0
    captured = capsys.readouterr()
    assert "33.6 MFLOP a step" in captured.out
    assert "could not be measured (CUDA out of memory.)\n" in captured.err
    assert goodput.load("train.goodput").capacity is None


@pytest.mark.parametrize("option", ["-o", "--json", "--markdown"])
def test_what_cannot_be_written_is_3_and_the_report_still_stands(
    fake: Fake, good: RunOutcome, option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    fake(good)
    assert status_of(["run", option, "no/such/place", "train.py"]) == 3
    captured = capsys.readouterr()
    assert "program goodput" in captured.out
    assert sum("no/such/place" in line for line in captured.err.splitlines()) == 1


def test_a_recording_that_nobody_asked_for_may_be_lost_and_that_is_said(
    fake: Fake, good: RunOutcome, capsys: pytest.CaptureFixture[str]
) -> None:
    fake(good)
    Path("train.goodput").mkdir()
    assert status_of(["run", "train.py"]) == 0
    captured = capsys.readouterr()
    assert "program goodput" in captured.out
    assert "could not be saved" in captured.err


def test_a_script_that_changes_the_directory_moves_no_file(
    fake: Fake, good: RunOutcome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake(good)
    record = run.record_script

    def elsewhere(target: ScriptTarget, options: RunOptions) -> RunOutcome:
        (tmp_path / "other").mkdir()
        monkeypatch.chdir(tmp_path / "other")
        return record(target, options)

    monkeypatch.setattr(run, "record_script", elsewhere)
    assert status_of(["run", "--json", "report.json", "train.py"]) == 0
    assert {path.name for path in tmp_path.iterdir()} == {"other", "report.json", "train.goodput"}


def test_a_file_that_cannot_be_written_does_not_hide_the_scripts_status(
    fake: Fake, good: RunOutcome
) -> None:
    fake(replace(good, exit_status=9))
    assert status_of(["run", "-o", "no/such/place", "train.py"]) == 9


def test_json_is_alone_on_stdout_and_that_is_said(
    fake: Fake, good: RunOutcome, capsys: pytest.CaptureFixture[str]
) -> None:
    fake(good)
    assert status_of(["run", "--json", "-", "train.py"]) == 0
    captured = capsys.readouterr()
    assert parse_json(captured.out).title == "train.py --lr 1"
    assert "the script's own line" in captured.err
    assert "stdout is the report's alone" in captured.err


def test_the_given_capacity_is_used_and_kept(
    fake: Fake, good: RunOutcome, tmp_path: Path, low_capacity: Capacity
) -> None:
    fake(good)
    store.save(tmp_path / "roofs.json", low_capacity)
    assert status_of(["run", "--capacity", "roofs.json", "-o", "kept.goodput", "x.py"]) == 5
    assert goodput.load("kept.goodput").capacity == low_capacity


def test_the_capacity_of_another_device_loses_no_recording(
    fake: Fake,
    good: RunOutcome,
    tmp_path: Path,
    other_capacity: Capacity,
    capsys: pytest.CaptureFixture[str],
) -> None:
    fake(good)
    store.save(tmp_path / "roofs.json", other_capacity)
    assert status_of(["run", "--capacity", "roofs.json", "x.py"]) == 2
    assert "Another Device" in capsys.readouterr().err
    assert goodput.load("x.goodput").recording.program == "train.py --lr 1"


def test_a_bad_capacity_file_is_told_before_the_script_runs(
    fake: Fake, good: RunOutcome, tmp_path: Path
) -> None:
    seen = fake(good)
    (tmp_path / "roofs.json").write_text("{}")
    assert status_of(["run", "--capacity", "roofs.json", "x.py"]) == 2
    assert seen == []


@pytest.mark.parametrize(
    ("script", "is_module", "name"),
    [
        ("a/b/train.py", False, "train.goodput"),
        ("train", False, "train.goodput"),
        ("pkg.train", True, "train.goodput"),
        ("pkg", True, "pkg.goodput"),
    ],
)
def test_default_path(script: str, is_module: bool, name: str) -> None:
    assert default_path(script, is_module=is_module) == Path(name)


@pytest.fixture
def counted(recording: Recording) -> Recording:
    """The same program where one step was counted, and nothing was timed."""
    entry = WorkEntry("aten::mm", "forward", "", "f32[256,256]", "float32", Work(flops=2 * 256**3))
    table = recording.trace.invocations.select(np.zeros(0, dtype=np.int64))
    trace = replace(recording.trace, steps=(), invocations=table)
    return replace(recording, trace=trace, wall_seconds=(), work=WorkPass((entry,)))


def test_counts_alone_are_a_report_with_status_0_and_no_roof_is_measured(
    fake: Fake,
    counted: Recording,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    seen = fake(RunOutcome(replace(counted, count_only=True), 0))
    monkeypatch.setattr(judgement, "capacity_of", lambda *_, **__: pytest.fail("a roof"))
    assert status_of(["run", "--count-only", "train.py"]) == 0
    assert seen[0][1].count_only
    out = capsys.readouterr().out
    assert "33.6 MFLOP a step" in out
    assert "--count-only" in out
    assert goodput.load("train.goodput").report().totals.useful_flops == 2 * 256**3


def test_a_step_that_was_timed_asks_for_roofs(
    fake: Fake, counted: Recording, capsys: pytest.CaptureFixture[str]
) -> None:
    fake(RunOutcome(replace(counted, wall_seconds=(0.001,), steps_seen=3), 0))
    assert status_of(["run", "train.py"]) == 0
    out = capsys.readouterr().out
    # 33.6 MFLOP in 1 ms against 60 GFLOP/s.
    assert "55.9 % of the delivered capacity" in out
    assert "3 steps were seen and none was profiled" in out


def test_a_count_is_not_asked_for_without_the_option(fake: Fake, good: RunOutcome) -> None:
    seen = fake(good)
    assert status_of(["run", "train.py"]) == 0
    assert not seen[0][1].count_only


@pytest.mark.parametrize("view", ["operator", "module", "phase", "kernel"])
def test_counts_have_every_view(fake: Fake, counted: Recording, view: str) -> None:
    fake(RunOutcome(counted, 0))
    assert status_of(["run", "--by", view, "--json", "report.json", "train.py"]) == 0
    report = parse_json(Path("report.json").read_text())
    assert sum(row.useful_flops or 0 for row in report.operators) == 2 * 256**3


def test_counts_of_a_script_that_failed_are_reported_with_its_status(
    fake: Fake, counted: Recording, capsys: pytest.CaptureFixture[str]
) -> None:
    fake(RunOutcome(counted, 7))
    assert status_of(["run", "train.py"]) == 7
    assert "33.6 MFLOP a step" in capsys.readouterr().out
    assert Path("train.goodput").exists()
