from dataclasses import replace

import pytest

from goodput.capacity.profile import BandwidthPoint, Datasheet, Peak, Provenance
from goodput.renderers.headline import headline, known
from goodput.report.model import Report


def line(report: Report, label: str) -> str:
    return dict(headline(report))[label]


@pytest.mark.parametrize(
    ("provenance", "text"),
    [
        (
            Provenance("measured", "torch.mm", measured_at="2026-08-01T12:00:00+00:00"),
            "measured 2026-08-01: torch.mm",
        ),
        (
            Provenance("datasheet", "row H100", url="https://v.com"),
            "datasheet: row H100, https://v.com",
        ),
        (
            Provenance("datasheet", "datasheet row H100: https://v.com", url="https://v.com"),
            "datasheet row H100: https://v.com",
        ),
        (Provenance("measured", ""), "measured"),
    ],
)
def test_how_a_roof_is_known(provenance: Provenance, text: str) -> None:
    assert known(Peak(1e12, provenance)) == text


def test_without_a_capacity_it_says_what_to_type(unknown_report: Report) -> None:
    assert line(unknown_report, "capacity").startswith("n/a")
    assert "--capacity FILE" in line(unknown_report, "capacity")


def test_mfu_needs_a_row_and_a_peak_for_each_mode(report: Report) -> None:
    assert "no datasheet row" in line(report, "MFU")
    assert report.capacity is not None
    row = Datasheet("H100", {"bfloat16": 989e12}, 3.35e12)
    listed = replace(report, capacity=replace(report.capacity, datasheet=row))
    assert "no peak for a mode" in line(listed, "MFU")
    used = replace(listed, totals=replace(listed.totals, mfu=0.4, hfu=0.5))
    assert line(used, "MFU").startswith("40.0 %")
    assert line(used, "HFU").startswith("50.0 %")


def test_tokens_only_where_they_are_known(report: Report, unknown_report: Report) -> None:
    assert line(report, "tokens") == "20.5 ktoken/s"
    assert "tokens" not in dict(headline(unknown_report))


def test_useful_flops_by_mode_most_first(report: Report) -> None:
    modes = {"float32": 1e9, "bfloat16": 9e9}
    mixed = replace(report, totals=replace(report.totals, useful_flops_by_mode=modes))
    assert "(bfloat16 9.00 GFLOP, float32 1.00 GFLOP)" in line(mixed, "useful")


def test_a_measured_mode_and_the_memory_curve_have_their_lines(report: Report) -> None:
    lines = [text for label, text in headline(report) if label == "capacity"]
    assert [text.split()[0] for text in lines] == ["float32", "memory"]


def test_roofs_of_one_datasheet_row_share_a_line(report: Report) -> None:
    peak = Peak(989e12, Provenance("datasheet", "row H100"))
    assert report.capacity is not None
    capacity = replace(
        report.capacity,
        flops_per_s={"float32": peak},
        bandwidth={"copy": (BandwidthPoint(1, replace(peak, rate=3.35e12)),)},
    )
    assert line(replace(report, capacity=capacity), "capacity") == (
        "float32 989 TFLOP/s, memory 3.35 TB/s, datasheet: row H100"
    )


def test_one_step_has_no_spread(report: Report) -> None:
    one = replace(report, step=replace(report.step, count=1, basis="trace"))
    assert line(one, "step") == "100 ms (1 step, profiled steps of the trace)"
