"""A small GPT's report on a CPU, made by hand, and the keeper of the golden files."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from goodput.capacity.profile import BandwidthPoint, Capacity, Peak, Provenance
from goodput.device import DeviceIdentity
from goodput.report.model import (
    RUNGS,
    Coverage,
    OperatorRow,
    Report,
    Rung,
    StepSummary,
    Totals,
    UnmodelledOperator,
)

GOLD = Path(__file__).parents[2] / "gold"
CPU = DeviceIdentity("cpu", "AMD EPYC 9B14, 2 cores", 2, 8_000_000_000, 32_000_000)
WALL = 0.1


def measured(rate: float, detail: str) -> Peak:
    return Peak(
        rate,
        Provenance(
            "measured",
            detail,
            regime="burst",
            samples=(rate, 0.98 * rate),
            measured_at="2026-08-01T12:00:00+00:00",
        ),
    )


def operator(name: str, seconds: float, lost: float | None, **other: object) -> OperatorRow:
    """A row of `seconds` of which all but `lost` were useful at a roof of 200 GFLOP/s."""
    flops = None if lost is None else 200e9 * (seconds - lost)
    fields = {
        "operator": name,
        "phase": "forward",
        "module": "",
        "dtype": "float32",
        "shapes": "f32[2048,256] f32[256,1024]",
        "kernel": "",
        "calls": 4.0,
        "useful_flops": flops,
        "executed_flops": flops,
        "vector_flops": 0.0,
        "special": 0.0,
        "bytes": 1.2e7,
        "device_seconds": seconds,
        "ideal_seconds": None if lost is None else seconds - 0.8 * lost,
        "lost_seconds": lost,
        "goodput": None if lost is None else (seconds - lost) / seconds,
        "roofline_efficiency": None if lost is None else (seconds - 0.8 * lost) / seconds,
        "bound": "unmodelled" if lost is None else "compute",
        "link": "exact",
    }
    return OperatorRow(**{**fields, **other})


def module(name: str, seconds: float, lost: float | None) -> OperatorRow:
    return operator("", seconds, lost, phase="", module=name, dtype="", shapes="")


def gpt() -> Report:
    capacity = Capacity(
        device=CPU,
        flops_per_s={"float32": measured(200e9, "torch.mm 2048x2048x2048 (mkl)")},
        vector=measured(40e9, "fma chain"),
        special=measured(2e9, "exp"),
        bandwidth={
            "copy": (
                BandwidthPoint(524_288, measured(259e9, "copy")),
                BandwidthPoint(268_435_456, measured(43e9, "copy")),
            )
        },
        measured_at="2026-08-01T12:00:00+00:00",
        software={"torch": "2.13.0"},
    )
    shares = {
        "useful": 0.5,
        "recompute": 0.0,
        "padding": 0.02,
        "vector": 0.08,
        "memory": 0.12,
        "kernel": 0.13,
        "unmodelled": 0.01,
        "communication": 0.0,
        "copies": 0.0,
        "host": 0.1,
        "idle": 0.04,
    }
    flash = "aten::_scaled_dot_product_flash_attention_for_cpu_backward"
    return Report(
        device=CPU,
        environment={"torch": "2.13.0+cpu", "python": "3.11.7"},
        convention="exact",
        capacity=capacity,
        step=StepSummary(12, "host", WALL, 0.098, 0.109, 0.101),
        totals=Totals(
            useful_flops=10e9,
            useful_flops_by_mode={"float32": 10e9},
            executed_flops=10.4e9,
            vector_flops=0.3e9,
            special=4e7,
            bytes=5e8,
            useful_seconds=0.05,
            ideal_seconds=0.07,
            program_goodput=0.5,
            program_goodput_sustained=0.55,
            roofline_efficiency=0.81,
            mfu=None,
            hfu=None,
            useful_flops_per_s=100e9,
            tokens_per_s=20_480.0,
        ),
        ladder=tuple(Rung(name, WALL * share, share) for name, share in shares.items()),
        operators=(
            operator("aten::mm", 0.03, 0.006, phase="backward"),
            operator("aten::addmm", 0.02, 0.005),
            operator(flash, 0.008, 0.004, phase="backward", shapes="f32[4,4,256,64] " * 5),
            operator(
                "aten::add_", 0.004, 0.004, bound="memory", goodput=0.0, roofline_efficiency=1.4
            ),
            operator("aten::mystery", 0.001, None, dtype=""),
            *(operator(f"aten::small_{n}", 0.0001, 0.00005) for n in range(14)),
        ),
        modules=(
            module("", 0.086, None),
            module("embed", 0.001, 0.001),
            module("blocks", 0.06, 0.012),
            *(module(f"blocks.{n}", 0.02, 0.004) for n in range(3)),
            *(module(f"blocks.{n}.attention", 0.008, 0.002) for n in range(3)),
            *(module(f"blocks.{n}.mlp", 0.011, 0.001) for n in range(3)),
            module("head", 0.02, 0.003),
        ),
        coverage=Coverage(
            modelled_share=0.987,
            exactly_linked_share=0.991,
            edge_seconds=0.0,
            unmodelled=(UnmodelledOperator("aten::mystery", 0.001, "no formula"),),
            absent_rungs=("shape", "latency"),
            profiler_slowdown=1.61,
            scale=1.0,
            preempted_seconds=0.002,
            steps_left_out=1,
        ),
        title="gpt.py --steps 30",
        warnings=("the mean step is 1.05 times the median",),
    )


@pytest.fixture
def report() -> Report:
    return gpt()


@pytest.fixture
def broken_report(report: Report) -> Report:
    """A step that does 2.1 times what the device was measured to deliver."""
    return replace(
        report,
        totals=replace(report.totals, program_goodput=2.1, mfu=1.7, roofline_efficiency=2.2),
        operators=(operator("aten::mm", 0.01, -0.011),),
        errors=("the step does 2.10 times what the device was measured to deliver: stale roof",),
    )


@pytest.fixture
def unknown_report(report: Report) -> Report:
    """What is known of a trace from a device that nobody has a row for."""
    blank = dict.fromkeys(
        (
            "useful_seconds",
            "ideal_seconds",
            "program_goodput",
            "program_goodput_sustained",
            "roofline_efficiency",
            "tokens_per_s",
        )
    )
    return replace(
        report,
        device=None,
        environment={},
        capacity=None,
        totals=replace(report.totals, **blank),
        operators=tuple(
            replace(
                row,
                ideal_seconds=None,
                lost_seconds=None,
                goodput=None,
                roofline_efficiency=None,
                bound="unmodelled",
            )
            for row in report.operators
        ),
        coverage=replace(report.coverage, modelled_share=None, profiler_slowdown=None),
    )


def _counted_row(row: OperatorRow) -> OperatorRow:
    times = dict.fromkeys(("device_seconds", "lost_seconds", "goodput", "roofline_efficiency"))
    if row.bound == "unmodelled":
        work = dict.fromkeys(("useful_flops", "executed_flops", "vector_flops", "special", "bytes"))
        return replace(row, **times, **work, link="none")
    return replace(row, **times, link="none")


def _by_work(row: OperatorRow) -> tuple[bool, float]:
    return (row.useful_flops is None, -(row.useful_flops or 0.0))


@pytest.fixture
def counted_report(report: Report) -> Report:
    """The same program where a step was counted and some were timed, and none was profiled."""
    return replace(
        report,
        step=StepSummary(2, "host", WALL, 0.098, 0.102, WALL),
        totals=replace(report.totals, roofline_efficiency=None),
        ladder=(),
        operators=tuple(sorted(map(_counted_row, report.operators[:16]), key=_by_work)),
        modules=tuple(_counted_row(replace(row, bound="compute")) for row in report.modules[1:]),
        coverage=Coverage(
            modelled_share=None,
            exactly_linked_share=None,
            edge_seconds=0.0,
            unmodelled=(UnmodelledOperator("aten::mystery", None, "no formula", 4.0),),
            absent_rungs=RUNGS,
            profiler_slowdown=None,
            scale=1.0,
            preempted_seconds=0.0,
            modelled_calls_share=0.95,
            untimed="5 steps were seen and none was profiled; let the program run for more steps",
        ),
        warnings=("the program ended in its warm-up, so the step times are from there",),
    )


@pytest.fixture
def count_only_report(counted_report: Report) -> Report:
    """The same program where nothing but a counted step was asked for: no time and no roof."""
    rates = dict.fromkeys(
        (
            "useful_seconds",
            "ideal_seconds",
            "program_goodput",
            "program_goodput_sustained",
            "useful_flops_per_s",
            "tokens_per_s",
        )
    )
    return replace(
        counted_report,
        capacity=None,
        step=StepSummary(0, None, None, None, None, None),
        totals=replace(counted_report.totals, **rates),
        operators=tuple(
            replace(row, ideal_seconds=None, bound="unmodelled") for row in counted_report.operators
        ),
        modules=tuple(
            replace(row, ideal_seconds=None, bound="unmodelled") for row in counted_report.modules
        ),
        coverage=replace(
            counted_report.coverage, untimed="only counts were asked for; leave out --count-only"
        ),
        warnings=(),
    )


@pytest.fixture
def gold() -> Callable[[str, str], None]:
    """Holds a text against a file of `tests/gold`; a mismatch leaves the text beside it."""

    def compare(name: str, actual: str) -> None:
        expected, beside = GOLD / name, GOLD / f"{name}.actual"
        if expected.exists() and expected.read_text(encoding="utf-8") == actual:
            beside.unlink(missing_ok=True)
            return
        beside.write_text(actual, encoding="utf-8")
        pytest.fail(
            f"{name} differs; look at the new one and accept it with: mv {beside} {expected}"
        )

    return compare
