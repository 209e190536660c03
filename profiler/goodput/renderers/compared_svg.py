"""The roofline of a device with every variant of a comparison on it, as SVG."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from goodput.capacity.measurement import Peaks, Surroundings
from goodput.errors import NotMeasuredError
from goodput.renderers.roofline_layout import Mark, layout
from goodput.renderers.roofline_svg import svg_of
from goodput.report.compared import Comparison


def render_compared_svg(comparisons: Sequence[Comparison]) -> str:
    """Roofs, and a mark for each variant and case that was measured.

    A mark stands at the reference's useful FLOPs (vector FLOPs where it has no products) over the
    bytes of arguments and results, and at those FLOPs over the variant's own time.

    Raises:
        NotMeasuredError: there are no roofs, or nothing was measured.
    """
    capacity = next((one.capacity for one in comparisons if one.capacity is not None), None)
    marks = [mark for one in comparisons for mark in _marks(one)]
    drawing = None
    if capacity is not None and marks:
        around = Surroundings(software=capacity.software)
        peaks = Peaks(capacity.device, capacity, "", surroundings=around)
        drawing = layout(peaks, marks)
    if drawing is None or capacity is None:
        raise NotMeasuredError(
            "a plot needs a compute roof, a memory roof and a variant that was measured and counted"
        )
    return svg_of(drawing, f"Variants on the roofline of {capacity.device.name}")


def _marks(comparison: Comparison) -> Iterator[Mark]:
    for case in comparison.cases:
        flops = sum((case.useful_flops or {}).values()) or case.vector_flops
        if not flops or not case.moved_bytes:
            continue
        for row in case.rows:
            if row.seconds is not None:
                label = f"{row.variant} ({case.name}), {row.verdict}"
                yield Mark(flops / case.moved_bytes, flops / row.seconds.value, label)
