"""What measuring costs: goodput beside the plain script and three other profilers, in one run.

Prints ratios of whole runs and of single steps, the cost of goodput's hooks in an undisturbed step,
and whether the promises hold: hooks of at most 0.5 % of a step and 50 us, and a whole `goodput run`
of at most the plain script, plus what its counted and profiled steps took longer, plus 5 s.
A JAX script runs plain, under goodput and under jax.profiler.trace alone; its interception may cost
a call 2 us.

Usage: python benchmarks/overhead.py [--rounds N] [--only gpt|tiny|jax]
"""

import argparse
import contextlib
import gc
import json
import os
import runpy
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tabulate import tabulate

MODELS = Path(__file__).resolve().parent / "models"
SCRIPTS = {"gpt": MODELS / "gpt.py", "tiny": MODELS / "tiny.py"}
HOOKS = Path(__file__).resolve().parent / "hooks.py"
JAX, JAX_SCRIPT = "jax", MODELS / "jax_gpt.py"
JAX_HOOKS = Path(__file__).resolve().parent / "jax_hooks.py"
ALLOWED_SECONDS_A_CALL = 2e-6
PLAIN, GOODPUT, DEEPSPEED = "plain", "goodput run", "DeepSpeed"
FIRST_WATCHED, WATCHED = 20, 10
"""The other profilers watch so many steps, after a warm-up: as many as goodput profiles."""
ALLOWED_SECONDS = 5.0
ALLOWED_SHARE = 0.005
ALLOWED_SECONDS_A_STEP = 50e-6
DISTURBED = 1.2
"""A step that takes so many medians was counted, profiled, or warmed up in."""


# --- in the measured process ----------------------------------------------------------------------


def largest_module() -> object:
    """Return the script's model."""
    import torch

    modules = [item for item in gc.get_objects() if issubclass(type(item), torch.nn.Module)]
    return max(modules, key=lambda module: sum(p.numel() for p in module.parameters()))


@contextlib.contextmanager
def torch_profiler() -> Iterator[None]:
    """Profile as goodput does: shapes on, and a trace file at the end."""
    from torch.profiler import profile

    with tempfile.TemporaryDirectory() as folder:
        with profile(record_shapes=True) as profiler:
            yield
        profiler.export_chrome_trace(f"{folder}/trace.json")


@contextlib.contextmanager
def flop_counter() -> Iterator[None]:
    """Count with torch's own counter."""
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False):
        yield


@contextlib.contextmanager
def deepspeed_profiler() -> Iterator[None]:
    """Profile with DeepSpeed's flops profiler, which counts forward passes."""
    from deepspeed.profiling.flops_profiler import FlopsProfiler

    profiler = FlopsProfiler(largest_module())
    profiler.start_profile()
    yield
    profiler.stop_profile()
    profiler.end_profile()


WATCHERS: dict[str, Callable[[], contextlib.AbstractContextManager[None]]] = {
    "torch.profiler": torch_profiler,
    "FlopCounterMode": flop_counter,
    DEEPSPEED: deepspeed_profiler,
}
TOOLS = (PLAIN, GOODPUT, *WATCHERS)


def measured_process(tool: str, log: str, script: list[str]) -> None:
    """Run `script` under `tool`, and write the moments at which its steps ended to `log`."""
    from torch.optim.optimizer import register_optimizer_step_post_hook

    if tool == DEEPSPEED:
        import deepspeed  # noqa: F401 - its slow import is no part of a step
    moments = [time.perf_counter()]
    watching = contextlib.ExitStack()

    def stepped(*_: object) -> None:
        if tool in WATCHERS and len(moments) == FIRST_WATCHED:
            watching.enter_context(WATCHERS[tool]())
        if len(moments) == FIRST_WATCHED + WATCHED:
            watching.close()
        moments.append(time.perf_counter())

    register_optimizer_step_post_hook(stepped)
    try:
        if tool == GOODPUT:
            from goodput.cli import main

            main(["run", "-o", f"{log}.goodput", *script])
        sys.argv = script
        runpy.run_path(script[0], run_name="__main__")
    finally:
        Path(log).write_text(json.dumps(moments))


# --- whole runs -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Run:
    """One run of a script: its whole time, and the moments at which its steps ended."""

    seconds: float
    moments: list[float]

    @property
    def steps(self) -> list[float]:
        """Seconds of each step but the first."""
        return [end - start for start, end in zip(self.moments[1:], self.moments[2:], strict=False)]

    @property
    def watched(self) -> float:
        """Median seconds of a step that another profiler watched."""
        return statistics.median(self.steps[FIRST_WATCHED : FIRST_WATCHED + WATCHED - 1])

    @property
    def excess(self) -> float:
        """Seconds that the disturbed steps took beyond the median step."""
        usual = statistics.median(self.steps)
        return sum(step - usual for step in self.steps if step > DISTURBED * usual)


def timed_run(python: str, tool: str, script: Path, folder: Path) -> Run:
    """Run `script` under `tool` in a fresh process."""
    log = folder / "moments.json"
    command = [python, __file__, "--measured", tool, str(log), str(script)]
    began = time.perf_counter()
    # 3 and 5 of `goodput run` judge the script's numbers, not this run.
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, check=False)
    seconds = time.perf_counter() - began
    if not log.exists() or done.returncode not in (0, 3, 5):
        raise SystemExit(f"{tool} on {script.name} failed:\n{done.stderr}")
    moments = json.loads(log.read_text())
    log.unlink()
    return Run(seconds, moments)


def deepspeed_python(folder: Path) -> str | None:
    """Return a Python with DeepSpeed beside what this one has; None, with a reason, without."""
    home = folder / "deepspeed"
    venv.create(home, with_pip=True)
    python = str(home / "bin" / "python")
    site = next(home.glob("lib/python*/site-packages"))
    (site / "outer.pth").write_text("\n".join(path for path in sys.path if path.startswith("/")))
    environment = {**os.environ, "DS_BUILD_OPS": "0"}
    for wanted in (["setuptools", "wheel"], ["--no-build-isolation", "deepspeed"]):
        command = [python, "-m", "pip", "install", "--quiet", *wanted]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
        if done.returncode:
            print(
                f"skipped: {DEEPSPEED}, which could not be installed: {done.stderr.strip()[-200:]}"
            )
            return None
    return python


def compare_runs(name: str, rounds: int, pythons: dict[str, str], folder: Path) -> bool:
    """Print whole runs of one script side by side; return whether goodput keeps its promise."""
    script = SCRIPTS[name]
    first = timed_run(sys.executable, GOODPUT, script, folder)
    print(f"\n{name}: the first goodput run took {first.seconds:.1f} s, capacity measured with it")
    runs: dict[str, list[Run]] = {tool: [] for tool in pythons}
    for _ in range(rounds):  # in turn, so that a slow minute hits all of them
        for tool, python in pythons.items():
            runs[tool].append(timed_run(python, tool, script, folder))
    best = {tool: min(found, key=lambda run: run.seconds) for tool, found in runs.items()}
    plain = best[PLAIN]
    usual = statistics.median(plain.steps)
    rows = [
        [
            tool,
            run.seconds,
            run.seconds / plain.seconds,
            statistics.median(run.steps) / usual,
            run.watched / usual if tool in WATCHERS else None,
        ]
        for tool, run in best.items()
    ]
    headers = [
        "tool",
        "whole run, s",
        "of plain",
        "median step, of plain",
        "watched step, of plain",
    ]
    print(tabulate(rows, headers, floatfmt=".3f", missingval=""))
    outside = best[GOODPUT].seconds - plain.seconds - best[GOODPUT].excess
    return promise(
        f"{name}: goodput run beyond plain and its disturbed steps ({best[GOODPUT].excess:.2f} s)",
        outside,
        ALLOWED_SECONDS,
        "s",
    )


def promise(what: str, value: float, allowed: float, unit: str) -> bool:
    """Print a figure beside what is allowed; return whether it holds."""
    kept = value <= allowed
    print(
        f"{'ok    ' if kept else 'MISSED'} {what}: {value:.4g} {unit}, at most {allowed:.4g} {unit}"
    )
    return kept


# --- the hooks of an undisturbed step -------------------------------------------------------------


def compare_hooks(name: str) -> bool:
    """Print what the hooks cost an undisturbed step; return whether the promises hold."""
    command = [sys.executable, str(HOOKS), name]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    cost = json.loads(done.stdout.splitlines()[-1])
    off = cost["off"]
    print(
        f"\n{name}: steps alternated in one process, 10th percentile: "
        f"hooks off {off * 1e3:.3f} ms, on {cost['on'] / off:.4f} of that, "
        f"off again {cost['control'] / off:.4f}"
    )
    micro, share = 1e6, "of the step"
    hooks, slower = cost["hooks"], cost["on"] - off
    kept = [
        promise(
            f"{name}: hooks, timed in place", hooks * micro, ALLOWED_SECONDS_A_STEP * micro, "us"
        ),
        promise(f"{name}: hooks, timed in place", hooks / off, ALLOWED_SHARE, share),
    ]
    noise = abs(cost["control"] - off) / off
    if noise > ALLOWED_SHARE and slower / off <= noise:
        # What the alternation cannot see is not seen to be too much; the time in place is exact.
        print(
            f"unclear {name}: hooks, on against off: {slower / off:.4f} {share}, where off differs "
            f"from off by {noise:.4f}"
        )
        return all(kept)
    return promise(f"{name}: hooks, on against off", slower / off, ALLOWED_SHARE, share) and all(
        kept
    )


# --- JAX ------------------------------------------------------------------------------------------


def jax_process(tool: str, folder: str, script: list[str]) -> None:
    """Run a JAX script under `tool`."""
    if tool == GOODPUT:
        from goodput.cli import main

        main(["run", "-o", f"{folder}/jax.goodput", *script])
        return
    import jax

    sys.argv = script
    profiled = tool == JAX_PROFILER
    with jax.profiler.trace(f"{folder}/profile") if profiled else contextlib.nullcontext():
        runpy.run_path(script[0], run_name="__main__")


JAX_PROFILER = "jax.profiler.trace"


def compare_jax(rounds: int, folder: Path) -> bool:
    """Print whole runs of the JAX script, and what the interception costs a call."""
    tools = (PLAIN, GOODPUT, JAX_PROFILER)
    times: dict[str, list[float]] = {tool: [] for tool in tools}
    jax_run(GOODPUT, folder)  # measures the capacity, once
    for _ in range(rounds):
        for tool in tools:
            times[tool].append(jax_run(tool, folder))
    best = {tool: min(found) for tool, found in times.items()}
    rows = [[tool, seconds, seconds / best[PLAIN]] for tool, seconds in best.items()]
    print("\n" + tabulate(rows, [f"tool, on {JAX_SCRIPT.name}", "whole run, s", "of plain"]))
    command = [sys.executable, str(JAX_HOOKS)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    micro, cost = 1e6, json.loads(done.stdout.splitlines()[-1])
    print(
        f"jax: a call of another function {cost['other'] * micro:.2f} us, after the passes "
        f"{cost['after'] * micro:.2f} us; with the end of a window {cost['window'] * micro:.2f} us "
        "every second step"
    )
    return promise(
        "jax: interception of the step's call",
        cost["call"] * micro,
        ALLOWED_SECONDS_A_CALL * micro,
        "us",
    )


def jax_run(tool: str, folder: Path) -> float:
    """Return the seconds of one run of the JAX script under `tool` in a fresh process."""
    command = [sys.executable, __file__, "--jax", tool, str(folder), str(JAX_SCRIPT)]
    began = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, check=False)
    seconds = time.perf_counter() - began
    if done.returncode not in (0, 3, 5):
        raise SystemExit(f"{tool} on {JAX_SCRIPT.name} failed:\n{done.stderr}")
    return seconds


def main() -> None:
    """Compare everything, and fail where a promise is missed or cannot be told."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="runs of each tool; the best counts")
    parser.add_argument("--only", choices=[*SCRIPTS, JAX], help="one script")
    args = parser.parse_args()
    names = [name for name in SCRIPTS if args.only in (None, name)]
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        os.environ["GOODPUT_CACHE"] = str(folder / "cache")
        if "PYTHONPATH" in os.environ:  # the processes run elsewhere
            given = os.environ["PYTHONPATH"].split(os.pathsep)
            os.environ["PYTHONPATH"] = os.pathsep.join(map(os.path.abspath, given))
        pythons = dict.fromkeys(TOOLS, sys.executable)
        beside = deepspeed_python(folder) if names else None
        if beside is None:
            del pythons[DEEPSPEED]
        else:
            pythons[DEEPSPEED] = beside
        kept = [compare_hooks(name) for name in names]
        kept += [compare_runs(name, args.rounds, pythons, folder) for name in names]
        if args.only in (None, JAX):
            kept.append(compare_jax(args.rounds, folder))
    sys.exit(not all(kept))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--measured"]:
        measured_process(sys.argv[2], sys.argv[3], sys.argv[4:])
    elif sys.argv[1:2] == ["--jax"]:
        jax_process(sys.argv[2], sys.argv[3], sys.argv[4:])
    else:
        main()
