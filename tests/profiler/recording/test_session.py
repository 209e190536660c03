"""A session of marked steps: what it measures, and what it leaves alone."""

from __future__ import annotations

import tempfile

import pytest

from goodput.errors import NotMeasuredError, UsageError
from goodput.recording.session import Session

torch = pytest.importorskip("torch")


class Ended(Session):
    """A session that notes what it would do with its recording and what it would say."""

    def __init__(self, steps=10, warmup=None):
        super().__init__(steps, warmup, lambda *given: self.given.append(given), self.say)
        self.given = []
        self.told = []

    def say(self, sentence):
        self.told.append(sentence)


def functional_training(session, steps):
    weight = torch.randn(64, 64, requires_grad=True)
    for _ in range(steps):
        (torch.randn(128, 64) @ weight).pow(2).mean().backward()
        with torch.no_grad():
            weight -= 0.1 * weight.grad
            weight.grad = None
        session.step()


def test_a_program_without_optimizer_or_module():
    with Ended(steps=5, warmup=2) as session:
        functional_training(session, 40)
    recording = session.recording
    assert recording is not None
    assert session.given == [(recording, None)]
    assert session.told == []
    assert len(recording.wall_seconds) == 5
    assert recording.trace.steps
    product = 2 * 128 * 64 * 64
    assert sum(e.work.flops for e in recording.work.entries if e.work) == 2 * product
    assert "__call__" not in torch.nn.Linear.__dict__


def test_no_step_is_told():
    with Ended() as session:
        pass
    assert session.recording is None
    assert session.given == []
    assert "no whole step was measured" in session.told[0] or "no step was seen" in session.told[0]


def test_an_error_in_the_session_passes_through_with_what_was_measured():
    session = Ended(steps=2, warmup=1)

    def run():
        with session:
            functional_training(session, 40)
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        run()
    ((recording, error),) = session.given
    assert recording is session.recording
    assert isinstance(error, KeyError)
    assert torch._C._len_torch_dispatch_stack() == 0


def test_a_device_that_fails_at_the_end_is_told(monkeypatch):
    from goodput.frontends.torch_program import TorchProgram

    def finish(program):
        program._detach()
        raise RuntimeError("an illegal memory access was encountered")

    monkeypatch.setattr(TorchProgram, "finish", finish)
    with Ended() as session:
        pass
    assert session.told == ["the device gave no times: an illegal memory access was encountered"]


def test_no_room_for_temporary_files_is_told_at_the_start(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "file"))
    session = Ended()
    with pytest.raises(NotMeasuredError, match="set TMPDIR"), session:
        pytest.fail("the block must not be entered")


def test_a_step_outside_is_told():
    with pytest.raises(UsageError, match="inside"):
        Ended().step()
