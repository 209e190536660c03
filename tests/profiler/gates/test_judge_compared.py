"""Comparisons as gates: what a variant's ratio and verdict come to, without a process."""

from dataclasses import replace

import pytest

from goodput.errors import UsageError
from goodput.gates.baselines import encode
from goodput.gates.blessing import blessed
from goodput.gates.declarations import Case
from goodput.gates.held import Held
from goodput.gates.judge_measured import results
from goodput.gates.observed_run import CaseRun, Compared
from goodput.report.verdicts import Cause, Tier, Verdict

FAST, OTHER = "gemm fast, M=64", "gemm other, M=64"
NAMES = FAST, OTHER
DECLARED = Case("ops", compare="variants.py", tiers=(Tier.MEASURED,))


def ratios(fast=0.8, other=1.2, made=9):
    return tuple(
        {
            f"ratio.{FAST}": fast * (1 + n * 1e-4),
            f"ratio.{OTHER}": other * (1 + (made - n) * 1e-4),
        }
        for n in range(made)
    )


def run(fast=0.8, **fields):
    whole = {
        "processes": ratios(fast),
        "again": ratios(fast),
        "method": "goodput.compared/1",
        "variants": {FAST: Compared("FASTEST"), OTHER: Compared("SLOWER")},
        "device": {"name": "cpu"},
        "surroundings": {"torch": "2.13.0"},
        "counts": {"gemm, M=64": 100.0},
        **fields,
    }
    return CaseRun("ops", Tier.MEASURED, DECLARED.fingerprint, **whole)


BASELINE = blessed(run(), None, "the first one")


def outcome(found, baseline=BASELINE, case=DECLARED):
    (result,) = results([Held(case, found, baseline)])
    return result


def with_verdict(name, verdict, **fields):
    own = {**run().variants, name: Compared(verdict, "of its values")}
    kept = tuple({k: v for k, v in one.items() if k != f"ratio.{name}"} for one in ratios())
    return run(variants=own, **{"processes": kept, "again": (), **fields})


def test_the_same_ratios_pass():
    found = outcome(run())
    assert (found.verdict, found.statuses, found.evaluated) == (Verdict.PASS, frozenset(), 2)


def test_a_variant_that_became_slower_is_a_regression_and_the_other_is_none():
    found = outcome(run(0.88))
    assert (found.verdict, found.statuses) == (Verdict.REGRESSED, {1})
    assert {one.metric: one.verdict for one in found.findings} == {
        f"ratio.{FAST}": Verdict.REGRESSED,
        f"ratio.{OTHER}": Verdict.PASS,
    }
    assert found.worst.cause is Cause.CODE
    assert found.worst.change == pytest.approx(0.1, abs=0.002)


def test_what_further_processes_do_not_show_is_not_proven():
    assert outcome(run(0.88, again=ratios(0.8))).verdict is Verdict.INCONCLUSIVE


def test_a_rise_below_the_least_effect_is_none():
    assert outcome(run(0.81)).verdict is not Verdict.REGRESSED


def test_a_faster_variant_is_an_improvement():
    assert outcome(run(0.7)).verdict is Verdict.IMPROVED


@pytest.mark.parametrize("verdict", ["INCORRECT", "SUSPECT", "INVALID"])
@pytest.mark.parametrize("baseline", [BASELINE, None], ids=["held", "first"])
def test_what_cannot_be_trusted_is_status_5(verdict, baseline):
    found = outcome(with_verdict(FAST, verdict), baseline)
    assert (found.verdict, found.statuses) == (Verdict.ERROR, {5})
    assert f"{FAST} is {verdict}: of its values" in found.worst.sentence
    assert sum(one.metric == f"ratio.{FAST}" for one in found.findings) == 1


def test_one_that_cannot_be_trusted_hides_no_slower_one():
    slower = tuple({f"ratio.{OTHER}": 1.5 + n * 1e-4} for n in range(9))
    found = outcome(with_verdict(FAST, "SUSPECT", processes=slower, again=slower))
    assert found.statuses == {1, 5}


def test_a_variant_that_no_longer_runs_is_status_3_and_one_that_never_did_is_told():
    lost = outcome(with_verdict(FAST, "ERROR"))
    assert (lost.verdict, lost.statuses) == (Verdict.ERROR, {3})
    never = outcome(run(variants={**run().variants, "gemm new, M=64": Compared("ERROR", "no GPU")}))
    assert never.verdict is Verdict.PASS
    assert "gemm new, M=64 was not measured: no GPU" in never.notes


def test_a_variant_on_one_side_alone_is_told():
    gone = tuple({f"ratio.{FAST}": 0.8 + n * 1e-4} for n in range(9))
    found = outcome(run(processes=gone, again=()))
    assert found.verdict is Verdict.INCOMPARABLE
    assert found.worst.sentence.endswith("is gone")


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        ({"counts": {"gemm, M=64": 200.0}}, Cause.NUMERATOR),
        ({"surroundings": {"torch": "2.14.0"}}, Cause.CONFIG),
    ],
)
def test_the_cause_is_the_reference_s_work_or_the_versions_first(change, cause):
    assert outcome(run(0.9, **change)).worst.cause is cause


@pytest.mark.parametrize(
    "change", [{"device": {"name": "other"}}, {"method": "goodput.compared/0"}]
)
def test_another_device_or_rule_is_not_compared(change):
    found = outcome(run(0.9, **change))
    assert (found.verdict, found.evaluated) == (Verdict.INCOMPARABLE, 0)


def test_without_a_baseline_a_budget_decides_alone():
    assert outcome(run(), None).verdict is Verdict.INCOMPARABLE
    for limit, verdict in ((1.0, Verdict.PASS), (0.5, Verdict.REGRESSED)):
        case = replace(DECLARED, budget={f"ratio.{FAST}": limit})
        assert outcome(run(), None, case).verdict is verdict


def test_processes_of_the_other_tree_go_before_a_stored_baseline():
    before = {"before": ratios(), "before_counts": run().counts}
    assert outcome(run(0.88, **before), None).verdict is Verdict.REGRESSED
    assert outcome(run(**before), None).verdict is Verdict.PASS


def test_what_cannot_be_trusted_is_not_blessed():
    with pytest.raises(UsageError, match="cannot be trusted"):
        blessed(with_verdict(FAST, "INCORRECT"), None, "no")


def test_a_baseline_is_the_same_bytes_twice():
    assert encode(BASELINE) == encode(blessed(run(), None, "the first one"))
