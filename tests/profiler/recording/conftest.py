"""Runs scripts in processes of their own, measured and plain."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path

import pytest

from goodput.device import DeviceIdentity
from goodput.readers import recording_file
from goodput.trace.recording import Recording
from goodput.trace.table import Invocations, StepTime, Trace

# What `goodput run` does up to the report: records, saves, and ends with the script's status.
DRIVER = """
import json, sys
from pathlib import Path
from goodput.readers import recording_file
from goodput.recording.run import RunOptions, ScriptTarget, record_script

place, options, path, *argv = sys.argv[1:]
target = ScriptTarget(path, None, tuple(argv))
outcome = record_script(target, RunOptions(**json.loads(options)))
if outcome.recording is not None:
    recording_file.save(outcome.recording, Path(place) / "recording.goodput")
(Path(place) / "reason.txt").write_text(outcome.reason)
sys.exit(outcome.exit_status)
"""


@dataclass(frozen=True)
class Recorded:
    """A measured run of a script: what it printed, how it ended, and what was recorded."""

    process: subprocess.CompletedProcess[str]
    recording: Recording | None
    reason: str


@dataclass(frozen=True)
class Scripts:
    """Writes and runs scripts in one directory."""

    folder: Path
    environment: dict[str, str]

    def write(self, text, name="script.py"):
        path = self.folder / name
        path.write_text(textwrap.dedent(text))
        return path

    def plain(self, path, *argv):
        return self.launch(sys.executable, str(path), *argv)

    def launch(self, *words):
        return subprocess.run(
            words,
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    def record(self, path, *argv, **options):
        driver = self.folder / "inner" / "driver.py"
        driver.parent.mkdir(exist_ok=True)
        driver.write_text(DRIVER)
        saved = driver.parent / "recording.goodput"
        saved.unlink(missing_ok=True)
        process = self.launch(
            sys.executable,
            str(driver),
            str(driver.parent),
            json.dumps(options),
            str(path),
            *argv,
        )
        recording = recording_file.load(saved)[0] if saved.exists() else None
        reason = driver.parent / "reason.txt"
        return Recorded(process, recording, reason.read_text() if reason.exists() else "")


@pytest.fixture
def scripts(tmp_path: Path, repository: Path) -> Scripts:
    paths = (str(repository / "profiler"), str(repository / "kernels"))
    variables = {"PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}
    return Scripts(tmp_path, {**os.environ, **variables})


CPU = DeviceIdentity("cpu", "a CPU, 2 cores", 2)


def recording_of_rank(rank=0, seconds=1.0, device=CPU, place="host/cpu", flops=10):
    rows = {
        "step": [0, 0, 1],
        "operator": [1, 2, 1],
        "flops": [flops, 0, flops],
        "modelled": [True, True, True],
        "device_seconds": [0.1, 0.2, 0.1],
    }
    steps = tuple(StepTime(n, seconds, seconds / 2, seconds / 2, 0.0, 10) for n in range(2))
    trace = Trace(
        device=device,
        framework="torch",
        steps=steps,
        invocations=Invocations.of(rows),
        strings=("", "aten::mm", f"only::rank{rank}"),
        rank=rank,
        world_size=2,
    )
    return Recording(
        program="train.py",
        created="2026-01-31T12:00:00+00:00",
        trace=trace,
        wall_seconds=(seconds, seconds),
        basis="host",
        tokens_per_step=100.0,
        environment={"device_place": place},
    )


@pytest.fixture
def recording():
    """Makes a rank's recording by hand."""
    return recording_of_rank
