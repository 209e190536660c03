"""Tells a launcher of worker processes from a script: the steps are in the workers.

Pure: command lines in, advice out.
"""

from __future__ import annotations

from pathlib import PurePath

from goodput.recording.script import ScriptTarget

_TORCHRUN = "torchrun"
_MODULES = {
    "torch.distributed.run": _TORCHRUN,
    "torch.distributed.launch": _TORCHRUN,
    "accelerate.commands.launch": "accelerate launch",
    "accelerate.commands.accelerate_cli": "accelerate",
    "deepspeed.launcher.runner": "deepspeed",
}
_SCRIPTS = {
    "torchrun": _TORCHRUN,
    "accelerate": "accelerate",
    "accelerate-launch": "accelerate launch",
    "deepspeed": "deepspeed",
}
_OURS = {"deepspeed": ["--module", "goodput", "run"]}


def advice_for(target: ScriptTarget) -> str:
    """What to type instead where `target` is a launcher; "" where it is an ordinary program."""
    if target.module is not None:
        launcher = _MODULES.get(target.module)
    else:
        launcher = _SCRIPTS.get(PurePath(target.path or "").name)
    if launcher is None:
        return ""
    options, program = _split(target.argv)
    ours = _OURS.get(launcher, ["-m", "goodput", "run"])
    command = " ".join([launcher, *options, *ours, *program])
    return (
        f"{launcher} starts the program in other processes, where goodput cannot see its steps; "
        f"put goodput inside: {command}"
    )


def _split(argv: tuple[str, ...]) -> tuple[list[str], list[str]]:
    """The launcher's own options, and the program with its arguments."""
    for place, word in enumerate(argv):
        if word in {"-m", "--module"}:
            return list(argv[:place]), ["-m", *argv[place + 1 :]]
        if word.endswith(".py"):
            return list(argv[:place]), list(argv[place:])
    return list(argv), ["train.py"]
