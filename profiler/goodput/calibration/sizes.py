"""How large a call may be in each mode: about as long as the protocol likes, found by trying."""

from __future__ import annotations

from goodput.calibration.questions import Target
from goodput.measure.bouts import CANNOT_RUN, Bench, bout
from goodput_kernels import matmul
from goodput_kernels.threads import one_thread

CALL_SECONDS = 0.02
"""What one call of a contraction should take at most."""

_CPU_EDGE = 384
_DEVICE_EDGE = 4096
_PROBE_SECONDS = 0.1


def most_flops(mode: str, target: Target, bench: Bench) -> float:
    """FLOPs of a call of about `CALL_SECONDS` in `mode`; 0 where torch cannot do the product.

    On a CPU one thread's rate times the cores: on a shared machine a small product on all cores
    waits for its slowest thread, hundreds of times its own length, and would size everything down.
    """
    on_cpu = target.torch_device == "cpu"
    edge = _CPU_EDGE if on_cpu else _DEVICE_EDGE
    rivals = matmul.candidates(mode, 1, edge, edge, edge, target.torch_device)
    if not rivals:
        return 0.0
    probe = one_thread(rivals[0]) if on_cpu else rivals[0]
    bench.progress(f"sizing {mode}: {probe.label}")
    try:
        samples = bout(probe, bench.stopwatch, bench.protocol, _PROBE_SECONDS)
    except CANNOT_RUN:
        return 0.0
    return samples.rate(probe.amount, 0.0) * target.cores * CALL_SECONDS
