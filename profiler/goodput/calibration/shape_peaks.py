"""What a program's own problems can reach at their own shapes.

With it a report tells a shape that cannot reach the roof from a kernel below what its shape allows.
"""

from __future__ import annotations

from dataclasses import replace

from goodput.calibration import cache
from goodput.calibration.assemble import higher, impossible, peak_of, raised
from goodput.calibration.bench import open_bench, target_of
from goodput.calibration.device import software_versions
from goodput.calibration.keeping import keep, stored
from goodput.calibration.questions import Source
from goodput.calibration.roofs import BUDGET_SECONDS, LOCK_SECONDS, Progress
from goodput.capacity.profile import Capacity, ShapePeak
from goodput.measure.bouts import Bench, Outcome, tournament
from goodput.measure.clock import HostClock
from goodput.work import Contraction
from goodput_kernels.convolution import Convolution
from goodput_kernels.operands import MODES


def measure_shapes(
    capacity: Capacity,
    products: tuple[Contraction, ...],
    convolutions: tuple[Convolution, ...],
    *,
    budget_seconds: float = BUDGET_SECONDS,
    progress: Progress | None = None,
) -> Capacity:
    """`capacity` with what the given problems can reach at their own shapes, uncut.

    The best of every backend, like the roof; a rate above the roof raises it. Problems that the
    capacity knows already are not measured again, and those in a mode without kernels never.
    """
    sources = [
        *(Source(product=p) for p in products if p.mode in MODES),
        *(Source(convolution=c) for c in convolutions if c.mode in MODES),
    ]
    sources = [s for s in sources if capacity.shape_rate(s.product, s.convolution) is None]
    if not sources:
        return capacity
    clock, device = HostClock(), capacity.device
    folder = cache.directory()
    path = cache.path_of(device, software_versions(), folder)
    target = target_of(device)
    groups = {f"shape {number}": s.candidates(target) for number, s in enumerate(sources)}
    with (
        cache.host_lock(folder, clock, LOCK_SECONDS) as unlocked,
        open_bench(target, clock, budget_seconds, progress) as bench,
    ):
        outcome = tournament({group: rivals for group, rivals in groups.items() if rivals}, bench)
        capacity = _with_shapes(capacity, sources, outcome, bench)
        known, notes = stored(path)
        if known:
            merged = {(s.product, s.convolution): s for s in known.capacity.shapes}
            merged.update({(s.product, s.convolution): s for s in capacity.shapes})
            kept = replace(known.capacity, shapes=tuple(merged.values()))
            notes += keep(path, replace(known, capacity=kept), unlocked)
    warnings = dict.fromkeys([*capacity.warnings, *notes])
    return replace(capacity, warnings=tuple(warnings))


def _with_shapes(
    capacity: Capacity, sources: list[Source], outcome: Outcome, bench: Bench
) -> Capacity:
    date, share = bench.clock.date(), bench.protocol.share
    for number, source in enumerate(sources):
        result = outcome.winners.get(f"shape {number}")
        if result is None:
            continue
        peak = peak_of(result, share, date)
        shape = ShapePeak(peak, source.product, source.convolution)
        capacity = replace(capacity, shapes=(*capacity.shapes, shape))
        problem = source.product or source.convolution
        mode = problem.mode if problem else ""
        if higher(capacity.flops_per_s.get(mode), peak) is peak and not impossible(
            capacity, mode, peak
        ):
            capacity = raised(capacity, mode, peak)
    return capacity
