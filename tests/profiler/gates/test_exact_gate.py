"""What became of exact figures: every way in which one can move, and which operators moved it."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from goodput.gates.exact import operators_moved
from goodput.gates.judge import judged
from goodput.gates.observation import OperatorFigures
from goodput.report.verdicts import Cause, Tier, Verdict


def verdict(run, baseline, budget=None):
    result = judged(run, baseline, budget or {})
    worst = result.worst
    return result.verdict, worst.metric if worst else "", worst.cause if worst else None


def test_the_same_figures_pass_and_are_counted(run, baseline):
    result = judged(run, baseline, {})
    assert result.verdict is Verdict.PASS
    assert result.evaluated == 7  # by mode they are told by their width


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"useful_flops": 2e6, "executed_flops": 2.2e6}, ("useful_flops", Cause.NUMERATOR)),
        ({"executed_flops": 1.4e6, "recompute_ratio": 1.4}, ("executed_flops", Cause.CODE)),
        ({"bytes": 9_000.0}, ("bytes", Cause.CODE)),
        ({"operator_calls": 41.0}, ("operator_calls", Cause.CODE)),
        ({"upcasts": 3.0}, ("upcasts", Cause.CODE)),
        ({"graph_breaks": 1.0}, ("graph_breaks", Cause.CODE)),
        (
            {
                "useful_flops.bfloat16": None,
                "executed_flops.bfloat16": None,
                "useful_flops.float32": 1e6,
                "executed_flops.float32": 1.1e6,
            },
            ("mode_width", Cause.PRECISION),
        ),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_what_is_worse_is_a_regression_with_its_cause(with_values, baseline, values, expected):
    found = verdict(with_values(**values), baseline)
    assert found == (Verdict.REGRESSED, *expected)


@pytest.mark.parametrize("values", [{"bytes": 4_000.0}, {"useful_flops": 9e5}])
def test_what_is_less_is_an_improvement(with_values, baseline, values):
    assert verdict(with_values(**values), baseline)[0] is Verdict.IMPROVED


def test_worse_outweighs_better(with_values, baseline):
    found = verdict(with_values(bytes=4_000.0, operator_calls=41.0), baseline)
    assert found == (Verdict.REGRESSED, "operator_calls", Cause.CODE)


@pytest.mark.parametrize("values", [{"bytes": None}, {"recompiles": 0.0}])
def test_a_figure_on_one_side_alone_is_never_passed_over(with_values, baseline, values):
    assert verdict(with_values(**values), baseline)[0] is Verdict.INCOMPARABLE


def test_a_kernel_that_is_gone_is_no_loss(with_values, baseline):
    old = replace(baseline, values={**baseline.values, "spills.attention@sm_90": 0.0})
    assert judged(with_values(), old, {}).verdict is Verdict.PASS


def test_a_pinned_figure_under_another_version_is_not_compared(with_values, baseline):
    run = replace(with_values(graph_breaks=2.0), toolchain={"torch": "2.14.0"})
    assert verdict(run, baseline) == (Verdict.INCOMPARABLE, "graph_breaks", Cause.METHOD)
    same = replace(with_values(), toolchain={"torch": "2.14.0"})
    assert verdict(same, baseline)[0] is Verdict.PASS


def test_a_figure_that_processes_do_not_agree_on_is_not_exact(run, baseline):
    shaky = {**run.processes[0], "bytes": 5_001.0}
    found = verdict(replace(run, processes=(*run.processes[:2], shaky)), baseline)
    assert found == (Verdict.INCONCLUSIVE, "bytes", Cause.NOISE)


@pytest.mark.parametrize(
    "change",
    [{"fingerprint": {"program": "gpt.py:step", "batch": 4}}, {"method": "goodput.exact/0"}],
    ids=["config", "convention"],
)
def test_another_program_or_rule_is_not_compared(run, baseline, change):
    result = judged(replace(run, **change), baseline, {})
    assert result.verdict is Verdict.INCOMPARABLE
    assert not result.evaluated


def test_without_a_baseline_a_budget_alone_decides(run):
    assert judged(run, None, {}).verdict is Verdict.INCOMPARABLE
    assert judged(run, None, {"useful_flops": 1e6}).verdict is Verdict.PASS
    result = judged(run, None, {"useful_flops": 9e5})
    assert (result.verdict, result.worst.cause) == (Verdict.REGRESSED, Cause.BUDGET)


def modelled(run, **values):
    found = {"useful_flops": 1e10, "predicted_step_seconds": 1e-3, **values}
    return replace(run, tier=Tier.MODELLED, processes=(found,), device={"name": "NVIDIA H200"})


@pytest.mark.parametrize(
    ("limits", "broken"),
    [
        ({"useful_flops": 12e9, "mfu": 0.4}, None),
        ({"useful_flops": 9e9, "mfu": 0.4}, "useful_flops"),
        ({"useful_flops": 12e9, "mfu": 0.6}, "predicted_mfu"),
        ({"predicted_step_seconds": 1e-4}, "predicted_step_seconds"),
    ],
)
def test_a_modelled_case_without_a_baseline_is_held_to_its_budget(run, limits, broken):
    result = judged(modelled(run, predicted_mfu=0.5), None, limits)
    assert "there is no modelled baseline of gpt" in result.notes[-1]
    if broken is None:
        assert (result.verdict, result.statuses) == (Verdict.PASS, frozenset())
        assert result.evaluated == 2
        told = "the budget is held: predicted_mfu is 50.00 %, and at least 40.00 % is allowed"
        assert told in result.notes
    else:
        assert (result.verdict, result.statuses) == (Verdict.REGRESSED, {1})
        assert (result.worst.metric, result.worst.cause) == (broken, Cause.BUDGET)


def test_what_cannot_be_predicted_is_left_to_be_measured(run):
    assert judged(modelled(run), None, {"mfu": 0.4}).verdict is Verdict.INCOMPARABLE


def test_a_budget_on_what_is_not_known_is_not_held(run, baseline):
    result = judged(run, baseline, {"spills": 0.0})
    assert result.verdict is Verdict.INCOMPARABLE


def test_drift_is_told_since_the_first_baseline(with_values, baseline):
    old = replace(baseline, origin={**baseline.origin, "bytes": 2_500.0})
    finding = next(f for f in judged(with_values(bytes=6e3), old, {}).findings if f.drift)
    assert finding.change == pytest.approx(0.2)
    assert finding.drift == pytest.approx(1.4)


FIGURES = st.dictionaries(
    st.sampled_from("abcdef"),
    st.builds(OperatorFigures, st.integers(0, 9), st.integers(0, 99), st.integers(0, 999)),
)


@given(FIGURES, FIGURES)
def test_operators_that_moved_are_those_that_need_more(before, now):
    moved = operators_moved(before, now)
    assert len({one.operator for one in moved}) == len(moved) <= 5
    assert all(one.change > 0 for one in moved)
    assert operators_moved(before, before) == ()


def test_what_every_process_shows_to_be_worse_is_a_regression_however_unsteady(run, baseline):
    values = baseline.values
    unsteady = tuple({**values, "bytes": values["bytes"] + more} for more in (10, 20, 30))
    result = judged(replace(run, processes=unsteady), baseline, {})
    assert (result.verdict, result.worst.metric) == (Verdict.REGRESSED, "bytes")
    assert "fresh processes gave" in result.worst.sentence
    mixed = tuple({**values, "bytes": values["bytes"] + more} for more in (0, 20, 30))
    assert judged(replace(run, processes=mixed), baseline, {}).verdict is Verdict.INCONCLUSIVE


def test_a_budget_that_is_held_hides_no_baseline_that_cannot_be(run, baseline):
    budget = {"useful_flops": 2e6}
    assert judged(run, None, budget).verdict is Verdict.PASS  # the first one is still to be blessed
    other = replace(baseline, method="goodput.exact/0")
    assert judged(run, other, budget).verdict is Verdict.INCOMPARABLE
    missing = judged(run, None, budget, "at the merge base: there is no file gpt.py")
    assert missing.verdict is Verdict.INCOMPARABLE
