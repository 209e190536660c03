from collections.abc import Callable
from dataclasses import replace

import pytest

from goodput.capacity.measurement import Check, Measurement, Peaks
from goodput.capacity.profile import Capacity
from goodput.renderers.peaks_tables import reasons_of
from goodput.renderers.peaks_text import render_peaks_text

WIDTHS = (80, 100, 120)


def row(text: str, *words: str) -> str:
    """The line of a table that begins with `words`."""
    lines = (
        line for line in text.splitlines() if " ".join(line.split()).startswith(" ".join(words))
    )
    return next(lines)


@pytest.mark.parametrize("width", [80, 120])
def test_gold_of_an_h200(gpu_peaks: Peaks, gold: Callable[[str, str], None], width: int) -> None:
    gold(f"peaks_h200_{width}.txt", render_peaks_text(gpu_peaks, width=width))


@pytest.mark.parametrize("width", [80, 120])
def test_gold_of_a_cpu(cpu_peaks: Peaks, gold: Callable[[str, str], None], width: int) -> None:
    gold(f"peaks_cpu_{width}.txt", render_peaks_text(cpu_peaks, width=width))


@pytest.mark.parametrize("width", WIDTHS)
def test_no_line_is_wider_than_the_terminal(gpu_peaks: Peaks, cpu_peaks: Peaks, width: int) -> None:
    for peaks in (gpu_peaks, cpu_peaks):
        assert max(map(len, render_peaks_text(peaks, width=width).splitlines())) <= width


@pytest.mark.parametrize("width", WIDTHS)
def test_the_best_shape_and_kernel_are_told_in_full(gpu_peaks: Peaks, width: int) -> None:
    assert "2816x3072x12288 cuBLAS nvjet_tst" in render_peaks_text(gpu_peaks, width=width)


def test_a_row_has_datasheet_ceiling_burst_sustained_and_share(gpu_peaks: Peaks) -> None:
    cells = row(render_peaks_text(gpu_peaks, width=120), "matmul", "bfloat16").split("  ")
    told = [cell.strip() for cell in cells if cell.strip()]
    known = "bfloat16, 989 T/s, 1.07 P/s, 861 T/s, 717 T/s, 87.0 %, 1.2 %, ok"
    assert ", ".join(told[1:]) == known


def test_unknown_is_never_zero(cpu_peaks: Peaks) -> None:
    text = render_peaks_text(cpu_peaks, width=120)
    assert "datasheet  n/a: no row has this name" in text
    assert "clock      n/a: the device does not tell" in text
    line = row(text, "matmul", "float16")
    assert line.split()[2:4] == ["n/a"] * 2
    assert " 0 " not in line


def test_columns_that_know_nothing_are_left_out(cpu_peaks: Peaks, gpu_peaks: Peaks) -> None:
    text = render_peaks_text(cpu_peaks, width=120)
    assert row(text, "unit", "dtype").split()[2:5] == ["burst", "spread", "status"]
    assert "of pins" not in text
    assert "no sustained rate was measured; --standard and --full do" in text
    assert "no sustained rate" not in render_peaks_text(gpu_peaks)


@pytest.mark.parametrize("width", WIDTHS)
def test_what_the_first_table_has_no_room_for_stands_in_the_second(
    gpu_peaks: Peaks, width: int
) -> None:
    text = render_peaks_text(gpu_peaks, width=width)
    for header in ("datasheet", "ceiling", "burst", "sustained", "share", "spread", "status"):
        tables = text.partition("\nWhat each unit reaches\n")[2].partition("\nMemory,")[0]
        headers = [line.split() for line in tables.splitlines() if line.startswith("unit ")]
        assert sum(header in line for line in headers) == 1, header


@pytest.mark.parametrize("width", WIDTHS)
def test_memory_tells_share_and_status_at_any_width(gpu_peaks: Peaks, width: int) -> None:
    text = render_peaks_text(gpu_peaks, width=width)
    assert row(text, "access 262 kB").split()[-4:] == ["of", "pins", "spread", "status"]
    assert row(text, "read").endswith("4.46 TB/s   92.9 %   1.2 %  ok")


def test_directions_and_kinds_are_not_cut(gpu_peaks: Peaks) -> None:
    attention = Measurement(
        "attention", "bfloat16 backward causal 128", "burst", 5e14, "FLOP", "ok"
    )
    special = Measurement("special", "float32, the fastest function", "burst", 4e12, "calls", "ok")
    peaks = replace(gpu_peaks, measurements=(*gpu_peaks.measurements, attention, special))
    text = render_peaks_text(peaks, width=120)
    assert "bfloat16 bwd causal 128 " in text
    assert "float32, fastest " in text


def test_an_unsupported_row_says_why(cpu_peaks: Peaks) -> None:
    text = render_peaks_text(cpu_peaks, width=120)
    assert "unsupported" in row(text, "matmul", "float16")
    assert "matmul float16: unsupported, reference code below 1 GFLOP/s" in text


def test_a_reason_of_several_is_said_once() -> None:
    lacking = [
        Measurement("matmul", mode, "burst", None, "FLOP", "unsupported", detail="too old")
        for mode in ("nvfp4", "mxfp8")
    ]
    earlier = [
        Measurement("memory", "copy", "burst", 1e12, "B", "scaled", size=n, detail=f"then; of {n}")
        for n in (1, 2)
    ]
    assert reasons_of([*lacking, *earlier]) == [
        "matmul nvfp4, matmul mxfp8: unsupported, too old",
        "memory copy: scaled, then",
    ]


def test_a_rate_that_failed_a_check_is_no_roof_and_no_share(gpu_peaks: Peaks) -> None:
    text = render_peaks_text(gpu_peaks, width=120)
    line = row(text, "matmul", "int8")
    assert "no roof" in line
    assert "3.10 P" not in line
    assert "156" not in line
    assert "matmul int8: no roof, since 3.10 PFLOP/s fails: ceiling (145 % of the" in text
    assert "not met: ceiling" in text


def test_a_valid_rate_stands_before_a_higher_one_that_failed(gpu_peaks: Peaks) -> None:
    bad = Measurement(
        "matmul",
        "bfloat16",
        "burst",
        2e15,
        "FLOP",
        "ok",
        checks=(Check("correct", passed=False, value=1.0, detail="wrong"),),
    )
    text = render_peaks_text(replace(gpu_peaks, measurements=(bad, *gpu_peaks.measurements)))
    assert "861 T/s" in row(text, "matmul", "bfloat16")


def test_a_partial_measurement_says_so_at_once(cpu_peaks: Peaks, gpu_peaks: Peaks) -> None:
    first = render_peaks_text(cpu_peaks).splitlines()[:4]
    assert "partial: interrupted before the sustained rates" in first
    assert "partial" not in render_peaks_text(gpu_peaks)


def test_the_status_is_told_where_it_is_not_ok(cpu_peaks: Peaks) -> None:
    assert row(render_peaks_text(cpu_peaks), "call").split()[5] == "contended"


def test_latency_is_a_duration(gpu_peaks: Peaks) -> None:
    assert row(render_peaks_text(gpu_peaks), "graph").split()[1:3] == ["1.36", "us"]


def test_a_link_has_its_line(gpu_peaks: Peaks) -> None:
    line = row(render_peaks_text(gpu_peaks, width=120), "link", "host to device")
    assert "8.10 us" in line
    assert "52.4 GB/s" in line


def test_without_a_roof_there_is_no_roofline_and_no_empty_table(gpu_peaks: Peaks) -> None:
    bare = replace(gpu_peaks, capacity=Capacity(gpu_peaks.device), measurements=(), curves=())
    text = render_peaks_text(bare)
    assert "Roofline" not in text
    assert "Memory" not in text
    assert text.startswith("goodput peak: NVIDIA H200\n")


def test_colours_only_where_asked_and_they_change_no_word(cpu_peaks: Peaks) -> None:
    plain = render_peaks_text(cpu_peaks)
    coloured = render_peaks_text(cpu_peaks, colour=True)
    assert "\x1b[" not in plain
    assert "\x1b[" in coloured
    for code in ("\x1b[0m", "\x1b[1m", "\x1b[33m", "\x1b[31m"):
        coloured = coloured.replace(code, "")
    assert coloured == plain


def test_warnings_are_said_once(cpu_peaks: Peaks) -> None:
    peaks = replace(
        cpu_peaks,
        warnings=("it was hot",),
        capacity=replace(cpu_peaks.capacity, warnings=("it was hot",)),
    )
    assert render_peaks_text(peaks).count("warning: it was hot") == 1
