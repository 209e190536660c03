"""How fast a 500 MB torch.profiler trace becomes a finished report on one core, and in what memory.

    python benchmarks/reader.py [TRACE.json[.gz]] [--megabytes N] [--hta]

Repeats a real trace (times, ids and step numbers shifted) to the wanted size, has `goodput show`
read it in a process of its own, and prints the wall's seconds, the processor's (what one core needs
when others want it too: the goal is held against these), MB/s and the peak of resident memory. With
`--hta`, Holistic Trace Analysis reads the same file in the same run, in an environment of its own
that the script makes and removes; where it cannot be installed that is said.
"""

from __future__ import annotations

import argparse
import gzip
import os
import subprocess
import sys
import tempfile
import time
import venv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

REPOSITORY = Path(__file__).resolve().parent.parent
TRACE = "mi300x-resnet-ddp-train-checkpointing.json.gz"
MEGABYTE = 10**6
KILOBYTE_OF_RUSAGE = 2**10
MOST_SECONDS = 10.0
MOST_MEGABYTES = 1000.0
PAUSE_MICROSECONDS = 100
IDS = ("External id", "correlation", "Sequence number", "Ev Idx", "Python id", "Python parent id")
STEP = "ProfilerStep#"
HTA = ("HolisticTraceAnalysis", "pandas<3")
HTA_ANALYSES = """
import sys, warnings
warnings.filterwarnings("ignore")
from hta.trace_analysis import TraceAnalysis
analysis = TraceAnalysis(trace_files={0: sys.argv[1]}, trace_dir=sys.argv[2])
analysis.get_temporal_breakdown(visualize=False)
analysis.get_gpu_kernel_breakdown(visualize=False)
analysis.get_idle_time_breakdown(ranks=[0], visualize=False)
analysis.get_comm_comp_overlap(visualize=False)
"""


@dataclass(frozen=True)
class Reading:
    """One reading of the file."""

    reader: str
    seconds: float
    processor_seconds: float
    megabytes: float
    size: int

    def line(self) -> str:
        """The reading for people."""
        rate = self.size / MEGABYTE / self.processor_seconds
        clocks = f"{self.seconds:7.2f} s wall {self.processor_seconds:7.2f} s processor"
        return f"{self.reader:<24} {clocks} {rate:6.0f} MB/s {self.megabytes:6.0f} MB peak"


class Repeater:
    """The events of one trace, ready to be written again later in time and under other ids."""

    def __init__(self, trace: Path) -> None:
        raw = trace.read_bytes()
        text = gzip.decompress(raw) if trace.name.endswith(".gz") else raw
        self.head: dict[str, Any] = msgspec.json.decode(text)
        events = self.head.pop("traceEvents")
        self.metadata = [event for event in events if event.get("ph") == "M"]
        self.events = [event for event in events if event.get("ph") != "M" and "ts" in event]
        begin = min(event["ts"] for event in self.events)
        end = max(event["ts"] + event.get("dur", 0) for event in self.events)
        self.span = end - begin + PAUSE_MICROSECONDS
        self.numbers = [
            (holder, key, holder[key], step) for holder, key, step in self._shifted() if step
        ]
        self.steps = [
            (event, int(event["name"].removeprefix(STEP)))
            for event in self.events
            if event["name"].startswith(STEP)
        ]
        self.step_count = len({number for _, number in self.steps})

    def _shifted(self) -> list[tuple[dict[str, Any], str, float]]:
        places = [(event, "ts", self.span) for event in self.events]
        places += [(event, "id", 0) for event in self.events if isinstance(event.get("id"), int)]
        for event in self.events:
            arguments = event.get("args") or {}
            places += [(arguments, key, 0) for key in IDS if arguments.get(key, -1) is not None]
        places = [place for place in places if place[1] in place[0]]
        largest: dict[str, int] = {}
        for holder, key, _ in places:
            if key != "ts":
                largest[key] = max(largest.get(key, 0), holder[key])
        return [
            (holder, key, span if key == "ts" else largest[key] + 1)
            for holder, key, span in places
            if key == "ts" or holder[key] >= 0
        ]

    def text(self, repeat: int) -> bytes:
        """The events of one repeat, as JSON without brackets."""
        for holder, key, first, step in self.numbers:
            holder[key] = round(first + repeat * step, 3)
        for event, number in self.steps:
            event["name"] = f"{STEP}{number + repeat * self.step_count}"
        return msgspec.json.encode(self.events)[1:-1]


def write_repeated(trace: Path, target: Path, size: int) -> int:
    """Writes `trace` often enough to fill `size` bytes; how often that was."""
    repeater = Repeater(trace)
    repeats = 0
    with target.open("wb") as out:
        out.write(msgspec.json.encode(repeater.head)[:-1] + b',\n"traceEvents": [\n')
        out.write(msgspec.json.encode(repeater.metadata)[1:-1])
        while out.tell() < size:
            out.write((b",\n" if repeats or repeater.metadata else b"") + repeater.text(repeats))
            repeats += 1
        out.write(b"\n]}\n")
    return repeats


def measured(reader: str, command: list[str], size: int, log: Path) -> Reading:
    """Runs `command` and clocks it, its start included; what it says goes to `log`."""
    environment = {**os.environ, "PYTHONPATH": f"{REPOSITORY}/profiler:{REPOSITORY}/kernels"}
    begin = time.perf_counter()
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, env=environment)
        _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - begin
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        said = log.read_text(errors="replace").strip()
        raise SystemExit(f"{reader} failed with status {process.returncode}: {said[-500:]}")
    megabytes = usage.ru_maxrss * KILOBYTE_OF_RUSAGE / MEGABYTE
    return Reading(reader, seconds, usage.ru_utime + usage.ru_stime, megabytes, size)


def goodput_reading(trace: Path, report: Path) -> Reading:
    command = [sys.executable, "-m", "goodput", "show", str(trace), "--json", str(report)]
    log = report.with_suffix(".log")
    reading = measured("goodput show", command, trace.stat().st_size, log)
    assert msgspec.json.decode(report.read_bytes())["ladder"], "the report is not finished"
    return reading


def hta_reading(trace: Path, folder: Path) -> Reading | None:
    """What Holistic Trace Analysis takes; None, the reason printed, where it is not to be had."""
    home = folder / "hta"
    venv.create(home, with_pip=True)
    python = home / "bin" / "python"
    install = subprocess.run(
        [str(python), "-m", "pip", "install", "--quiet", *HTA],
        capture_output=True,
        text=True,
        check=False,
    )
    if install.returncode:
        reason = (install.stderr.strip().splitlines() or ["pip failed"])[-1]
        print(f"Holistic Trace Analysis left out: {reason}")
        return None
    command = [str(python), "-c", HTA_ANALYSES, str(trace), str(folder)]
    return measured("Holistic Trace Analysis", command, trace.stat().st_size, folder / "hta.log")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    default = REPOSITORY.parent / "shared" / "traces" / TRACE
    parser.add_argument("trace", type=Path, nargs="?", default=default)
    parser.add_argument("--megabytes", type=int, default=500)
    parser.add_argument("--hta", action="store_true", help="read it with HTA too (minutes)")
    options = parser.parse_args()
    if not options.trace.exists():
        raise SystemExit(f"there is no {options.trace}; name a torch.profiler trace to repeat")
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        trace = folder / "repeated.json"
        repeats = write_repeated(options.trace, trace, options.megabytes * MEGABYTE)
        size = trace.stat().st_size / MEGABYTE
        print(f"{options.trace.name} x {repeats}: {size:.0f} MB, one core")
        ours = goodput_reading(trace, folder / "report.json")
        print(ours.line())
        if options.hta and (theirs := hta_reading(trace, folder)):
            print(theirs.line())
            print(
                f"ratio: {theirs.seconds / ours.seconds:.1f} times the wall, "
                f"{theirs.processor_seconds / ours.processor_seconds:.1f} times the processor, "
                f"{theirs.megabytes / ours.megabytes:.1f} times the memory"
            )
        full_size = options.megabytes * MEGABYTE >= 500 * MEGABYTE
        if full_size and (ours.processor_seconds > MOST_SECONDS or ours.megabytes > MOST_MEGABYTES):
            raise SystemExit(f"above the goal of {MOST_SECONDS:.0f} s and {MOST_MEGABYTES:.0f} MB")


if __name__ == "__main__":
    main()
