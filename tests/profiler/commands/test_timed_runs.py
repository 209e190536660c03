"""The measured tier with processes that are made up: who runs when, and what is kept of it."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from goodput.commands import timed_runs
from goodput.commands.case_runs import CountedRun, Site
from goodput.commands.timed_runs import Sides, Timing
from goodput.gates import causes, looks
from goodput.gates.baselines import Baseline
from goodput.gates.blessing import held_against
from goodput.gates.declarations import Case
from goodput.gates.held import Held
from goodput.gates.judge_measured import results
from goodput.gates.observation import METHOD, OperatorFigures
from goodput.gates.observed_run import CaseRun
from goodput.report.verdicts import CaseResult, Tier, Verdict


class Processes:
    """Answers of fresh processes, the step of each tree taking as long as a test says."""

    def __init__(self, seconds: dict[str, float]):
        self.seconds = seconds
        self.started: list[str] = []
        self.profiled: list[str] = []

    def answered(self, case, request, place, folder, seed) -> tuple[bytes, str]:
        del folder
        assert request["anchor"] == "compute"
        name = place.root.name
        self.started.append(f"{case.name} {name}" if case.name != "gpt" else name)
        step = self.seconds[name] * (1 + 1e-4 * seed)
        timed = {
            "rounds": {"step": [step] * 5, "anchor": [0.001] * 5},
            "anchor": "4096x4096x4096 bfloat16",
            "amount": 1e9,
            "device": {"kind": "cuda", "name": "NVIDIA H200"},
            "environment": {"torch": "2.13.0"},
        }
        if request["operators"]:
            self.profiled.append(name)
            # All that a step takes more than 0.05 s is in its softmax.
            seconds = {"aten::mm forward": 0.05, "aten::softmax forward": step - 0.05}
            timed["profile"] = {"operators": seconds, "launches": 118}
        return json.dumps({"timed": timed}).encode(), ""


COUNTS = {"useful_flops": 1e10, "useful_flops.bfloat16": 1e10}


def timing(name: str = "gpt", base: str = "", baseline: Baseline | None = None, **case) -> Timing:
    counts = CountedRun(CaseRun(name, Tier.EXACT, {"program": "x"}, (COUNTS,), method=METHOD), None)
    place = Site(Path("base")) if base else None
    sides = Sides(Site(Path("head")), place, counts, counts if base else None)
    declared = Case(name, "a.py:b", **{"device": "NVIDIA H200", **case})
    return Timing(declared, sides, Path("x"), lambda _: baseline)


def timed_run(
    processes: Processes, monkeypatch, base: str = "", baseline: Baseline | None = None, **case
) -> CaseRun:
    monkeypatch.setattr(timed_runs, "answered", processes.answered)
    return timed_runs.in_turns([timing(base=base, baseline=baseline, **case)])[0]


def test_both_trees_run_in_turns_until_a_verdict_stands(monkeypatch) -> None:
    processes = Processes({"head": 0.1, "base": 0.1})
    run = timed_run(processes, monkeypatch, base="base")
    assert len(run.processes) == len(run.before) == looks.LOOKS[0][0]
    assert processes.started[:4] == ["base", "head", "head", "base"]
    assert not run.again


def test_a_regression_is_confirmed_in_further_processes(monkeypatch) -> None:
    processes = Processes({"head": 0.11, "base": 0.1})
    run = timed_run(processes, monkeypatch, base="base")
    assert len(run.again) == len(run.before_again) == looks.CONFIRMING
    assert len(processes.started) == 2 * (9 + 9)


def test_launches_come_from_the_processes_that_recorded_the_device(monkeypatch) -> None:
    run = timed_run(Processes({"head": 0.1}), monkeypatch)
    told = [one.get("launches") for one in run.processes]
    assert told == [118.0] * 3 + [None] * 6

    def judged(**budget: float) -> CaseResult:
        case = Case("gpt", tiers=(Tier.MEASURED,), budget=budget)
        return results([Held(case, run, held_against(run, ""))])[0]

    assert judged(launches=118).verdict is Verdict.PASS
    broken = judged(launches=100)
    assert broken.worst.sentence == "launches is 118, and at most 100 is allowed"


def test_without_a_device_launches_are_not_known_and_that_is_said(monkeypatch) -> None:
    run = timed_run(Processes({"head": 0.1}), monkeypatch)
    unknown = ({name: v for name, v in one.items() if name != "launches"} for one in run.processes)
    run = replace(run, processes=tuple(unknown))
    case = Case("gpt", tiers=(Tier.MEASURED,), budget={"launches": 100})
    (result,) = results([Held(case, run, held_against(run, ""))])
    assert result.verdict is Verdict.INCOMPARABLE
    assert result.worst.sentence.endswith("only a recording of a device tells it")


def test_a_regression_names_the_operator_that_lost_the_most(monkeypatch) -> None:
    processes = Processes({"head": 0.11, "base": 0.1})
    run = timed_run(processes, monkeypatch, base="base")
    assert processes.profiled == ["base", "head", "head", "base", "base", "head"]
    result = results([Held(Case("gpt"), run, None)])[0]
    assert result.verdict is Verdict.REGRESSED
    (softmax,) = result.operators
    assert (softmax.operator, softmax.unit) == ("aten::softmax forward", "s")
    assert softmax.change == pytest.approx(0.01, rel=1e-3)


def test_another_clock_names_no_operator() -> None:
    """Half the clock: twice the seconds of all, of which one operator took more than its share."""

    def sides(speed: float, product: float) -> causes.Sides:
        values = {"anchor_flops_per_s": 1e12 * speed, "step_seconds": (0.05 + product) / speed}
        seconds = {"aten::mm forward": product / speed, "aten::softmax forward": 0.05 / speed}
        operators = {name: OperatorFigures(seconds=one) for name, one in seconds.items()}
        return causes.Sides(values, {}, {}, operators)

    assert causes.lost_most(sides(1.0, 0.05), sides(0.5, 0.05)) == ()
    (product,) = causes.lost_most(sides(1.0, 0.05), sides(0.5, 0.06))
    assert (product.operator, product.change) == ("aten::mm forward", pytest.approx(0.02))
    assert causes.lost_most(causes.Sides({}, {}, {}), sides(0.5, 0.06)) == ()


def test_cases_take_turns_so_that_a_drift_is_common_to_all(monkeypatch) -> None:
    processes = Processes({"head": 0.1})
    monkeypatch.setattr(timed_runs, "answered", processes.answered)
    held = held_against(timed_runs.in_turns([timing("a")])[0], "")
    processes.started.clear()
    runs = timed_runs.in_turns([timing("a", baseline=held), timing("b", baseline=held)])
    assert processes.started == ["a head", "b head"] * looks.LOOKS[0][0]
    assert [run.case for run in runs] == ["a", "b"]


def test_a_case_that_fails_among_others_stops_none(monkeypatch) -> None:
    processes = Processes({"head": 0.1})
    monkeypatch.setattr(timed_runs, "answered", processes.answered)
    other, own = timed_runs.in_turns([timing("other", device="TPU v5p"), timing("own")])
    assert (other.status, own.status) == (3, 0)
    assert len(own.processes) == looks.LOOKS[0][0]


def test_a_stored_baseline_is_held_by_new_processes_alone(monkeypatch) -> None:
    first = timed_run(Processes({"head": 0.1}), monkeypatch)
    assert len(first.processes) == 9
    assert first.processes[0]["mfu"] == pytest.approx(1e10 / 989.4e12 / 0.1, rel=0.01)
    baseline = held_against(first, "")
    again = Processes({"head": 0.1})
    timed_run(again, monkeypatch, baseline=baseline)
    assert again.started == ["head"] * 9


def test_a_case_of_another_device_is_not_measured(monkeypatch) -> None:
    run = timed_run(Processes({"head": 0.1}), monkeypatch, device="TPU v5p")
    assert run.status == 3
    assert "declared for TPU v5p" in run.error
