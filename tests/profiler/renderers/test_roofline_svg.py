from collections.abc import Callable
from dataclasses import replace
from itertools import combinations, pairwise
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from goodput.capacity.measurement import Peaks, Surroundings
from goodput.capacity.profile import BandwidthPoint, Capacity, Peak, Provenance
from goodput.device import DeviceIdentity
from goodput.errors import NotMeasuredError
from goodput.renderers.roofline_layout import Drawing, layout, spread_out, touch
from goodput.renderers.roofline_svg import render_roofline_svg

SVG = "{http://www.w3.org/2000/svg}"
ANY = st.text(max_size=40)
RATES = st.floats(1e8, 1e18)


def peak(rate: float) -> Peak:
    return Peak(rate, Provenance("measured", "x"))


PEAK = RATES.map(peak)
MODES = st.dictionaries(st.text(min_size=1, max_size=25), PEAK, max_size=14)
POINTS = st.lists(
    st.builds(BandwidthPoint, st.integers(1, 2**36), st.floats(1e8, 1e14).map(peak)), max_size=5
).map(lambda points: tuple(sorted(points, key=lambda point: point.footprint_bytes)))


@st.composite
def any_peaks(draw: st.DrawFn) -> Peaks:
    device = DeviceIdentity("cuda", draw(ANY), last_level_cache_bytes=draw(st.integers(0, 2**28)))
    capacity = Capacity(
        device,
        draw(MODES),
        draw(MODES),
        vector=draw(st.none() | PEAK),
        bandwidth=draw(st.dictionaries(ANY, POINTS, max_size=5)),
    )
    around = Surroundings(software=draw(st.dictionaries(ANY, ANY, max_size=4)))
    return Peaks(device, capacity, "full", surroundings=around, measured_at=draw(ANY))


def parsed(text: str) -> ET.Element:
    return ET.fromstring(text)  # noqa: S314  # our own text


def words(root: ET.Element) -> list[str]:
    return [element.text or "" for element in root.iter(f"{SVG}text")]


def check_layout(drawing: Drawing) -> None:
    for text in drawing.texts:
        left, top, right, bottom = text.box
        assert left >= 0, text
        assert top >= 0, text
        assert right <= drawing.width, text
        assert bottom <= drawing.height, text
    for one, other in combinations(drawing.texts, 2):
        assert not touch(one.box, other.box), (one, other)
    for line in drawing.lines:
        for x, y in line.points:
            assert 0 <= x <= drawing.width
            assert 0 <= y <= drawing.height


@settings(deadline=None)
@given(any_peaks())
def test_no_label_touches_another_and_nothing_leaves_the_canvas(peaks: Peaks) -> None:
    drawing = layout(peaks)
    if drawing is not None:
        check_layout(drawing)


def test_that_holds_for_a_crowd_of_equal_roofs() -> None:
    device = DeviceIdentity("cuda", "Crowded")
    roofs = {f"mode{n}": peak(1e12 * (1 + 1e-3 * n)) for n in range(40)}
    points = {f"mix{n}": (BandwidthPoint(10**9, peak(1e12)),) for n in range(6)}
    drawing = layout(Peaks(device, Capacity(device, roofs, roofs, bandwidth=points), "full"))
    assert drawing is not None
    check_layout(drawing)


def test_that_check_can_fail(gpu_peaks: Peaks) -> None:
    drawing = layout(gpu_peaks)
    assert drawing is not None
    twice = replace(drawing, texts=(*drawing.texts, drawing.texts[-1]))
    with pytest.raises(AssertionError):
        check_layout(twice)


@settings(deadline=None)
@given(any_peaks())
def test_the_file_is_well_formed_whatever_the_names(peaks: Peaks) -> None:
    if layout(peaks) is not None:
        assert parsed(render_roofline_svg(peaks)).tag == f"{SVG}svg"


def test_names_are_escaped(gpu_peaks: Peaks) -> None:
    device = replace(gpu_peaks.device, name='<script>"&\x00')
    root = parsed(render_roofline_svg(replace(gpu_peaks, device=device)))
    assert not list(root.iter(f"{SVG}script"))
    assert words(root)[0] == 'Roofline of <script>"&\N{REPLACEMENT CHARACTER}'


def test_it_needs_nothing_from_elsewhere(gpu_peaks: Peaks) -> None:
    text = render_roofline_svg(gpu_peaks)
    assert text.count("http") == 1  # the name space
    assert "href" not in text
    assert "url(" not in text
    assert {element.tag for element in parsed(text).iter()} == {
        f"{SVG}{name}" for name in ("svg", "title", "rect", "polyline", "text")
    }


def test_device_date_and_every_roof_are_told(gpu_peaks: Peaks) -> None:
    told = words(parsed(render_roofline_svg(gpu_peaks)))
    assert told[0] == "Roofline of NVIDIA H200"
    assert told[1].startswith("2026-08-01")
    assert "float8_e4m3 sustained 1.30 PFLOP/s" in told
    assert "bfloat16 burst 861 TFLOP/s" in told
    assert "copy, main memory 4.05 TB/s" in told
    assert "copy, cache 7.20 TB/s" in told


def test_sustained_is_dashed_and_burst_is_not(gpu_peaks: Peaks) -> None:
    lines = parsed(render_roofline_svg(gpu_peaks)).findall(f"{SVG}polyline")
    roofs = [line for line in lines if line.get("stroke-width") == "2"]
    dashed = [line for line in roofs if line.get("stroke-dasharray")]
    assert len(dashed) == len(gpu_peaks.capacity.sustained_flops_per_s)
    assert len(roofs) - len(dashed) == len(gpu_peaks.capacity.flops_per_s) + 1  # and the vector's


def test_gold(gpu_peaks: Peaks, cpu_peaks: Peaks, gold: Callable[[str, str], None]) -> None:
    gold("roofline_h200.svg", render_roofline_svg(gpu_peaks))
    gold("roofline_cpu.svg", render_roofline_svg(cpu_peaks))


def test_without_roofs_it_says_so(cpu_peaks: Peaks) -> None:
    bare = replace(cpu_peaks, capacity=Capacity(cpu_peaks.device))
    with pytest.raises(NotMeasuredError, match="needs a compute roof and a memory roof"):
        render_roofline_svg(bare)


@settings(deadline=None)
@given(st.lists(st.floats(0, 100), max_size=8).map(sorted))
def test_places_keep_order_gap_and_room(wanted: list[float]) -> None:
    places = spread_out(wanted, 12, 0, 100)
    assert all(-1e-9 <= place <= 100 for place in places)
    assert all(b - a >= 12 - 1e-9 for a, b in pairwise(places))


def test_places_with_room_are_the_wanted_ones() -> None:
    assert spread_out([10, 40, 90], 12, 0, 100) == [10, 40, 90]
