"""How large a call may be in each mode: about as long as the protocol likes, found by trying."""

from __future__ import annotations

from collections.abc import Mapping

from goodput.calibration import ways
from goodput.calibration.questions import Questions
from goodput.calibration.ways import Target
from goodput.measure.bouts import CANNOT_RUN, Bench, bout
from goodput_kernels.candidate import Candidate
from goodput_kernels.threads import one_thread

CALL_SECONDS = 0.02
"""What one call of a contraction should take at most."""

SLOW = 8
"""A library that would take this many times as long is not asked at that size."""

_CPU_EDGE = 384
_DEVICE_EDGE = 4096
_PROBE_SECONDS = 0.03


def rates_of(
    mode: str, target: Target, bench: Bench, *, all_backends: bool = False
) -> dict[str, float]:
    """FLOP/s of each library's product in `mode`, by library and operator; without those that fail.

    On a CPU one thread's rate times the cores: on a shared machine a small product on all cores
    waits for its slowest thread, hundreds of times its own length, and would size everything down.

    Args:
        mode: a math mode.
        target: the device.
        bench: to time on.
        all_backends: ask other frameworks' products too, as a full measurement does.
    """
    on_cpu = target.on_cpu
    edge = _CPU_EDGE if on_cpu else _DEVICE_EDGE
    rivals = ways.products(target, mode, 1, edge, edge, edge)
    rates = {}
    for rival in rivals:
        if not (target.by_torch and on_cpu):
            rates[_library(rival)] = _rate(rival, bench)
        # NumPy's threads cannot be told; beside torch's it is sized as they are.
        elif rival.library != "NumPy":
            rates[_library(rival)] = _rate(one_thread(rival), bench) * target.cores
    if all_backends and on_cpu:
        # XLA's threads cannot be told, so that its rate is that of all of them already.
        for rival in ways.other_products(target, mode, 1, edge, edge, edge):
            rates[_library(rival)] = _rate(rival, bench)
    return {library: rate for library, rate in rates.items() if rate}


def most_flops(rates: Mapping[str, float]) -> float:
    """FLOPs of a call of about `CALL_SECONDS` by the fastest library; 0 where there is none."""
    return max(rates.values(), default=0.0) * CALL_SECONDS


def leave_out_slow(questions: Questions, mode: str, rates: Mapping[str, float]) -> None:
    """Take out of the rivals for `mode` what its library would take far too long for.

    Where a CPU lacks a mode, one library has plain loops for it and another has not. What is left
    stands in the order of the libraries' rates, for where time is too short for all.
    """
    rivals = questions.groups.get(f"flops {mode}", [])
    fitting = [
        rival
        for rival in rivals
        if rival.amount <= SLOW * CALL_SECONDS * rates.get(_library(rival), float("inf"))
    ]
    rivals[:] = sorted(fitting, key=lambda rival: -rates.get(_library(rival), 0.0))


def _library(candidate: Candidate) -> str:
    return f"{candidate.library} {candidate.name.split()[0]}"


def _rate(probe: Candidate, bench: Bench) -> float:
    """FLOP/s of the fastest train of one short bout; 0 where it cannot run."""
    bench.progress(f"sizing: {probe.label}")
    try:
        samples = bout(probe, bench.stopwatch, bench.protocol, _PROBE_SECONDS)
    except CANNOT_RUN:
        return 0.0
    return samples.rate(probe.amount, 0.0)
