"""A case that compares, with comparisons that are made up: how many processes, and what is kept."""

import random
from pathlib import Path

import pytest

from goodput.commands import compared_runs
from goodput.commands.case_runs import Site
from goodput.gates import looks
from goodput.gates.baselines import Baseline
from goodput.gates.blessing import held_against
from goodput.gates.declarations import Case
from goodput.gates.held import Held
from goodput.gates.judge_compared import judgements
from goodput.gates.observed_run import CaseRun
from goodput.report.compared import CaseResult, Comparison, Interval, VariantRow
from goodput.report.verdicts import Tier, Verdict

CASE = Case("gemm", tiers=(Tier.MEASURED,), compare="gemm.py")
FIRST = looks.LOOKS[0][0]
RATIO = "ratio.gemm fast, M=8"


class Machine:
    """Comparisons whose variant takes `ratio` times its reference's time, within `spread`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, ratio: float, spread: float = 0.001):
        self.ratio, self.spread = ratio, spread
        self.asked: list[tuple[str, int | None]] = []
        self.verdicts = iter(())
        self._random = random.Random(7)  # noqa: S311 - noise
        monkeypatch.setattr(compared_runs, "_compared", self.compared)

    def compared(self, case, site, processes) -> tuple[Comparison, ...]:
        del case
        self.asked.append((site.root.name, processes))
        made = processes or FIRST
        ratios = tuple(self.ratio * (1 + self._random.gauss(0, self.spread)) for _ in range(made))
        second = Interval(1e-3, None, None)
        rows = (
            VariantRow("plain", "SLOWER", seconds=second, ratios=(1.0,) * made),
            VariantRow("fast", next(self.verdicts, "FASTEST"), seconds=second, ratios=ratios),
        )
        cases = (CaseResult("M=8", {"M": "8"}, rows, {"float32": 1024}),)
        return (Comparison("gemm", "plain", cases, (), made, None, 0.5, "standard", (), 1),)


def compared(baseline: Baseline | None = None, base: Site | None = None) -> CaseRun:
    sides = compared_runs.Sides(Site(Path("head")), base)
    return compared_runs.compared(CASE, sides, lambda _: baseline)


def test_without_a_baseline_one_comparison_is_all(monkeypatch) -> None:
    machine = Machine(monkeypatch, 0.8)
    run = compared()
    assert not run.error
    assert machine.asked == [("head", None)]
    assert len(run.processes) == FIRST


def test_what_is_not_decided_gets_15_and_25_processes(monkeypatch) -> None:
    baseline = held_against(compared_by(Machine(monkeypatch, 0.8)), "")
    machine = Machine(monkeypatch, 0.81, spread=0.05)  # less than counts, in noise of 5 %
    run = compared(baseline)
    assert machine.asked == [("head", None), ("head", 6), ("head", 10)]
    assert len(run.processes) == looks.LOOKS[-1][0]


def compared_by(machine: Machine) -> CaseRun:
    del machine
    return compared()


def test_what_is_the_same_needs_no_more(monkeypatch) -> None:
    baseline = held_against(compared_by(Machine(monkeypatch, 0.8)), "")
    machine = Machine(monkeypatch, 0.8)
    compared(baseline)
    assert machine.asked == [("head", None)]


def test_a_slower_variant_is_compared_again(monkeypatch) -> None:
    baseline = held_against(compared_by(Machine(monkeypatch, 0.8)), "")
    machine = Machine(monkeypatch, 0.9)
    run = compared(baseline)
    assert machine.asked == [("head", None), ("head", looks.CONFIRMING)]
    assert judgements(Held(CASE, run, baseline))[RATIO].verdict is Verdict.REGRESSED


def test_both_trees_escalate_together_and_take_turns(monkeypatch) -> None:
    machine = Machine(monkeypatch, 0.8, spread=0.1)
    run = compared(base=Site(Path("base")))
    assert [name for name, _ in machine.asked] == ["head", "base", "base", "head", "base", "head"]
    assert len(run.processes) == len(run.before) == looks.LOOKS[-1][0]


def test_a_variant_that_was_wrong_once_is_wrong(monkeypatch) -> None:
    baseline = held_against(compared_by(Machine(monkeypatch, 0.8)), "")
    machine = Machine(monkeypatch, 0.81, spread=0.05)
    machine.verdicts = iter(["FASTEST", "INCORRECT", "FASTEST"])
    run = compared(baseline)
    assert run.variants["gemm fast, M=8"].verdict == "INCORRECT"
