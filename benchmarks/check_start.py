"""What `goodput check` on stored files costs over bare Python, in ms: starts in turns.

A project of ten cases in the exact and the modelled tier is made, blessed, and judged from its
run file; nothing is counted. Python's own start runs in turns with it, so that a busy machine
slows both; the least of each is what neither waited for. Run: python benchmarks/check_start.py
[--starts N] [--slowest N]
"""

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

from tabulate import tabulate

from goodput.gates import run_file
from goodput.gates.observation import METHOD, OperatorFigures
from goodput.gates.observed_run import CaseRun
from goodput.report.verdicts import CheckReport, Tier

CASES = 10
VALUES = {
    "useful_flops": 7.1e12,
    "useful_flops.bfloat16": 7.1e12,
    "executed_flops": 7.1e12,
    "executed_flops.bfloat16": 7.1e12,
    "recompute_ratio": 1.0,
    "bytes": 3e9,
    "operator_calls": 1100.0,
    "upcasts": 24.0,
}
OPERATORS = {f"aten::operator_{n} forward bfloat16": OperatorFigures(24, 10, 20) for n in range(30)}
LIMIT_SECONDS = 0.150
TOTAL, NAME = 1, 2
"""Columns of -X importtime."""


def project(folder: Path) -> None:
    """Declares the cases and stores a run of them."""
    lines, runs = [], []
    for number in range(CASES):
        name, program = f"case{number}", f"steps.py:step{number}"
        lines += [f"[case.{name}]", f'target = "{program}"', 'tiers = ["exact", "modelled"]']
        lines += ['device = "NVIDIA H200"']
        known = {"operators": OPERATORS, "toolchain": {"torch": "2.13.0"}, "method": METHOD}
        exact = CaseRun(name, Tier.EXACT, {"program": program}, (VALUES,) * 3, **known)
        device = {"device": {"name": "NVIDIA H200"}, "profile": "0123456789abcdef"}
        modelled = CaseRun(name, Tier.MODELLED, {"program": program}, (VALUES,), **known, **device)
        runs += [exact, modelled]
    (folder / "goodput.toml").write_text("\n".join(lines))
    (folder / "run.json").write_text(run_file.encode(CheckReport(()), runs))


def started(folder: Path, *arguments: str) -> tuple[float, float, str]:
    """Seconds of a fresh interpreter by the clock and on its core, and what it said on stderr."""
    before, start = _on_core(), time.perf_counter()
    done = subprocess.run(
        [sys.executable, *arguments], cwd=folder, capture_output=True, text=True, check=True
    )
    return time.perf_counter() - start, _on_core() - before, done.stderr


def _on_core() -> float:
    """Seconds that the children so far ran on a core."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def slowest_imports(said: str, count: int) -> list[tuple[str, str]]:
    """The modules that took the longest with all that they import, and their ms."""
    rows = [line.removeprefix("import time:").split("|") for line in said.splitlines()]
    kept = [row for row in rows if len(row) == NAME + 1 and row[TOTAL].strip().isdecimal()]
    ranked = sorted(kept, key=lambda row: -int(row[TOTAL]))
    return [(row[NAME].rstrip(), f"{int(row[TOTAL]) / 1e3:.1f}") for row in ranked[:count]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--starts", type=int, default=12)
    parser.add_argument("--slowest", type=int, default=0, help="print so many imports, too")
    args = parser.parse_args()
    checked = ("-m", "goodput", "check", "run.json")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        project(folder)
        reason = ("--reason", "the benchmark's own")
        started(folder, "-m", "goodput", "baseline", "bless", "run.json", *reason)
        ways = {"bare Python": ("-c", "pass"), "goodput check run.json": checked}
        times = defaultdict(list)
        for _ in range(args.starts):
            for way, arguments in ways.items():
                times[way].append(started(folder, *arguments)[:2])
        said = started(folder, "-X", "importtime", *checked)[2]
    rows = []
    for way, pairs in times.items():
        walls, cores = zip(*pairs, strict=True)
        figures = min(walls), statistics.median(walls), min(cores)
        rows.append([way, *figures])
    rows.append(["more", *(b - a for a, b in zip(rows[0][1:], rows[1][1:], strict=True))])
    headers = [f"ms of {args.starts} starts in turns", "least", "median", "least on the core"]
    shown = [[way, *(f"{1e3 * figure:.0f}" for figure in figures)] for way, *figures in rows]
    print(tabulate(shown, headers, disable_numparse=True, colalign=["left", *["right"] * 3]))
    verdict = "within" if rows[-1][1] <= LIMIT_SECONDS else "over"
    print(f"{verdict} {1e3 * LIMIT_SECONDS:.0f} ms by the least")
    if args.slowest:
        print()
        print(tabulate(slowest_imports(said, args.slowest), ["import", "ms with its own"]))


if __name__ == "__main__":
    main()
