"""The rule of the measured tier: how often it is wrong, what it finds, and what it calls a cause.

Recorded processes: in each of 40, interleaved calls of an anchor, of `A` and of `A2` (the same
product) and of `B` (5.08 % more FLOPs), on a contended machine of two cores.
"""

import json
import math
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from goodput.gates import measured
from goodput.gates.baselines import Baseline, Blessing
from goodput.gates.causes import Sides, cause_of, clocks_moved
from goodput.gates.declarations import Case
from goodput.gates.held import Held
from goodput.gates.judge_measured import results
from goodput.gates.looks import CONFIRMING, LOOKS, effect_of, noise_floor
from goodput.gates.measured import in_family, judged, sequential
from goodput.gates.observed_run import CaseRun
from goodput.measure.anchored import anchored_all
from goodput.measure.shifts import Shift
from goodput.report.verdicts import Cause, Tier, Verdict

RESAMPLES = {True: 3000, False: 1000}
"""In turns, which gates pull requests; and against a stored baseline."""
FEWER = 300
NEEDED = LOOKS[-1][0] + CONFIRMING
EFFECT = 0.02


@pytest.fixture(scope="module")
def recorded(repository):
    text = (repository / "tests/data/cpu_interleaved_processes.json").read_text(encoding="utf-8")
    processes = [anchored_all(process) for _, process in json.loads(text)]
    return {name: np.exp([one[name] for one in processes]) for name in ("A", "A2", "B")}


def simulated(random, shift=0.0):
    """Costs of fresh processes on a quiet GPU, by the facts' nested model."""
    run = random.normal(0, 0.005, NEEDED)
    calls = random.normal(0, 0.02, NEEDED) * math.sqrt(math.pi / 2 / 30)  # a median of 30
    cold = (random.random(NEEDED) < 0.05) * random.uniform(0.024, 0.062, NEEDED)
    return np.exp(run + calls + cold + math.log1p(shift))


def verdicts(draws):
    found = Counter(draw.verdict for draw in draws)
    return {verdict: count / len(draws) for verdict, count in found.items()}


@pytest.mark.parametrize("paired", [True, False], ids=["in turns", "stored"])
def test_false_alarms_and_power_on_recorded_processes(recorded, paired, capsys):
    random = np.random.default_rng(7)

    def draw(changed):
        here = random.choice(40, NEEDED)
        there = here if paired else random.choice(40, CONFIRMING)
        return sequential(recorded[changed][here], recorded["A"][there], EFFECT, paired=paired)

    same = verdicts([draw("A2") for _ in range(RESAMPLES[paired])])
    five = verdicts([draw("B") for _ in range(FEWER)])
    alarms, power = same.get(Verdict.REGRESSED, 0.0), five.get(Verdict.REGRESSED, 0.0)
    with capsys.disabled():
        print(f"\n  recorded: A/A {alarms:.2%} of {RESAMPLES[paired]}, +5.08 % found {power:.1%}")  # noqa: T201 - the figures
    assert alarms <= 0.005
    assert same.get(Verdict.IMPROVED, 0.0) <= 0.01
    assert power >= 0.95


@pytest.mark.parametrize("paired", [True, False], ids=["in turns", "stored"])
def test_false_alarms_and_power_on_simulated_gpu_noise(paired, capsys):
    random = np.random.default_rng(8)

    def draw(shift):
        before = simulated(random)
        before = before if paired else before[:CONFIRMING]
        return sequential(simulated(random, shift), before, EFFECT, paired=paired)

    same = verdicts([draw(0.0) for _ in range(RESAMPLES[paired])])
    five = verdicts([draw(0.05) for _ in range(FEWER)])
    alarms, power = same.get(Verdict.REGRESSED, 0.0), five.get(Verdict.REGRESSED, 0.0)
    with capsys.disabled():
        print(f"\n  simulated: A/A {alarms:.2%} of {RESAMPLES[paired]}, +5 % found {power:.1%}")  # noqa: T201 - the figures
    assert alarms <= 0.005
    assert power >= 0.95


def test_the_rule_can_fail():
    # The twin: without the tests and the least effect, the same processes alarm often.
    random = np.random.default_rng(9)
    naive = [simulated(random)[0] > 1.01 * simulated(random)[0] for _ in range(FEWER)]
    assert np.mean(naive) > 0.05


COSTS = st.lists(st.floats(0.5, 2.0), min_size=9, max_size=9)


@settings(max_examples=30)
@given(COSTS, COSTS, st.booleans(), st.floats(0.1, 10))
def test_another_clock_changes_no_verdict(costs, before, paired, speed):
    one = judged(costs, before, EFFECT, paired=paired)
    turned = judged([speed * c for c in costs], [speed * c for c in before], EFFECT, paired=paired)
    assert turned.shift.estimate == pytest.approx(one.shift.estimate, abs=1e-9)


@given(COSTS)
def test_the_same_processes_are_never_a_regression(costs):
    assert judged(costs, costs, EFFECT, paired=True).verdict in {
        Verdict.PASS,
        Verdict.INCONCLUSIVE,
    }


def test_a_rise_that_is_not_confirmed_is_not_proven():
    up, flat = [1.1 + n / 1e3 for n in range(9)], [1.0 + n / 1e3 for n in range(9)]
    first = judged(up, flat, EFFECT, paired=False)
    assert first.verdict is Verdict.REGRESSED
    again = judged(flat, flat, EFFECT, paired=False)
    assert measured.confirmed(first, again).verdict is Verdict.INCONCLUSIVE
    assert measured.confirmed(first, first).verdict is Verdict.REGRESSED


def test_holm_over_cases_takes_back_what_many_cases_give_by_chance():
    rise = measured.Judgement(
        Verdict.REGRESSED, Shift(0.05, 0.03, 0.07, 0.95), 0.0019, 9, decided=True, effect=EFFECT
    )
    calm = replace(rise, verdict=Verdict.PASS, p=0.5)
    alone = in_family({"a": rise})
    assert alone["a"].verdict is Verdict.REGRESSED
    many = in_family({"a": rise, **{str(n): calm for n in range(9)}})
    assert many["a"].verdict is Verdict.INCONCLUSIVE


def test_the_noise_floor_is_of_the_middle_of_the_processes():
    random = np.random.default_rng(3)
    floors = [noise_floor(np.exp(random.normal(0, 0.016, 9))) for _ in range(400)]
    assert np.mean(floors) == pytest.approx(0.016 / 3, rel=0.2)
    assert effect_of(0.02, 0.01) == pytest.approx(0.03)
    assert effect_of(0.02, None) == 0.02


# --- causes ---------------------------------------------------------------------------------------

COUNTS = {"useful_flops": 1e9, "useful_flops.bfloat16": 1e9}
WALL = {"step_seconds": 0.1, "anchor_flops_per_s": 1e12, "cost": 1e11}
TOLD = {"torch": "2.13.0", "threads": "2"}
BEFORE = Sides(WALL, COUNTS, TOLD)


@pytest.mark.parametrize(
    ("values", "counts", "told", "cause"),
    [
        ({"step_seconds": 0.11}, {}, {}, Cause.CODE),
        ({"step_seconds": 0.2}, {"useful_flops": 2e9}, {}, Cause.NUMERATOR),
        (
            {"step_seconds": 0.2},
            {"useful_flops.bfloat16": 0.0, "useful_flops.float32": 1e9},
            {},
            Cause.PRECISION,
        ),
        ({"step_seconds": 0.11}, {}, {"threads": "1"}, Cause.CONFIG),
        ({"anchor_flops_per_s": 1.1e12}, {}, {}, Cause.ANCHOR),
    ],
    ids=str,
)
def test_each_cause_has_its_sign(values, counts, told, cause):
    now = Sides({**WALL, **values}, {**COUNTS, **counts}, {**TOLD, **told})
    assert cause_of(BEFORE, now, EFFECT)[0] is cause


def test_a_clock_moves_the_time_and_not_the_cost():
    slow = Sides({**WALL, "step_seconds": 0.12, "anchor_flops_per_s": 1e12 / 1.2}, COUNTS, TOLD)
    assert "another speed" in clocks_moved(BEFORE, slow, EFFECT)
    assert not clocks_moved(BEFORE, BEFORE, EFFECT)


# --- whole cases ----------------------------------------------------------------------------------


def process(factor=1.0, speed=1.0, noise=0.0):
    return {
        "cost": 1e11 * factor * (1 + noise),
        "step_seconds": 0.1 * factor / speed * (1 + noise),
        "anchor_flops_per_s": 1e12 * speed,
        "goodput": 0.4 / factor,
    }


def timed(factor=1.0, speed=1.0, counts=COUNTS, **fields):
    processes = tuple(process(factor, speed, n * 1e-4) for n in range(9))
    return CaseRun(
        "gpt",
        Tier.MEASURED,
        {"program": "gpt.py:step"},
        processes,
        method="goodput.measured/1",
        device={"name": "NVIDIA H200"},
        surroundings=TOLD,
        counts=counts,
        again=processes,
        reproduce="goodput check --tier measured --case gpt",
        **fields,
    )


def blessed_baseline():
    run = timed()
    return Baseline(
        "gpt",
        Tier.MEASURED,
        run.fingerprint,
        run.method,
        dict(run.processes[4]),
        Blessing("first"),
        device=run.device,
        surroundings=TOLD,
        processes=run.processes,
        noise=0.001,
        counts=COUNTS,
    )


def outcome(run, baseline=None, **case):
    (result,) = results([Held(Case("gpt", **case), run, baseline or blessed_baseline())])
    return result


def test_a_slower_case_is_a_regression_by_code():
    result = outcome(timed(1.06))
    assert (result.verdict, result.worst.cause) == (Verdict.REGRESSED, Cause.CODE)
    assert result.worst.change == pytest.approx(0.06, abs=0.002)
    assert {one.metric for one in result.findings} == {
        "cost",
        "step_seconds",
        "anchor_flops_per_s",
        "goodput",
    }


def test_a_slower_clock_is_none_and_is_told():
    result = outcome(timed(1.0, speed=0.8))
    assert result.verdict is Verdict.PASS
    assert any("another speed" in note for note in result.notes)
    causes = {one.metric: one.cause for one in result.findings}
    assert causes == {**dict.fromkeys(causes), "step_seconds": Cause.CLOCKS}
    same = outcome(timed(1.0)).findings
    assert {one.cause for one in same} == {None}


def test_twice_the_work_is_a_regression_although_its_goodput_is_as_before():
    double = {name: 2 * flops for name, flops in COUNTS.items()}
    result = outcome(timed(2.0, counts=double))
    assert (result.verdict, result.worst.cause) == (Verdict.REGRESSED, Cause.NUMERATOR)


def test_a_faster_case_is_an_improvement():
    assert outcome(timed(0.9)).verdict is Verdict.IMPROVED


def test_a_budget_decides_beside_the_baseline():
    result = outcome(timed(), budget={"goodput": 0.5})
    assert (result.verdict, result.worst.cause) == (Verdict.REGRESSED, Cause.BUDGET)


def test_another_device_is_not_compared():
    result = outcome(replace(timed(2.0), device={"name": "NVIDIA H100 80GB HBM3"}))
    assert result.verdict is Verdict.INCOMPARABLE
    assert not result.evaluated


def test_processes_in_turns_are_held_against_each_other():
    before = tuple(process(1.0, 1.0, n * 1e-4) for n in range(9))
    run = timed(1.05, before=before, before_counts=COUNTS, before_again=before)
    (result,) = results([Held(Case("gpt"), run, None)])
    assert (result.verdict, result.worst.cause) == (Verdict.REGRESSED, Cause.CODE)


def test_more_than_the_device_can_do_is_not_trusted():
    run = timed()
    fast = replace(run, processes=tuple({**one, "mfu": 1.4} for one in run.processes))
    result = outcome(fast)
    assert (result.verdict, result.statuses) == (Verdict.ERROR, {5})


def test_why_there_is_nothing_to_hold_against_is_told():
    why = "at the merge base with main, 0123: case gpt: there is no file gpt.py"
    (result,) = results([Held(Case("gpt"), timed(), None, why)])
    assert (result.verdict, result.worst.sentence) == (Verdict.INCOMPARABLE, why)
    (result,) = results([Held(Case("gpt"), timed(), None)])
    assert "there is no measured baseline" in result.worst.sentence
