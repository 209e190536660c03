"""What on this machine will spoil a measurement, as facts read from the system. Changes nothing."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from goodput.measure.clock import Clock
from goodput.measure.statistics import quantile

_SYSTEM = Path("/sys/devices/system/cpu")
_MEMORY = Path("/proc/meminfo")
_PRESSURE = Path("/proc/pressure/cpu")
_QUOTA = Path("/sys/fs/cgroup/cpu.max")
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
_SPOILING = (
    "CUDA_LAUNCH_BLOCKING",
    "TORCH_SHOW_CPP_STACKTRACES",
    "TORCHDYNAMO_DISABLE",
    "JAX_DISABLE_JIT",
    "JAX_DEBUG_NANS",
    "PYTHONDEVMODE",
    "PYTHONMALLOC",
)
_TRIALS = 400
_TURNS = 20_000
_JITTER = 1.10
_LOAD = 0.5
_FREE_BYTES = 2**30
_GPU_FIELDS = "name,clocks.sm,clocks.max.sm,utilization.gpu,persistence_mode,temperature.gpu"
_IDLE_SHARE = 5.0
_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Symptom:
    """One thing that was looked at.

    Attributes:
        subject: what.
        told: what was found, with the number.
        advice: what to do about it; "" where nothing is wrong.
    """

    subject: str
    told: str
    advice: str = ""

    @property
    def spoils(self) -> bool:
        """Whether it will spoil a measurement."""
        return bool(self.advice)


def looked_at(cores: int, clock: Clock) -> tuple[Symptom, ...]:
    """Everything that could be looked at here, in order.

    Args:
        cores: that this process may use.
        clock: the host's.
    """
    return (
        *load(cores),
        *pressure(),
        *quota(cores),
        *governor(),
        *turbo(),
        *memory(),
        *settings(),
        *gpus(),
        *jitter(clock),
    )


def load(cores: int, average: float | None = None) -> Iterator[Symptom]:
    """Other work on the cores; `average` is the load of the last minute."""
    now = os.getloadavg()[0] if average is None else average
    told = f"{now:.1f} processes want the {cores} cores"
    busy = now > _LOAD * cores
    yield Symptom("load", told, "end what else runs here, or expect wide intervals" if busy else "")


def pressure(place: Path = _PRESSURE) -> Iterator[Symptom]:
    """How much of the time somebody waited for a core."""
    for word in _text(place).split():
        name, _, value = word.partition("=")
        if name == "avg60":
            share = float(value)
            advice = (
                "processes wait for cores: use a quieter machine" if share > _IDLE_SHARE else ""
            )
            yield Symptom("pressure", f"{share:.0f} % of the last minute somebody waited", advice)
            return


def quota(cores: int, place: Path = _QUOTA) -> Iterator[Symptom]:
    """A container that may use less of the cores than it sees."""
    allowed, _, period = _text(place).partition(" ")
    if not (allowed.isdecimal() and period.strip().isdecimal()):
        return
    share = int(allowed) / int(period)
    advice = "a quota stops threads in bursts: set OMP_NUM_THREADS to it" if share < cores else ""
    yield Symptom("quota", f"{share:g} cores of {cores}", advice)


def governor(place: Path = _SYSTEM) -> Iterator[Symptom]:
    """Whether the CPU's clock waits for load."""
    found = _text(place / "cpu0/cpufreq/scaling_governor")
    if found:
        advice = "" if found == "performance" else "cpupower frequency-set -g performance, as root"
        yield Symptom("governor", found, advice)


def turbo(place: Path = _SYSTEM) -> Iterator[Symptom]:
    """Whether the CPU's clock depends on heat and neighbours."""
    no_turbo, boost = _text(place / "intel_pstate/no_turbo"), _text(place / "cpufreq/boost")
    if no_turbo or boost:
        on = no_turbo == "0" or boost == "1"
        told = "on: the clock depends on heat; anchors take that out" if on else "off"
        yield Symptom("turbo", told)


def memory(place: Path = _MEMORY) -> Iterator[Symptom]:
    """Whether memory is short, and whether the system swaps."""
    sizes = dict(line.split(":", 1) for line in _text(place).splitlines() if ":" in line)
    if "MemAvailable" not in sizes:
        return
    free = int(sizes["MemAvailable"].split()[0]) * 1024
    swapped = int(sizes.get("SwapTotal", "0 kB").split()[0]) - int(
        sizes.get("SwapFree", "0 kB").split()[0]
    )
    advice = "free memory first, or the system will swap" if free < _FREE_BYTES else ""
    advice = advice or ("memory was swapped out: a step may wait for it" if swapped > 2**18 else "")
    yield Symptom("memory", f"{free / 2**30:.1f} GiB free", advice)


def settings() -> Iterator[Symptom]:
    """Environment variables that slow what is measured, or that decide how many threads run."""
    for name in _SPOILING:
        if os.environ.get(name):
            yield Symptom("setting", f"{name}={os.environ[name]}", f"unset {name} to measure")
    threads = {name: os.environ[name] for name in _THREADS if os.environ.get(name)}
    if len(set(threads.values())) > 1:
        told = ", ".join(f"{name}={value}" for name, value in threads.items())
        yield Symptom("threads", told, "libraries will use unlike numbers of threads")


def gpus() -> Iterator[Symptom]:
    """What the driver says of NVIDIA GPUs: busy, cold, or without persistence."""
    for line in _asked(f"--query-gpu={_GPU_FIELDS}").splitlines():
        parts = [part.strip() for part in line.split(",")]
        if len(parts) != len(_GPU_FIELDS.split(",")):
            continue
        name, clock, most, busy, persistence, celsius = parts
        told = f"{clock} of {most} MHz, {busy} % busy, {celsius} C"
        advice = []
        if busy.isdecimal() and float(busy) > _IDLE_SHARE:
            advice.append("another process uses it")
        if persistence.startswith("Dis"):
            advice.append("nvidia-smi -pm 1, as root, keeps its state between processes")
        yield Symptom(name, told, "; ".join(advice))


def _asked(query: str) -> str:
    if shutil.which("nvidia-smi") is None:
        return ""
    try:
        done = subprocess.run(
            ["nvidia-smi", query, "--format=csv,noheader,nounits"],  # noqa: S607 - the driver's own
            capture_output=True,
            text=True,
            check=False,
            timeout=_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""


def jitter(clock: Clock, turns: int = _TURNS) -> Iterator[Symptom]:
    """How much longer the same short piece of work takes now and then."""
    times = []
    for _ in range(_TRIALS):
        start = clock.now()
        total = 0
        for number in range(turns):
            total += number
        times.append(clock.now() - start)
    usual, slow = quantile(times, 0.1), quantile(times, 0.9)
    ratio = slow / usual if usual > 0 else 1.0
    told = f"the same work takes {ratio:.2f} times as long in a tenth of all trials"
    advice = (
        "the clock or a neighbour moves: trust anchored cost, not times" if ratio > _JITTER else ""
    )
    yield Symptom("jitter", told, advice)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return ""
