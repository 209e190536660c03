"""A comparison as text, JSON, HTML and SVG."""

import json
from dataclasses import replace

import pytest

from goodput.capacity.profile import BandwidthPoint, Capacity, Peak, Provenance
from goodput.device import DeviceIdentity
from goodput.errors import NotMeasuredError
from goodput.renderers.compared_html import render_comparison_html
from goodput.renderers.compared_json import render_comparisons_json
from goodput.renderers.compared_svg import render_compared_svg
from goodput.renderers.compared_text import render_comparison
from goodput.report.compared import (
    CaseResult,
    ClockRange,
    Comparison,
    Interval,
    KernelResources,
    Overall,
    VariantRow,
)

MEASURED = Provenance("measured", "made up")
CPU = Capacity(
    DeviceIdentity("cpu", "a <CPU>"),
    {"float32": Peak(5e10, MEASURED)},
    bandwidth={"copy": (BandwidthPoint(1000, Peak(1e10, MEASURED)),)},
)
REFERENCE = VariantRow(
    "aten", "SLOWER", seconds=Interval(2e-3, 1.9e-3, 2.1e-3), ratio=Interval(1.0, 1.0, 1.0)
)
FAST = VariantRow(
    "fast",
    "FASTEST",
    seconds=Interval(1e-3, 0.9e-3, 1.1e-3),
    ratio=Interval(0.5, 0.45, 0.55),
    executed_ratio=1.5,
    goodput=0.4,
    error=1e-7,
)
WRONG = VariantRow("wrong", "INCORRECT", "its error is <large>")


def comparison(**other):
    cases = (
        CaseResult("M=1", {"M": "1"}, (REFERENCE, FAST, WRONG), {"float32": 10**7}, 0, 10**5),
        CaseResult("M=2", {"M": "2"}, (REFERENCE, replace(FAST, verdict="TIE")), {}, 10, 10),
    )
    fields = {
        "operator": "gemm",
        "reference": "aten",
        "cases": cases,
        "overall": (Overall("fast", Interval(0.5, 0.4, 0.6), 2, 1.0, 1.0),),
        "processes": 9,
        "processes_needed": None,
        "share": 0.1,
        "trust": "fast",
        "checks": ("accuracy",),
        "seed": 1,
        "device": "cpu",
        "capacity": CPU,
        "warnings": ("a warning",),
        "sentence": "fast ran 2.00 times as fast",
    }
    return Comparison(**{**fields, **other})


def test_the_text_has_every_variant_its_reason_and_the_sentence():
    text = render_comparison(comparison(), width=120)
    for words in (
        "FASTEST    1.00 ms",
        "0.500",
        "1.50x",
        "40.0 %",
        "wrong: its error is <large>",
        "Fastest by case",
        "Over all cases",
        "warning: a warning",
        "result  fast ran 2.00 times as fast",
        "9 fresh processes",
        "10th percentile",
    ):
        assert words in text, words
    assert max(map(len, text.splitlines())) <= 120


@pytest.mark.parametrize("width", [80, 100, 120])
def test_the_text_fits(width):
    assert max(map(len, render_comparison(comparison(), width=width).splitlines())) <= width


def test_the_json_holds_everything():
    content = json.loads(render_comparisons_json([comparison()]))
    assert content["schema"] == "goodput.comparison/1"
    [one] = content["comparisons"]
    assert one["cases"][0]["rows"][1]["ratio"] == {"value": 0.5, "low": 0.45, "high": 0.55}
    assert one["cases"][0]["rows"][2]["seconds"] is None


def test_the_html_is_escaped():
    html = render_comparison_html(comparison())
    assert "&lt;large&gt;" in html
    assert "<large>" not in html
    assert html.count("<table>") == html.count("</table>") == 4


def test_the_plot_has_a_mark_and_a_line_of_legend_for_each_measured_variant():
    svg = render_compared_svg([comparison()])
    assert svg.count("fast (M=1), FASTEST") == 1
    assert "10.0 GFLOP/s" in svg
    assert "wrong" not in svg


@pytest.mark.parametrize("other", [{"capacity": None}, {"cases": ()}])
def test_no_plot_without_roofs_or_times(other):
    with pytest.raises(NotMeasuredError, match="a plot needs"):
        render_compared_svg([comparison(**other)])


def test_compiled_kernels_are_a_table_of_their_own():
    kernel = KernelResources("sm_90", "gemm_kernel", "num_warps: 4", 255, 784, 98304, 8)
    row = VariantRow("triton", "ERROR", "it was not measured", resources=(kernel,))
    case = CaseResult("M=1", {"M": "1"}, (row,))
    text = render_comparison(
        comparison(cases=(case,), overall=(), capacity=None, targets=("sm_90",)), width=120
    )
    assert "255" in text
    assert "784 B" in text
    assert "not measured" not in text


def test_a_tuned_configuration_is_whole_and_the_one_case_is_the_title():
    config = "block_m: 128, block_n: 256, block_k: 32, num_warps: 8, num_ctas: 1, maxnreg: None"
    kernel = KernelResources("sm_90", "gemm_kernel", config, 255, 784, 98304, 8)
    row = VariantRow("triton", "FASTEST", resources=(kernel,))
    case = CaseResult("M=4096 N=4096", {"M": "4096", "N": "4096"}, (row,))
    text = render_comparison(comparison(cases=(case,)), width=100)
    assert "Triton kernels, M=4096 N=4096" in text
    assert "block_m=128 block_n=256 block_k=32 warps=8  " in text
    assert "as they were launched" in text
    assert "at least" not in text


def test_a_device_s_clocks_are_told():
    clocks = ClockRange(1.5e9, 1.7e9, 1.98e9, 0.25)
    assert (
        "clocks     1.50 GHz to 1.98 GHz, median 1.70 GHz; held down by power or heat in 25 %"
        in (render_comparison(comparison(clocks=clocks), width=120))
    )
    assert "clocks  " not in render_comparison(comparison())
