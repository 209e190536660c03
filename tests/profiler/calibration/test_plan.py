"""What each level asks of a CPU and of a device; nothing is run."""

from importlib import import_module

import pytest

from goodput.calibration.plan import (
    ALL_MODES,
    FULL,
    QUICK,
    SECONDS,
    STANDARD,
    Figure,
    Plan,
    modes_of,
    plan_of,
)
from goodput.calibration.ways import Target
from goodput.capacity.datasheet import MIXES
from goodput.capacity.measurement import UNITS
from goodput_kernels.candidate import Candidate
from goodput_kernels.triton_architecture import ARCHITECTURES

torch = pytest.importorskip("torch", reason="the candidates are torch's")

CPU = Target("cpu", "cpu", 4, 8 << 20, 4)
MOST = 1e9


def planned(level, asked=(), target=CPU, most=lambda _: MOST):
    return plan_of(level, asked, target, most)


@pytest.mark.parametrize("level", list(SECONDS))
def test_every_group_has_a_figure_and_rivals(level):
    plan = planned(level)
    assert set(plan.figures) == set(plan.questions.groups)
    assert all(plan.questions.groups.values())
    assert {figure.unit for figure in plan.figures.values()} <= set(UNITS)
    for group, figure in plan.figures.items():
        units = {c.unit for c in plan.questions.groups[group]}
        wanted = {"FLOP": {"flops"}, "B": {"bytes"}}.get(figure.quantity, {"calls", "special"})
        assert units <= wanted, group
    keys = [(f.unit, f.subject, f.size) for f in plan.figures.values()]
    assert len(set(keys)) == len(keys)


def test_each_level_asks_more_than_the_one_below():
    sizes = [sum(map(len, planned(level).questions.groups.values())) for level in SECONDS]
    assert sizes == sorted(sizes)
    assert sizes[0] < sizes[1] < sizes[2]
    assert set(planned(QUICK).figures) < set(planned(STANDARD).figures) < set(planned(FULL).figures)


def test_a_quick_measurement_has_all_that_a_report_needs():
    plan = planned(QUICK)
    assert {group.split()[1] for group in plan.figures if group.startswith("bytes")} == set(MIXES)
    assert {"vector", "special", "floor", "flops bfloat16", "flops float32"} <= set(plan.figures)


def test_a_cpu_is_asked_for_what_it_has_units_for_unless_told_otherwise():
    device = Target("cuda", "cuda", 1, 50 << 20, 132)
    assert "float8_e4m3" not in modes_of(STANDARD, (), CPU)
    assert {"tf32", "mxfp8", "nvfp4", "float8_e4m3"}.isdisjoint(modes_of(FULL, (), CPU))
    assert modes_of(FULL, (), device) == ALL_MODES
    assert modes_of(QUICK, ("float8_e4m3", "int8", "float8_e4m3"), CPU) == ("float8_e4m3", "int8")
    assert any(
        "scaled_mm" in c.name for c in rivals(planned(QUICK, ("float8_e4m3",)), "float8_e4m3")
    )


def rivals(plan, mode):
    return plan.questions.groups[f"flops {mode}"]


def test_every_product_can_be_checked_again_later():
    plan = planned(STANDARD, ("float32", "float8_e4m3"))
    for mode in plan.modes:
        for rival in rivals(plan, mode):
            assert rival.label in plan.questions.sources


def test_a_mode_that_nothing_here_multiplies_is_unsupported():
    plan = planned(QUICK, ("tf32", "float32"), most=lambda mode: 0.0 if mode == "tf32" else MOST)
    assert set(plan.unsupported) == {"tf32"}
    assert "no library here" in plan.unsupported["tf32"]
    assert not any("tf32" in group for group in plan.figures)
    assert "flops float32" in plan.figures


def test_float32_products_stand_for_the_vector_units_where_they_are_not_measured_anyway():
    def products(asked):
        plan = planned(QUICK, asked)
        return [c for c in plan.questions.groups["vector"] if "x" in c.name]

    assert products(("float32",)) == []
    assert products(("bfloat16",))


def test_the_threads_of_a_cpu_are_asked_one_by_one():
    subjects = [f.subject for f in planned(STANDARD, ("float32",)).figures.values()]
    assert "float32 on 1 thread" in subjects
    assert "float32 on 2 threads" in subjects
    assert "float32 on 4 threads" not in subjects  # that is the roof itself


def test_xla_is_asked_on_a_cpu_where_it_is_installed():
    pytest.importorskip("jax", reason="XLA:CPU comes with jax")
    quick = [c.name for c in rivals(planned(QUICK, ("float32",)), "float32") if c.library == "XLA"]
    more = [
        c.name for c in rivals(planned(STANDARD, ("float32",)), "float32") if c.library == "XLA"
    ]
    assert len(quick) == 2
    assert set(quick) < set(more)


def test_a_group_without_rivals_is_none():
    plan = Plan()
    plan.ask("g", Figure("memory", "x", "B"), ())
    assert plan.figures == plan.questions.groups == {}
    plan.ask("g", Figure("memory", "x", "B"), [Candidate("a", "b", "bytes", 1, lambda: None)])
    assert set(plan.figures) == {"g"}


def test_tritons_kernels_compete_for_every_unit_of_a_device_that_they_compile_for(monkeypatch):
    pytest.importorskip("triton")
    hopper, device = ARCHITECTURES["sm_90"], Target("cuda", "cuda", 1, 50 << 20, 132)
    for name in ("chain", "latency", "matmul", "memory"):
        module = import_module(f"goodput_kernels.triton_{name}")
        monkeypatch.setattr(module, "architecture_of", lambda _: hopper)
        monkeypatch.setattr(module, "units_of", lambda _: 132, raising=False)
    groups = planned(QUICK, target=device, most=lambda _: 1e13).questions.groups
    with_triton = {
        group
        for group, rivals in groups.items()
        if any(rival.library == "Triton" for rival in rivals)
    }
    assert {"vector", "special", "flops bfloat16", "latency empty kernel on a stream"} <= (
        with_triton
    )
    assert any(group.startswith("bytes copy") for group in with_triton)
