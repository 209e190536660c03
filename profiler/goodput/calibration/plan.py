"""What `goodput peak` asks of a device at each level, group by group. Chooses, times nothing.

Builds on the questions of a program's roofs: their groups keep their names, so that the roofs are
laid down the same way, and every other figure is a group of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from goodput.calibration import ways
from goodput.calibration.questions import (
    UNKNOWN_CACHE,
    Questions,
    Source,
    ask_pointwise,
    ask_standard,
    footprints,
    standard_convolutions,
    standard_products,
)
from goodput.calibration.sizes import SLOW
from goodput.calibration.ways import Target
from goodput.capacity.datasheet import MIXES
from goodput.work import Contraction
from goodput_kernels import (
    attention,
    grouped,
    irregular,
    jax_latency,
    latency,
    link,
    matmul,
    memory,
    waves,
)
from goodput_kernels.candidate import Candidate
from goodput_kernels.operands import MODES
from goodput_kernels.threads import on_threads

QUICK, STANDARD, FULL = "quick", "standard", "full"
SECONDS = {QUICK: 20.0, STANDARD: 90.0, FULL: 300.0}
"""The budget of each level."""

_MODES = {
    QUICK: ("bfloat16", "float32"),
    STANDARD: ("bfloat16", "float16", "float32", "tf32", "float8_e4m3", "int8"),
    FULL: (
        *("bfloat16", "float16", "float32", "tf32", "float64", "float8_e4m3", "int8"),
        *("mxfp8", "nvfp4", "complex64"),
    ),
}
ALL_MODES = _MODES[FULL]
"""The math modes that can be asked for."""

_NOT_ON_CPU = ("tf32", "float8_e4m3", "mxfp8", "nvfp4")
"""Modes that CPUs have no units for: some of them can be had there, emulated, if asked for."""

_EXPERTS, _SKINNY_ROWS = 8, (1, 16, 64)
_CPU_GROUPED_EDGE, _DEVICE_GROUPED_EDGE = 256, 2048
_IRREGULAR_PAST_THE_CACHE = 2
_LINK_SIZES = (1 << 12, 1 << 20, 1 << 26)
_LARGEST_IRREGULAR = 1 << 28
_FEW = 6
"""Shapes of whole waves that stand for all of them, for kernels that are slow to try."""


@dataclass(frozen=True, slots=True)
class Figure:
    """What one group of rivals is a figure of: the fields that a `Measurement` takes over."""

    unit: str
    subject: str
    quantity: str
    size: int = 0


@dataclass(slots=True)
class Plan:
    """All groups of one level.

    Attributes:
        questions: the rivals by group, with the problems behind the compute roofs.
        figures: what each group measures.
        modes: the math modes asked for, in order.
        unsupported: modes that the device or its libraries lack, with the reason.
    """

    questions: Questions = field(default_factory=Questions)
    figures: dict[str, Figure] = field(default_factory=dict)
    modes: tuple[str, ...] = ()
    unsupported: dict[str, str] = field(default_factory=dict)

    def ask(self, group: str, figure: Figure, candidates: Iterable[Candidate]) -> None:
        """Add a group of rivals; nothing where there are none."""
        rivals = tuple(candidates)
        if rivals:
            self.questions.ask(group, rivals)
            self.figures[group] = figure


def modes_of(level: str, asked: tuple[str, ...], target: Target) -> tuple[str, ...]:
    """The math modes of a level, or those asked for; without asking, none that CPUs lack."""
    if asked:
        return tuple(dict.fromkeys(asked))
    on_cpu = target.on_cpu
    return tuple(m for m in _MODES[level] if not (on_cpu and m in _NOT_ON_CPU))


def plan_of(
    level: str, asked: tuple[str, ...], target: Target, most_flops: Callable[[str], float]
) -> Plan:
    """The groups of `level` for `target`.

    Args:
        level: one of `SECONDS`.
        asked: modes that the user named; empty for the level's own.
        target: the device.
        most_flops: FLOPs that one call may have in a mode; 0 where the libraries lack it.
    """
    plan = Plan(modes=modes_of(level, asked, target))
    sizes = {}
    for mode in plan.modes:
        sizes[mode] = most_flops(mode)
        if not sizes[mode]:
            plan.unsupported[mode] = "no library here multiplies matrices in it on this device"
            continue
        plan.figures[f"flops {mode}"] = Figure("matmul", mode, "FLOP")
        _ask_products(plan, mode, target, sizes[mode])
        _ask_elsewhere(plan, level, mode, target, sizes[mode])
        if level != QUICK:
            _ask_variants(plan, level, mode, target, sizes[mode])
    _ask_memory(plan, level, target)
    _ask_units(plan, target, 0.0 if sizes.get("float32") else most_flops("float32"))
    _ask_latency(plan, target)
    if level != QUICK and target.by_torch:
        _ask_irregular(plan, level, target)
        _ask_links(plan, target)
    return plan


def _ask_products(plan: Plan, mode: str, target: Target, most: float) -> None:
    shapes = _exact_products(target, most)
    if mode in MODES:
        ask_standard(plan.questions, mode, target, most)
    else:  # block-scaled modes, whose kernels are few
        shapes = (standard_products(target, most)[-1], *shapes[:_FEW])
    for m, n, k in shapes:
        source = Source(product=Contraction(1, m, n, k, mode))
        plan.questions.ask_source(mode, source, target)


def _ask_elsewhere(plan: Plan, level: str, mode: str, target: Target, most: float) -> None:
    """The kernels of other frameworks, at the largest shapes."""
    *squares, last = standard_products(target, most)
    if target.on_cpu:
        # XLA:CPU is at its best on results far larger than the other libraries need.
        edge = squares[-1][0]
        large = [(times * edge, times * edge, times * edge // 2) for times in (3, 2)]
        # A shorter call is more often undisturbed: the largest square is asked at every level.
        wanted = [*large, *squares[::-1]]
        shapes = [(m, n, k) for m, n, k in wanted if 2 * m * n * k <= SLOW * most]
    else:
        shapes = [last, *_exact_products(target, most)[:_FEW]]
    # Each shape is a program to compile.
    for m, n, k in shapes[:2] if level == QUICK else shapes:
        source = Source(product=Contraction(1, m, n, k, mode))
        rivals = source.others(target)
        plan.questions.ask(f"flops {mode}", rivals)
        plan.questions.sources.update({rival.label: source for rival in rivals})


def _exact_products(target: Target, most: float) -> tuple[tuple[int, int, int], ...]:
    if target.kind not in waves.KINDS or not target.units:
        return ()
    found = waves.exact_products(target.units, ks=(8192,))
    return tuple(shape for shape in found if 2 * shape[0] * shape[1] * shape[2] <= most)


def _ask_variants(plan: Plan, level: str, mode: str, target: Target, most: float) -> None:
    """Convolution, attention, threads, batched, grouped and skinny products of one mode."""
    rivals = [
        candidate
        for problem in standard_convolutions(mode, most)
        for candidate in ways.convolutions(target, problem)
    ]
    plan.ask(f"convolution {mode}", Figure("convolution", mode, "FLOP"), rivals)
    if target.by_torch:
        _ask_attention(plan, level, mode, target, most)
        if target.on_cpu:
            _ask_threads(plan, mode, target, most)
    if level == FULL:
        _ask_shapes(plan, mode, target, most)


def _ask_attention(plan: Plan, level: str, mode: str, target: Target, most: float) -> None:
    for problem in attention.problems(mode, most / 2)[: None if level == FULL else 4]:
        mask = "causal" if problem.causal else "full"
        for way in ("forward", "backward"):
            subject = f"{mode} {way} {mask} {problem.head_dim}"
            rivals = attention.candidates(problem, target.device)
            found = [rival for rival in rivals if f" {way} " in rival.name]
            plan.ask(f"attention {subject}", Figure("attention", subject, "FLOP"), found)


def _ask_threads(plan: Plan, mode: str, target: Target, most: float) -> None:
    count = 1
    while count < target.cores:
        m, n, k = standard_products(target, most * count / target.cores)[-2]
        rivals = [
            on_threads(candidate, count)
            for candidate in matmul.candidates(mode, 1, m, n, k)
            if candidate.library != "NumPy"  # its threads cannot be told
        ]
        source = Source(product=Contraction(1, m, n, k, mode))
        plan.questions.sources.update({rival.label: source for rival in rivals})
        subject = f"{mode} on {count} thread{'s' * (count != 1)}"
        plan.ask(f"threads {subject}", Figure("matmul", subject, "FLOP"), rivals)
        count *= 2


def _ask_shapes(plan: Plan, mode: str, target: Target, most: float) -> None:
    edge = _CPU_GROUPED_EDGE if target.on_cpu else _DEVICE_GROUPED_EDGE
    figures = [(f"{mode} batched", ways.products(target, mode, _EXPERTS, edge, edge, edge))]
    if target.by_torch:
        experts = grouped.candidates(mode, _EXPERTS, edge, edge, edge, target.device)
        figures.append((f"{mode} grouped", experts))
    wide = 4 * edge
    for rows in _SKINNY_ROWS:
        if 2 * rows * wide * wide <= most:
            skinny = ways.products(target, mode, 1, rows, wide, wide)
            figures.append((f"{mode} {rows} rows", skinny))
    for subject, rivals in figures:
        plan.ask(f"shape {subject}", Figure("matmul", subject, "FLOP"), rivals)


def _ask_memory(plan: Plan, level: str, target: Target) -> None:
    sizes = footprints(target.cache_bytes)
    if level == QUICK:
        sizes = (sizes[0], *sizes[-2:])
    for mix in MIXES if level == QUICK else memory.MIXES:
        for size in sizes:
            rivals = [*ways.movers(target, mix, size), *ways.other_movers(target, mix, size)]
            plan.ask(f"bytes {mix} {size}", Figure("memory", mix, "B", size), rivals)


def _ask_units(plan: Plan, target: Target, most: float) -> None:
    ask_pointwise(plan.questions, target, most)
    if target.compiles_triton:
        from goodput_kernels import triton_chain

        plan.questions.ask("vector", triton_chain.multiply_add_candidates())
        plan.questions.ask("special", triton_chain.special_candidates())
    plan.figures["vector"] = Figure("vector", "float32 multiply-add", "FLOP")
    plan.figures["special"] = Figure("special", "float32, the fastest function", "calls")
    plan.figures["floor"] = Figure("latency", "shortest operator", "calls")


def _ask_latency(plan: Plan, target: Target) -> None:
    if not target.by_torch:
        for candidate in jax_latency.candidates(target.kind):
            subject = candidate.name.partition(",")[0]
            plan.ask(f"latency {subject}", Figure("latency", subject, "calls"), [candidate])
        return
    device = target.device
    kinds = {
        "eager operator": latency.eager_candidates(device),
        "empty kernel on a stream": _empty_kernels(target),
        "node of a graph": latency.graph_candidates(device),
        "kernel and wait": latency.round_trip_candidates(device),
    }
    for subject, rivals in kinds.items():
        plan.ask(f"latency {subject}", Figure("latency", subject, "calls"), rivals)


def _empty_kernels(target: Target) -> tuple[Candidate, ...]:
    own = latency.stream_candidates(target.device)
    if not target.compiles_triton:
        return own
    from goodput_kernels import triton_latency

    return (*own, *triton_latency.candidates(target.device))


def _ask_irregular(plan: Plan, level: str, target: Target) -> None:
    size = _IRREGULAR_PAST_THE_CACHE * (target.cache_bytes or UNKNOWN_CACHE)
    size = min(size, _LARGEST_IRREGULAR)
    for operation, lengths in irregular.OPERATIONS.items():
        for together in lengths if level == FULL else lengths[-1:]:
            rivals = irregular.candidates(operation, size, together, target.device)
            subject = f"{operation}, {together} bytes"
            plan.ask(f"irregular {subject}", Figure("irregular", subject, "B", size), rivals)


def _ask_links(plan: Plan, target: Target) -> None:
    for size in _LINK_SIZES:
        for direction in link.DIRECTIONS:
            rivals = link.candidates(direction, size, target.device)
            for memory_kind in ("pinned", "pageable"):
                found = [c for c in rivals if f" {memory_kind} " in c.name]
                subject = f"{direction} {memory_kind}"
                plan.ask(f"link {subject} {size}", Figure("link", subject, "B", size), found)
