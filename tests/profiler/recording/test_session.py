"""`with goodput.record(path) as r: ... r.step()`, alone and under `goodput run`."""

from __future__ import annotations

import sys

import pytest

from goodput.errors import UsageError
from goodput.readers import recording_file
from goodput.recording.session import record

torch = pytest.importorskip("torch")


def functional_training(session, steps):
    weight = torch.randn(64, 64, requires_grad=True)
    for _ in range(steps):
        (torch.randn(128, 64) @ weight).pow(2).mean().backward()
        with torch.no_grad():
            weight -= 0.1 * weight.grad
            weight.grad = None
        session.step()


def test_a_program_without_optimizer_or_module(tmp_path):
    path = tmp_path / "name.goodput"
    with record(path, steps=5, warmup=2) as session:
        functional_training(session, 40)
    recording, _ = recording_file.load(path)
    assert session.recording is not None
    assert recording.wall_seconds == session.recording.wall_seconds
    assert len(recording.wall_seconds) == 5
    assert recording.trace.steps
    product = 2 * 128 * 64 * 64
    assert sum(e.work.flops for e in recording.work.entries if e.work) == 2 * product
    assert "__call__" not in torch.nn.Linear.__dict__


def test_too_few_steps_are_told(tmp_path, capsys):
    path = tmp_path / "name.goodput"
    with record(path) as session:
        functional_training(session, 1)
    assert session.recording is None
    assert not path.exists()
    assert "no whole step was measured" in capsys.readouterr().err


def test_an_error_in_the_session_passes_through(tmp_path):
    def run():
        with record(tmp_path / "x.goodput") as session:
            functional_training(session, 3)
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        run()
    assert torch._C._len_torch_dispatch_stack() == 0


def test_wrong_use_is_told(tmp_path):
    with pytest.raises(UsageError, match="at least 1 step"):
        record(tmp_path / "x.goodput", steps=0)
    session = record(tmp_path / "x.goodput")
    with pytest.raises(UsageError, match="inside"):
        session.step()


def test_under_goodput_run_the_session_marks_the_steps(scripts):
    script = """
        import goodput, torch
        weight = torch.randn(64, 64, requires_grad=True)
        with goodput.record("unused.goodput") as session:
            for step in range(50):
                (torch.randn(128, 64) @ weight).sum().backward()
                session.step()
    """
    recorded = scripts.record(scripts.write(script), warmup=2)
    assert recorded.process.stderr == ""
    assert recorded.recording is not None
    assert recorded.recording.steps_seen == 50
    assert not (scripts.folder / "unused.goodput").exists()
    again = scripts.launch(sys.executable, str(scripts.folder / "script.py"))
    assert (again.stderr, again.returncode) == ("", 0)
    assert recording_file.load(scripts.folder / "unused.goodput")[0].steps_seen == 50
