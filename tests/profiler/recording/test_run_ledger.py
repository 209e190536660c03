"""`goodput run --ledger`: steps, waits and saves of a script that knows of none of it."""

import sys

import pytest

from goodput.ledger.accounts import account_of
from goodput.ledger.jobs import jobs_of
from goodput.ledger.read import read

pytest.importorskip("torch")

TRAIN = """
import os, sys, torch
model = torch.nn.Linear(64, 64)
optimizer = torch.optim.{optimizer}(model.parameters(), lr=0.1)
small = torch.optim.SGD(torch.nn.Linear(2, 2).parameters(), lr=0.1)
step = 0
if os.path.exists("checkpoint.pt"):
    found = torch.load("checkpoint.pt")
    model.load_state_dict(found["model"])
    optimizer.load_state_dict(found["optimizer"])
    step = found["step"]
loader = torch.utils.data.DataLoader(torch.ones(32, 64), batch_size=2)
for batch in loader:
    optimizer.zero_grad()
    model(batch).sum().backward()
    optimizer.step()
    small.step()
    step += 1
    torch.save({{"loss": torch.ones(3)}}, "metrics.pt")
    if step == 10:
        state = {{"model": model.state_dict(), "optimizer": optimizer.state_dict()}}
        torch.save({{**state, "step": step}}, "checkpoint.pt")
    if step == 13 and len(sys.argv) > 1:
        raise RuntimeError("lost")
"""


def run(scripts, *argv, optimizer="Adam"):
    path = scripts.write(TRAIN.format(optimizer=optimizer))
    return scripts.launch(
        sys.executable, "-m", "goodput", "run", "--count-only", "--ledger", "run.jsonl", path, *argv
    )


@pytest.mark.parametrize("optimizer", ["Adam", pytest.param("SGD", marks=pytest.mark.slow)])
def test_a_script_that_fails_and_is_started_again(scripts, optimizer):
    failed = run(scripts, "fail", optimizer=optimizer)
    assert failed.returncode == 1, failed.stderr
    again = run(scripts, optimizer=optimizer)
    assert again.returncode == 0, again.stderr
    assert "holds no step" not in again.stderr
    sessions = read(scripts.folder / "run.jsonl")
    (job,) = jobs_of(sessions)
    found = account_of(job)
    first, second = found.incarnations
    assert (first.ended, second.ended) == ("exit status 1", "clean end")
    # Ten steps were saved (0 to 9), three lost, and sixteen follow from step 10 on.
    assert (first.first_step, first.last_step) == (0, 12)
    assert (second.first_step, second.last_step) == (10, 25)
    assert found.total.steps.kept == 26
    assert found.total.steps.lost == 3
    for bucket in ("data_wait", "checkpoint_save", "checkpoint_load", "initialisation"):
        assert found.total.buckets[bucket] > 0
    # What is small is no checkpoint, and keeps nothing.
    assert set(found.total.custom) == {"torch.save"}
    assert sum(found.total.buckets.values()) == found.total.device_ns


def test_a_script_without_torch_has_a_start_and_an_end(scripts):
    path = scripts.write("print('hello')")
    process = scripts.launch(
        sys.executable, "-m", "goodput", "run", "--ledger", "run.jsonl", str(path)
    )
    assert process.returncode == 3
    assert "run.jsonl holds no step: --ledger finds the optimizer steps of" in process.stderr
    (session,) = read(scripts.folder / "run.jsonl")
    assert session.clean
