from collections.abc import Callable
from dataclasses import replace

import pytest

from goodput.capacity.measurement import Measurement, Peaks
from goodput.capacity.peaks_diff import difference
from goodput.renderers.peaks_difference import render_difference

WIDTHS = (80, 100, 120)
LATER = "2026-08-09T18:30:00+00:00"


def slowed(one: Measurement) -> Measurement:
    """A week later: fp8 sustained hotter, a driver's other copy, slower launches."""
    rate = one.rate or 0.0
    if one.subject == "float8_e4m3" and one.regime == "sustained":
        return replace(one, rate=0.9 * rate, clock_hz=1.41e9)
    if one.subject == "copy" and one.size > 10**9:
        return replace(one, rate=0.95 * rate, kernel="Triton copy, 4 a thread")
    return replace(one, rate=0.5 * rate) if one.unit == "latency" else one


@pytest.fixture
def later(gpu_peaks: Peaks) -> Peaks:
    around = gpu_peaks.surroundings
    return replace(
        gpu_peaks,
        measurements=tuple(slowed(one) for one in gpu_peaks.measurements[:-1]),
        surroundings=replace(
            around,
            software={**around.software, "torch": "2.14.0+cu130"},
            driver="590.10",
            power_limit_watts=600.0,
        ),
        measured_at=LATER,
    )


@pytest.mark.parametrize("width", [80, 120])
def test_gold(gpu_peaks: Peaks, later: Peaks, gold: Callable[[str, str], None], width: int) -> None:
    text = render_difference(difference(gpu_peaks, later), width=width)
    gold(f"peaks_difference_{width}.txt", text)


@pytest.mark.parametrize("width", WIDTHS)
def test_no_line_is_wider_and_no_two_rows_are_alike(
    gpu_peaks: Peaks, later: Peaks, width: int
) -> None:
    text = render_difference(difference(gpu_peaks, later), width=width)
    assert max(map(len, text.splitlines())) <= width
    table = text.partition("What moved from A to B\n")[2].partition("\nchange:")[0]
    rows = table.splitlines()[2:]
    assert len({line[:38] for line in rows}) == len(rows) == 5


def test_figures_that_agree_are_counted_and_not_listed(gpu_peaks: Peaks, later: Peaks) -> None:
    text = render_difference(difference(gpu_peaks, later), width=120)
    assert "\n36 of 41 figures agree within their scatter\n" in text
    assert "tf32" not in text


def test_two_equal_measurements_agree_in_all(gpu_peaks: Peaks) -> None:
    text = render_difference(difference(gpu_peaks, gpu_peaks))
    assert text.splitlines()[0] == "goodput peak: NVIDIA H200"
    assert text.endswith("\n\nall 41 figures agree within their scatter\n")
    assert "reason" not in text


def test_a_slower_launch_is_a_longer_time_and_a_lower_rate(gpu_peaks: Peaks, later: Peaks) -> None:
    text = render_difference(difference(gpu_peaks, later), width=120)
    line = next(line for line in text.splitlines() if line.startswith("latency"))
    assert line.split()[1:8] == ["stream", "2.50", "us", "5.00", "us", "-50.0", "%"]


def test_what_one_lacks_is_not_available_and_never_zero(gpu_peaks: Peaks, later: Peaks) -> None:
    text = render_difference(difference(gpu_peaks, later), width=120)
    line = next(line for line in text.splitlines() if line.startswith("collective"))
    assert " ".join(line.split()[-7:]) == "478 GB/s n/a only in A n/a"
    assert " 0" not in line


def test_many_that_one_lacks_are_counted_by_unit(gpu_peaks: Peaks) -> None:
    few = replace(gpu_peaks, measurements=gpu_peaks.measurements[:12])
    text = render_difference(difference(gpu_peaks, few), width=120)
    assert "\n29 of 41 figures only in A: attention 1, vector 1, special 1, memory 21," in text
    assert "\n12 of 41 figures agree within their scatter\n" in text
    assert "What moved" not in text
    back = render_difference(difference(few, gpu_peaks), width=120)
    assert "\n29 of 41 figures only in B: " in back


def test_reasons_name_figure_clock_kernel_version_and_power(gpu_peaks: Peaks, later: Peaks) -> None:
    text = render_difference(difference(gpu_peaks, later), width=400)
    for line in (
        "note: matmul float8_e4m3 sustained: clock 1.62 GHz -> 1.41 GHz",
        "note: memory copy at 4.29 GB: kernel copy kernel -> Triton copy, 4 a thread",
        "possible reason: torch 2.13.0+cu130 in A, 2.14.0+cu130 in B",
        "possible reason: driver: 580.82 in A, 590.10 in B",
        "possible reason: power limit: 700 W in A, 600 W in B",
    ):
        assert f"\n{line}\n" in text


def test_a_reason_of_several_figures_is_said_once(gpu_peaks: Peaks) -> None:
    half = tuple(
        replace(one, rate=0.5 * (one.rate or 0.0), status="contended")
        if one.unit == "attention" or one.subject == "tf32"
        else one
        for one in gpu_peaks.measurements
    )
    text = render_difference(
        difference(gpu_peaks, replace(gpu_peaks, measurements=half)), width=200
    )
    assert text.count("B was contended") == 1
    assert "tf32, matmul tf32 sustained, attention bfloat16 forward: B was contended" in text


def test_colours_change_no_word(gpu_peaks: Peaks, later: Peaks) -> None:
    found = difference(gpu_peaks, later)
    plain, coloured = render_difference(found), render_difference(found, colour=True)
    assert "\x1b[" not in plain
    assert "\x1b[" in coloured
    for code in ("\x1b[0m", "\x1b[1m", "\x1b[33m"):
        coloured = coloured.replace(code, "")
    assert coloured == plain
