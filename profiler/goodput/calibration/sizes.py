"""How large a call may be in each mode: about as long as the protocol likes, found by trying."""

from __future__ import annotations

from goodput.calibration.questions import Target
from goodput.measure.bouts import CANNOT_RUN, Bench, bout
from goodput_kernels import matmul

CALL_SECONDS = 0.02
"""What one call of a contraction should take at most."""

_FIRST_EDGE = 384
_EDGE_STEP = 128
_PROBE_SECONDS = 0.1
_FIRST_DEVICE_EDGE = 1024
_LAST_EDGE = 2048


def most_flops(mode: str, target: Target, bench: Bench) -> float:
    """FLOPs of a call of about `CALL_SECONDS` in `mode`, from torch's own product at two sizes.

    A small product understates the rate of a large machine, hence the second one. 0 where torch
    cannot do the product at all.
    """
    first = _FIRST_EDGE if target.torch_device == "cpu" else _FIRST_DEVICE_EDGE
    rate = _rate(mode, first, target, bench)
    second = min(int((rate * CALL_SECONDS / 2) ** (1 / 3)) // _EDGE_STEP * _EDGE_STEP, _LAST_EDGE)
    if second > first:
        rate = max(rate, _rate(mode, second, target, bench))
    return rate * CALL_SECONDS


def _rate(mode: str, edge: int, target: Target, bench: Bench) -> float:
    rivals = matmul.candidates(mode, 1, edge, edge, edge, target.torch_device)
    if not rivals:
        return 0.0
    bench.progress(f"sizing {mode}: {rivals[0].label}")
    try:
        samples = bout(rivals[0], bench.stopwatch, bench.protocol, _PROBE_SECONDS)
    except CANNOT_RUN:
        return 0.0
    return samples.rate(rivals[0].amount, 0.0)
