"""What has to be known of a device, as groups of rival candidates. Chooses sizes, times nothing.

Groups are named `flops MODE`, `bytes MIX FOOTPRINT`, `vector`, `special` and `floor`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from goodput.calibration import ways
from goodput.calibration.shapes import cut_contraction, cut_convolution
from goodput.calibration.ways import Target
from goodput.capacity.datasheet import MIXES
from goodput.work import Contraction
from goodput_kernels.candidate import Candidate
from goodput_kernels.convolution import Convolution
from goodput_kernels.threads import one_thread

FOOTPRINTS = 6
SMALLEST_FOOTPRINT = 1 << 18
LARGEST_FOOTPRINT = 1 << 30
PAST_THE_CACHE = 4
UNKNOWN_CACHE = 1 << 25
"""What the last-level cache is taken to be where the system does not say."""

_EDGES = (128, 192, 256, 384, 512, 768, 1024, 1536, 2048, 3072, 4096, 6144, 8192)
_SQUARES = 3

# Whole waves of 128x256 tiles on 132 units (Hopper), 108 (A100) and 304 (MI300X), winners of public
# searches (mamf-finder, aiconfigurator, ROCm/triton #456), and plain squares. Timed, never trusted.
_DEVICE_PRODUCTS = (
    (2048, 2048, 2048),
    (4096, 4096, 4096),
    (8192, 8192, 8192),
    (2816, 1536, 8192),
    (2816, 3072, 8192),
    (2816, 3072, 12288),
    (2816, 6144, 8192),
    (2304, 1536, 12288),
    (2048, 2048, 13312),
    (4096, 4096, 14336),
    (8192, 8448, 8192),
    (3072, 51200, 3584),
    (4864, 4096, 8192),
)
# channels in and out, kernel edge, image edge
_CONVOLUTIONS = ((128, 3, 28), (64, 3, 56), (256, 1, 28))
_MOST_IMAGES = 64
# A library may run these with fewer multiplies than are counted (Winograd): no roof comes of that.
_NO_CONVOLUTIONS_ON_DEVICE = ("float32", "float64")


@dataclass(frozen=True, slots=True)
class Source:
    """The problem that a compute candidate was made from: one of the two is there."""

    product: Contraction | None = None
    convolution: Convolution | None = None

    def candidates(self, target: Target) -> tuple[Candidate, ...]:
        """Every way to run it that is tried for every program."""
        if self.product is not None:
            p = self.product
            return ways.products(target, p.mode, p.batch, p.m, p.n, p.k)
        assert self.convolution is not None  # noqa: S101 - one of the two
        return ways.convolutions(target, self.convolution)

    def others(self, target: Target) -> tuple[Candidate, ...]:
        """Ways of other frameworks, which only a full measurement tries."""
        p = self.product
        return () if p is None else ways.other_products(target, p.mode, p.batch, p.m, p.n, p.k)


@dataclass(slots=True)
class Questions:
    """Groups of rivals, and the problem behind each compute candidate by its label."""

    groups: dict[str, list[Candidate]] = field(default_factory=dict)
    sources: dict[str, Source] = field(default_factory=dict)

    def ask(self, group: str, candidates: Iterable[Candidate]) -> None:
        """Add rivals to `group`, each label once."""
        asked = self.groups.setdefault(group, [])
        known = {rival.label for rival in asked}
        asked.extend(c for c in candidates if c.label not in known)

    def ask_source(
        self,
        mode: str,
        source: Source,
        target: Target,
        change: Callable[[Candidate], Candidate] = lambda candidate: candidate,
    ) -> None:
        """Add every way to run `source`, each after `change`, to the rivals for `mode`."""
        candidates = tuple(map(change, source.candidates(target)))
        self.ask(f"flops {mode}", candidates)
        self.sources.update({candidate.label: source for candidate in candidates})


def ask_standard(questions: Questions, mode: str, target: Target, most_flops: float) -> None:
    """The standard shapes of `mode`, each of at most `most_flops` FLOPs."""
    for m, n, k in standard_products(target, most_flops):
        source = Source(product=Contraction(1, m, n, k, mode))
        questions.ask_source(mode, source, target)
    if target.on_cpu and target.by_torch:
        # On a busy machine a product waits for its slowest thread, and one thread may beat all.
        questions.ask_source(mode, source, target, change=one_thread)
    if _convolves(mode, target):
        for problem in standard_convolutions(mode, most_flops):
            questions.ask_source(mode, Source(convolution=problem), target)


def ask_own(
    questions: Questions,
    mode: str,
    products: Sequence[Contraction],
    convolutions: Sequence[Convolution],
    target: Target,
    most_flops: float,
) -> None:
    """The program's own shapes of `mode`, cut to at most `most_flops` FLOPs."""
    for product in products:
        if product.mode == mode:
            source = Source(product=cut_contraction(product, most_flops))
            questions.ask_source(mode, source, target)
    for problem in convolutions:
        cut = cut_convolution(problem, most_flops)
        if problem.mode == mode and cut is not None and _convolves(mode, target):
            questions.ask_source(mode, Source(convolution=cut), target)


def _convolves(mode: str, target: Target) -> bool:
    return target.on_cpu or mode not in _NO_CONVOLUTIONS_ON_DEVICE


def standard_products(target: Target, most_flops: float) -> tuple[tuple[int, int, int], ...]:
    """`(m, n, k)` of the standard shapes: of at most `most_flops` FLOPs.

    On a CPU the last is no square, and the one before it the largest square.
    """
    if not target.on_cpu:
        fitting = [s for s in _DEVICE_PRODUCTS if 2 * s[0] * s[1] * s[2] <= most_flops]
        return tuple(fitting or [(1024, 1024, 1024)])
    edges = [edge for edge in _EDGES if 2 * edge**3 <= most_flops] or [_EDGES[0]]
    largest = edges[-1]
    # Short calls too: where others use the cores, a long one is never left alone.
    halves = [largest >> times for times in range(_SQUARES) if largest >> times >= _EDGES[0]]
    squares = [(edge, edge, edge) for edge in reversed(halves)]
    return (*squares, (largest // 4, 4 * largest, largest))


def standard_convolutions(mode: str, most_flops: float) -> tuple[Convolution, ...]:
    """Convolutions like those of residual networks, the batch as large as fits."""
    found = []
    for channels, kernel, image in _CONVOLUTIONS:
        problem = Convolution(
            mode=mode,
            image=(_MOST_IMAGES, channels, image, image),
            weight=(channels, channels, kernel, kernel),
            stride=(1, 1),
            padding=(kernel // 2, kernel // 2),
            dilation=(1, 1),
        )
        found.append(cut_convolution(problem, most_flops))
    return tuple(problem for problem in found if problem is not None)


def footprints(cache_bytes: int) -> tuple[int, ...]:
    """Footprints from cache to four times the last level, evenly spaced on a log scale."""
    largest = PAST_THE_CACHE * (cache_bytes or UNKNOWN_CACHE)
    largest = min(max(largest, 4 * SMALLEST_FOOTPRINT), LARGEST_FOOTPRINT)
    ratio = largest / SMALLEST_FOOTPRINT
    exact = (SMALLEST_FOOTPRINT * ratio ** (n / (FOOTPRINTS - 1)) for n in range(FOOTPRINTS))
    return tuple(round(size / 64) * 64 for size in exact)


def ask_memory(questions: Questions, target: Target) -> None:
    """Every mix at every footprint."""
    for mix in MIXES:
        for size in footprints(target.cache_bytes):
            questions.ask(f"bytes {mix} {size}", ways.movers(target, mix, size))


def ask_pointwise(questions: Questions, target: Target, most_flops: float) -> None:
    """The vector and special-function units, and the shortest operator.

    A strict float32 product is a chain of multiply-adds on the vector units of a CPU or an NVIDIA
    GPU, so it stands among the rivals there; AMD's matrix units run it. With `most_flops` 0 it
    does not: the roof of float32 is measured anyway, and the vector roof is at least that one.
    """
    questions.ask("special", ways.special_functions(target))
    questions.ask("vector", ways.multiply_adds(target))
    if target.kind != "hip" and most_flops:
        for m, n, k in standard_products(target, most_flops)[-2:]:
            questions.ask("vector", ways.products(target, "float32", 1, m, n, k))
    questions.ask("floor", ways.shortest(target))
