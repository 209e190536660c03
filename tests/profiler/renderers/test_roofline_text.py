from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from goodput.capacity.measurement import Peaks
from goodput.capacity.profile import BandwidthPoint, Capacity, Peak, Provenance
from goodput.device import DeviceIdentity
from goodput.renderers.roofline_lines import CACHE, MAIN, Axis, roofline_of
from goodput.renderers.roofline_text import ROWS, roofline_text

DEVICE = DeviceIdentity("cpu", "Some CPU", 2, 0, 1_000_000)
MEASURED = Provenance("measured", "x")


def peaks_of(
    roofs: dict[str, float], bandwidth: dict[str, tuple[tuple[int, float], ...]], **other: object
) -> Peaks:
    """Peaks with nothing but the roofs given."""
    curves = {
        mix: tuple(BandwidthPoint(size, Peak(rate, MEASURED)) for size, rate in points)
        for mix, points in bandwidth.items()
    }
    flops = {mode: Peak(rate, MEASURED) for mode, rate in roofs.items()}
    return Peaks(DEVICE, Capacity(DEVICE, flops, bandwidth=curves, **other), "quick")


RATES = st.floats(1e9, 1e16)
BANDWIDTHS = st.floats(1e9, 1e13)
ROOFLINES = st.builds(
    peaks_of,
    st.dictionaries(st.sampled_from(["a", "b", "c", "d", "e" * 200]), RATES, min_size=1),
    st.dictionaries(
        st.sampled_from(["copy", "read", "write"]),
        st.lists(st.tuples(st.integers(1, 2**33), BANDWIDTHS), min_size=1, max_size=4).map(
            lambda points: tuple(sorted(points))
        ),
        min_size=1,
    ),
)


@settings(deadline=None)
@given(ROOFLINES, st.integers(60, 160))
def test_every_line_fits_and_every_roof_has_a_legend(peaks: Peaks, width: int) -> None:
    roofline = roofline_of(peaks)
    assert roofline is not None
    lines = roofline_text(roofline, width).splitlines()
    assert max(map(len, lines)) <= max(width, 60)
    assert sum("|" in line for line in lines[:ROWS]) == ROWS
    for mode in peaks.capacity.flops_per_s:
        assert any(line[1:].startswith(f"  {mode}"[:20]) for line in lines[ROWS:])


@settings(deadline=None)
@given(ROOFLINES)
def test_the_axes_hold_every_ridge_and_every_roof(peaks: Peaks) -> None:
    roofline = roofline_of(peaks)
    assert roofline is not None
    for roof in roofline.roofs:
        assert roofline.rate.low < roof.flops_per_s < roofline.rate.high
        for slope in roofline.slopes:
            ridge = roof.flops_per_s / slope.bytes_per_s
            assert roofline.intensity.low < ridge < roofline.intensity.high


@settings(deadline=None)
@given(st.floats(1e-6, 1e6), st.floats(1.5, 1e9), st.floats(0, 1))
def test_an_axis_and_back(low: float, factor: float, part: float) -> None:
    axis = Axis(low, low * factor)
    assert axis.part(axis.value(part)) == pytest.approx(part, abs=1e-9)
    assert all(low * (1 - 1e-6) <= value <= low * factor * (1 + 1e-6) for value in axis.decades)


@pytest.mark.parametrize(
    ("roofs", "bandwidth"),
    [({}, {"copy": ((10**9, 1e10),)}), ({"tf32": 1e12}, {}), ({"tf32": 0.0}, {"copy": ()})],
)
def test_nothing_to_draw(roofs: dict[str, float], bandwidth: dict) -> None:
    assert roofline_of(peaks_of(roofs, bandwidth)) is None


def test_levels_are_named_by_the_cache() -> None:
    both = roofline_of(peaks_of({"a": 1e12}, {"copy": ((1000, 1e12), (10**9, 1e10))}))
    cached = roofline_of(peaks_of({"a": 1e12}, {"copy": ((1000, 1e12), (10**5, 1e11))}))
    assert both is not None
    assert cached is not None
    assert [slope.level for slope in both.slopes] == [CACHE, MAIN]
    assert {slope.level for slope in cached.slopes} == {CACHE}


def test_a_vector_roof_that_is_float32s_own_is_one_line(cpu_peaks: Peaks) -> None:
    same = replace(
        cpu_peaks.capacity, vector=cpu_peaks.capacity.flops_per_s["float32"], special=None
    )
    drawn = roofline_of(replace(cpu_peaks, capacity=same))
    assert drawn is not None
    assert "vector" not in {roof.mode for roof in drawn.roofs}


def test_a_datasheet_roof_says_that_it_is_one() -> None:
    sheet = Peak(1e12, Provenance("datasheet", "row"))
    peaks = peaks_of({}, {"copy": ((10**9, 1e10),)})
    drawn = roofline_of(replace(peaks, capacity=replace(peaks.capacity, flops_per_s={"a": sheet})))
    assert drawn is not None
    assert "a            burst 1.00 TFLOP/s (datasheet)" in roofline_text(drawn, 80)


def test_more_modes_than_letters_lose_no_line() -> None:
    roofs = {f"mode{n}": 1e12 * (n + 1) for n in range(30)}
    drawn = roofline_of(peaks_of(roofs, {"copy": ((10**9, 1e10),)}))
    assert drawn is not None
    text = roofline_text(drawn, 100)
    assert all(f"{mode} " in text for mode in roofs)
