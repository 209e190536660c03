"""A launcher is answered with the command that puts goodput inside the workers."""

from __future__ import annotations

import pytest

from goodput.recording.launchers import advice_for
from goodput.recording.script import ScriptTarget


@pytest.mark.parametrize(
    ("target", "command"),
    [
        (
            ScriptTarget("torchrun", None, ("--nproc-per-node", "2", "train.py", "--lr", "1")),
            "torchrun --nproc-per-node 2 -m goodput run train.py --lr 1",
        ),
        (
            ScriptTarget(None, "torch.distributed.run", ("--nproc-per-node=2", "-m", "pack.train")),
            "torchrun --nproc-per-node=2 -m goodput run -m pack.train",
        ),
        (
            ScriptTarget("/opt/bin/accelerate", None, ("launch", "train.py")),
            "accelerate launch -m goodput run train.py",
        ),
        (
            ScriptTarget(None, "accelerate.commands.launch", ("--num_processes", "2", "a.py")),
            "accelerate launch --num_processes 2 -m goodput run a.py",
        ),
        (
            ScriptTarget("deepspeed", None, ("train.py", "--deepspeed")),
            "deepspeed --module goodput run train.py --deepspeed",
        ),
        (ScriptTarget("torchrun", None), "torchrun -m goodput run train.py"),
    ],
)
def test_the_command_inside(target, command):
    assert advice_for(target).endswith(f": {command}")


def test_ordinary_programs_are_no_launchers():
    assert advice_for(ScriptTarget("train.py", None, ("torchrun",))) == ""
    assert advice_for(ScriptTarget(None, "pack.train")) == ""
