"""False verdicts of three comparers on one pair that is the same, and on one that is not.

Each of `--rounds` fresh processes measures, one after the other: goodput's blocks, triton's
`do_bench` rule (two means that differ by 5 %) and `torch.utils.benchmark` (medians whose quartiles
are apart). The pair `A`, `A2` is one product twice; `B` has 5 % more FLOPs. goodput's verdict takes
nine processes together; the others give one a process, as they are used.

    python benchmarks/compare_aa.py --rounds 18
"""

import argparse
import json
import math
import random
import subprocess
import sys

import numpy as np
import torch
from torch.utils.benchmark import Timer

from goodput.measure.anchored import anchored_all
from goodput.measure.exact import signed_rank
from goodput.measure.findings import finding
from goodput.measure.shifts import paired_shift

EDGE, LONGER, ANCHOR_EDGE = 384, 404, 320
CALLS = 40
RESAMPLES = 3000
PROCESSES = 9
PROOF = {"higher", "lower"}


def calls() -> dict[str, object]:
    """A product twice, one with more FLOPs, and the anchor."""
    one, other = torch.randn(EDGE, EDGE), torch.randn(EDGE, EDGE)
    wide = torch.randn(EDGE, LONGER)
    small = torch.randn(ANCHOR_EDGE, ANCHOR_EDGE)
    return {
        "A": lambda: one @ other,
        "A2": lambda: one @ other,
        "B": lambda: one @ wide,
        "anchor": lambda: small @ small,
    }


def one_process() -> None:
    """All three protocols in this process; prints what each measured."""
    from triton.testing import do_bench

    from goodput.measure.clock import HostClock

    found = calls()
    now = HostClock.now
    times = {name: [] for name in found}
    order = list(found)
    for _ in range(CALLS):
        random.shuffle(order)
        for name in order:
            start = now()
            found[name]()
            times[name].append(now() - start)
    names = ("A", "A2", "B")
    means = {}
    if torch.cuda.is_available():
        means = {name: do_bench(found[name]) for name in names}
    else:  # do_bench times a device: its rule, a mean over 100 ms after 25 ms, on the host's clock
        means = {name: _mean(found[name], now) for name in names}
    timers = {
        name: Timer("call()", globals={"call": found[name]}).blocked_autorange(min_run_time=0.1)
        for name in names
    }
    quartiles = {
        name: [float(np.quantile(timer.times, q)) for q in (0.25, 0.5, 0.75)]
        for name, timer in timers.items()
    }
    print(json.dumps({"times": times, "means": means, "quartiles": quartiles}))


def _mean(call: object, now: object) -> float:
    for length in (0.025, 0.1):
        start, count = now(), 0
        while now() - start < length:
            call()
            count += 1
    return (now() - start) / count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=18)
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    torch.set_num_threads(1)
    if given.one:
        one_process()
        return
    rounds = []
    for _ in range(given.rounds):
        done = subprocess.run(
            [sys.executable, __file__, "--one"], capture_output=True, text=True, check=True
        )
        rounds.append(json.loads(done.stdout.splitlines()[-1]))
    report(rounds)


def report(rounds: list[dict[str, object]]) -> None:
    """The share of verdicts that say `different`, of each comparer."""
    logs = [anchored_all(one["times"]) for one in rounds]
    draw = np.random.default_rng(0)
    size = min(PROCESSES, len(rounds))
    print(f"{len(rounds)} processes on one thread; goodput takes {size} of them at a time")
    print(f"{'comparer':34}{'A/A different':>16}{'+5 % found':>14}")
    rows = {
        f"goodput ({RESAMPLES} resamples)": [
            _resampled([p[other] - p["A"] for p in logs], draw, size) for other in ("A2", "B")
        ],
        "do_bench means, > 5 %": [
            np.mean(
                [abs(math.log(one["means"][other] / one["means"]["A"])) > 0.05 for one in rounds]
            )
            for other in ("A2", "B")
        ],
        "torch.utils.benchmark, quartiles": [
            np.mean([_apart(one["quartiles"]["A"], one["quartiles"][other]) for one in rounds])
            for other in ("A2", "B")
        ],
    }
    for name, (false, true) in rows.items():
        print(f"{name:34}{false:>16.1%}{true:>14.1%}")


def _off(means: dict[str, float], other: str) -> float:
    return abs(math.log(means[other] / means["A"]))


def _resampled(differences: list[float], draw: np.random.Generator, size: int) -> float:
    values = np.array(differences)
    found = 0
    for _ in range(RESAMPLES):
        chosen = values[draw.choice(len(values), size, replace=False)]
        found += finding(paired_shift(chosen), signed_rank(chosen)) in PROOF
    return found / RESAMPLES


def _apart(one: list[float], other: list[float]) -> bool:
    return one[2] < other[0] or other[2] < one[0]


if __name__ == "__main__":
    main()
