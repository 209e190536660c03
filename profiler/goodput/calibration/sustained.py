"""What a kernel keeps up: back to back until the clock has settled, the last windows counted."""

from __future__ import annotations

from itertools import cycle, islice

from goodput.measure.bouts import Bench, Result
from goodput.measure.samples import Samples
from goodput_kernels.candidate import Candidate

WINDOW_SECONDS = 0.1
COUNTED = 0.6
"""The last part of the time that counts: power and clocks have settled by then."""


def sustain(candidate: Candidate, seconds: float, bench: Bench) -> Result:
    """Windows of back-to-back calls for `seconds`; those of the last part, as one bout.

    Raises:
        RuntimeError, AttributeError, MemoryError: the candidate cannot run here.
    """
    clock, result = bench.clock, Result(candidate)
    bench.progress(f"sustained, {seconds:.0f} s: {candidate.label}")
    with candidate.scope():
        calls = [candidate.prepare() for _ in range(2)]
        bench.stopwatch.seconds(calls)
        once = bench.stopwatch.seconds(calls) / len(calls)
        length = max(len(calls), round(WINDOW_SECONDS / max(once, 1e-9)))
        train = tuple(islice(cycle(calls), length))
        begin, others = clock.now(), bench.others()
        windows: list[tuple[float, float]] = []
        while (passed := clock.now() - begin) < seconds or not windows:
            window = bench.stopwatch.seconds(train) / length
            windows.append((passed, window))
    counted = [window for at, window in windows if at >= (1 - COUNTED) * seconds]
    result.confirmed.append(Samples(tuple(counted or [windows[-1][1]])))
    result.ran(begin, clock.now(), bench.taken_since(others))
    return result
