"""How large a call may be in each mode: about as long as the protocol likes, found by trying."""

from __future__ import annotations

from goodput.calibration.questions import Target
from goodput.measure.bouts import CANNOT_RUN, Bench, bout
from goodput_kernels import jax_matmul, matmul
from goodput_kernels.candidate import Candidate
from goodput_kernels.threads import one_thread

CALL_SECONDS = 0.02
"""What one call of a contraction should take at most."""

_CPU_EDGE = 384
_DEVICE_EDGE = 4096
_PROBE_SECONDS = 0.03


def most_flops(mode: str, target: Target, bench: Bench, *, all_backends: bool = False) -> float:
    """FLOPs of a call of about `CALL_SECONDS` in `mode` by the fastest library; 0 where none can.

    On a CPU one thread's rate times the cores: on a shared machine a small product on all cores
    waits for its slowest thread, hundreds of times its own length, and would size everything down.

    Args:
        mode: a math mode.
        target: the device.
        bench: to time on.
        all_backends: ask other frameworks' products too, as a full measurement does.
    """
    on_cpu = target.torch_device == "cpu"
    edge = _CPU_EDGE if on_cpu else _DEVICE_EDGE
    rivals = [
        one_thread(c) if on_cpu else c
        for c in matmul.candidates(mode, 1, edge, edge, edge, target.torch_device)
    ]
    rates = [_rate(rival, bench) * target.cores for rival in rivals]
    if all_backends and on_cpu:
        # XLA's threads cannot be told, so that its rate is that of all of them already.
        others = jax_matmul.cpu_candidates(mode, 1, edge, edge, edge)
        rates += [_rate(rival, bench) for rival in others]
    return max(rates, default=0.0) * CALL_SECONDS


def _rate(probe: Candidate, bench: Bench) -> float:
    """FLOP/s of the fastest train of one short bout; 0 where it cannot run."""
    bench.progress(f"sizing: {probe.label}")
    try:
        samples = bout(probe, bench.stopwatch, bench.protocol, _PROBE_SECONDS)
    except CANNOT_RUN:
        return 0.0
    return samples.rate(probe.amount, 0.0)
