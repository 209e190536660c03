"""`goodput.record`: what stands in its file, and that nothing at its end disturbs the program."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

import goodput
from goodput.calibration.device import identity
from goodput.capacity import store
from goodput.capacity.profile import Capacity
from goodput.commands import judgement
from goodput.errors import UsageError
from goodput.readers import recording_file

torch = pytest.importorskip("torch")


@pytest.fixture
def roofs(capacity: Capacity) -> Capacity:
    """Roofs of this machine's CPU, made up."""
    peak = replace(capacity.flops_per_s["float32"], rate=1e15)
    return replace(capacity, device=identity("cpu"), flops_per_s={"float32": peak})


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch, roofs: Capacity) -> list[object]:
    """Makes the measuring of roofs quick; holds the devices that were to be measured."""
    asked: list[object] = []
    monkeypatch.setattr(
        judgement, "capacity_of", lambda device, *_, **__: asked.append(device) or roofs
    )
    return asked


@contextmanager
def recorded(path: Path, **options: object) -> Iterator[None]:
    """A program of marked steps in a session, and then the body in it too."""
    with goodput.record(path, steps=3, warmup=1, **options) as session:
        weight = torch.randn(64, 64, requires_grad=True)
        for _ in range(25):
            (torch.randn(128, 64) @ weight).pow(2).mean().backward()
            session.step()
        yield
    assert session.recording is not None


def test_its_report_has_ratios(tmp_path, measured, roofs, capsys) -> None:
    with recorded(tmp_path / "a.goodput"):
        pass
    assert measured == [roofs.device]
    stored = goodput.load(tmp_path / "a.goodput")
    assert stored.capacity == roofs
    assert 0 < stored.report().totals.program_goodput < 1
    assert capsys.readouterr().err == ""


def test_without_roofs_there_are_none(tmp_path, measured) -> None:
    with recorded(tmp_path / "a.goodput", capacity=False):
        pass
    assert measured == []
    assert recording_file.load(tmp_path / "a.goodput")[1] is None


def test_given_roofs_are_kept(tmp_path, measured, roofs) -> None:
    store.save(tmp_path / "roofs.json", roofs)
    with recorded(tmp_path / "a.goodput", capacity=tmp_path / "roofs.json"):
        pass
    with recorded(tmp_path / "b.goodput", capacity=str(tmp_path / "a.goodput")):
        pass
    with recorded(tmp_path / "c.goodput", capacity=roofs):
        pass
    for name in "abc":
        assert goodput.load(tmp_path / f"{name}.goodput").capacity == roofs
    assert measured == []


def test_wrong_use_is_told_before_the_block(tmp_path) -> None:
    (tmp_path / "roofs.json").write_text("{}")
    with pytest.raises(UsageError):
        goodput.record(tmp_path / "a.goodput", capacity=tmp_path / "roofs.json")
    with pytest.raises(UsageError, match="at least 1 step"):
        goodput.record(tmp_path / "a.goodput", steps=0)
    with pytest.raises(UsageError, match="at least 1 step"):
        goodput.record(tmp_path / "a.goodput", warmup=-1)


def test_roofs_of_another_device_are_told_and_lose_no_recording(
    tmp_path, other_capacity, capsys
) -> None:
    with recorded(tmp_path / "a.goodput", capacity=other_capacity):
        pass
    assert "Another Device" in capsys.readouterr().err
    assert recording_file.load(tmp_path / "a.goodput")[1] is None


def test_an_error_in_the_block_is_not_held_up_and_loses_no_recording(tmp_path, measured) -> None:
    with pytest.raises(KeyError, match="mine"), recorded(tmp_path / "a.goodput"):
        raise KeyError("mine")
    assert measured == []
    assert recording_file.load(tmp_path / "a.goodput")[0].trace.steps


def test_an_end_by_exit_is_no_error(tmp_path, measured, roofs) -> None:
    with pytest.raises(SystemExit), recorded(tmp_path / "a.goodput"):
        sys.exit(0)
    assert measured == [roofs.device]


@pytest.mark.usefixtures("measured")
def test_what_cannot_be_saved_is_told_and_raises_nothing(tmp_path, capsys) -> None:
    (tmp_path / "file").touch()
    with recorded(tmp_path / "file" / "a.goodput"):
        pass
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("goodput: the recording could not be saved")
    assert "Not a directory" in line
    with pytest.raises(KeyError, match="mine"), recorded(tmp_path / "file" / "a.goodput"):
        raise KeyError("mine")


def test_roofs_that_cannot_be_measured_are_told_and_lose_no_recording(
    tmp_path, monkeypatch, capsys
) -> None:
    def out_of_memory(*_: object, **__: object) -> Capacity:
        raise RuntimeError("CUDA out of memory.\nMore about it")

    monkeypatch.setattr(judgement, "capacity_of", out_of_memory)
    with recorded(tmp_path / "a.goodput"):
        pass
    assert "could not be measured (CUDA out of memory.)" in capsys.readouterr().err
    assert recording_file.load(tmp_path / "a.goodput")[1] is None


def test_an_interrupt_while_roofs_are_measured_loses_no_recording(tmp_path, monkeypatch) -> None:
    def interrupt(*_: object, **__: object) -> Capacity:
        raise KeyboardInterrupt

    monkeypatch.setattr(judgement, "capacity_of", interrupt)
    with pytest.raises(KeyboardInterrupt), recorded(tmp_path / "a.goodput"):
        pass
    assert recording_file.load(tmp_path / "a.goodput")[0].trace.steps


@pytest.mark.usefixtures("measured")
def test_one_file_a_rank_where_the_session_began(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "other").mkdir()
    with recorded(Path("a.goodput")):
        os.chdir("other")
    assert [path.name for path in tmp_path.glob("**/*.goodput")] == ["a.rank1.goodput"]
    assert (tmp_path / "a.rank1.goodput").exists()


SCRIPT = """
import goodput, torch
weight = torch.randn(64, 64, requires_grad=True)
with goodput.record("marked.goodput", steps=3, warmup=1) as session:
    for step in range(50):
        (torch.randn(128, 64) @ weight).sum().backward()
        session.step()
"""


def run(folder: Path, *how: str) -> subprocess.CompletedProcess[str]:
    (folder / "script.py").write_text(SCRIPT)
    return subprocess.run(
        [sys.executable, *how, "script.py"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def test_alone_it_measures_the_roofs_of_the_machine(tmp_path: Path) -> None:
    done = run(tmp_path)
    assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)
    stored = goodput.load(tmp_path / "marked.goodput")
    assert stored.recording.steps_seen == 50
    assert stored.capacity is not None
    assert stored.capacity.device == stored.recording.trace.device
    assert stored.report().totals.program_goodput is not None


@pytest.mark.slow
def test_under_goodput_run_it_only_marks_the_steps(tmp_path: Path, roofs: Capacity) -> None:
    store.save(tmp_path / "roofs.json", roofs)
    options = ("--warmup", "2", "--capacity", "roofs.json")
    done = run(tmp_path, "-m", "goodput", "run", *options)
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "marked.goodput").exists()
    assert goodput.load(tmp_path / "script.goodput").recording.steps_seen == 50
