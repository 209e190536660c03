"""How often rules call a change where there is none, and where there is one: goodput's and others'.

All rules see the same processes of the same draws, one-sided: the share of draws that each calls a
regression. Recorded: interleaved products on a contended machine. Simulated: a quiet GPU with
fresh-process effects. Run: python benchmarks/check_power.py [--draws N]
"""

import argparse
import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from tabulate import tabulate

from goodput.gates.looks import CONFIRMING, LOOKS
from goodput.gates.measured import sequential
from goodput.measure.exact import rank_sum
from goodput.report.verdicts import Verdict

DATA = Path(__file__).resolve().parent.parent / "tests/data/cpu_interleaved_processes.json"
NEEDED = LOOKS[-1][0] + CONFIRMING
CALLS = 30
EFFECT = 0.02

Process = Mapping[str, np.ndarray]
Draw = tuple[list[Process], list[Process]]
Rule = Callable[[list[Process], list[Process]], bool]


def costs(processes: list[Process]) -> np.ndarray:
    """The cost of each process, by the 10th percentile."""
    return np.array(
        [np.quantile(p["step"], 0.1) / np.quantile(p["anchor"], 0.1) for p in processes]
    )


def goodput_in_turns(now: list[Process], before: list[Process]) -> bool:
    found = sequential(costs(now), costs(before), EFFECT, paired=True)
    return found.verdict is Verdict.REGRESSED


def goodput_stored(now: list[Process], before: list[Process]) -> bool:
    found = sequential(costs(now), costs(before)[:CONFIRMING], EFFECT, paired=False)
    return found.verdict is Verdict.REGRESSED


def pytest_benchmark(now: list[Process], before: list[Process]) -> bool:
    """--benchmark-compare-fail=mean:5%, of one process each."""
    return now[0]["step"].mean() > 1.05 * before[0]["step"].mean()


def asv(now: list[Process], before: list[Process]) -> bool:
    """Mann-Whitney below 0.002 and a factor of 1.1, of the calls of one process each."""
    a, b = now[0]["step"][:CALLS], before[0]["step"][:CALLS]
    return np.median(a) > 1.1 * np.median(b) and rank_sum(a, b) < 0.002


def t_test(now: list[Process], before: list[Process]) -> bool:
    """Student's t on the calls of one process each, one-sided, 0.05."""
    a, b = now[0]["step"], before[0]["step"]
    spread = math.sqrt(a.var(ddof=1) / len(a) + b.var(ddof=1) / len(b))
    return (a.mean() - b.mean()) / spread > 1.645


RULES: Mapping[str, Rule] = {
    "goodput --against REF": goodput_in_turns,
    "goodput, stored baseline": goodput_stored,
    "pytest-benchmark mean:5%": pytest_benchmark,
    "asv 1.1 and p < .002": asv,
    "t-test on iterations": t_test,
}


def recorded(random: np.random.Generator, shift: float) -> Draw:
    """Processes of the recording: of the base `A`, and of its copy `A2` with every call scaled."""
    here = random.choice(len(RECORDED), NEEDED)
    now = [_of(RECORDED[n], "A2", 1 + shift) for n in here]
    return now, [_of(RECORDED[n], "A") for n in here]


def true_five(random: np.random.Generator, _: float) -> Draw:
    """The recording's own +5.08 % of FLOPs, nothing scaled."""
    here = random.choice(len(RECORDED), NEEDED)
    return [_of(RECORDED[n], "B") for n in here], [_of(RECORDED[n], "A") for n in here]


def _of(process: Mapping[str, list[int]], name: str, factor: float = 1.0) -> Process:
    step = factor * np.array(process[name], dtype=float)
    return {"step": step, "anchor": np.array(process["anchor"], dtype=float)}


def simulated(random: np.random.Generator, shift: float) -> Draw:
    """A quiet GPU: 0.5 % between processes, 2 % within, one process in twenty 3 to 6 % cold."""
    return [_fresh(random, shift) for _ in range(NEEDED)], [
        _fresh(random, 0.0) for _ in range(NEEDED)
    ]


def _fresh(random: np.random.Generator, shift: float) -> Process:
    clock = random.normal(0, 0.02)  # of the day and the card: common to step and anchor
    run = random.normal(0, 0.005) + (random.random() < 0.05) * random.uniform(0.024, 0.062)
    calls = random.normal(0, 0.02, (2, CALLS))
    step = np.exp(calls[0] + run + clock + math.log1p(shift))
    return {"step": step, "anchor": np.exp(calls[1] + clock)}


RECORDED = [process for _, process in json.loads(DATA.read_text(encoding="utf-8"))]
SHIFTS = (0.0, 0.01, 0.02, 0.03, 0.05, 0.10)


def power(draw: Callable[[np.random.Generator, float], Draw], shift: float, draws: int) -> dict:
    """The share of draws that each rule calls a regression."""
    random = np.random.default_rng(round(1000 * shift) + 1)
    made = [draw(random, shift) for _ in range(draws)]
    return {name: np.mean([rule(*one) for one in made]) for name, rule in RULES.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=400)
    args = parser.parse_args()
    for title, draw in (("recorded, contended CPU", recorded), ("simulated GPU", simulated)):
        columns = {shift: power(draw, shift, args.draws) for shift in SHIFTS}
        rows = [
            [name, *(f"{100 * columns[shift][name]:.1f}" for shift in SHIFTS)] for name in RULES
        ]
        if draw is recorded:
            real = power(true_five, 0.0, args.draws)
            rows = [[*row, f"{100 * real[row[0]]:.1f}"] for row in rows]
        headers = ["% called a regression", "same", *(f"+{100 * s:.0f} %" for s in SHIFTS[1:])]
        headers += ["+5.08 % FLOPs"] if draw is recorded else []
        print(f"\n{title}, {args.draws} draws")
        print(
            tabulate(
                rows,
                headers,
                disable_numparse=True,
                colalign=["left"] + ["right"] * (len(headers) - 1),
            )
        )


if __name__ == "__main__":
    main()
