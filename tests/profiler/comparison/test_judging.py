"""Verdicts of recorded and made-up processes: how often they mislead, and what they find."""

import json
import math

import numpy as np
import pytest

from goodput.capacity.profile import BandwidthPoint, Capacity, Peak, Provenance
from goodput.comparison.experiment import Calls, Collected, Place, Plan
from goodput.comparison.judging import judged
from goodput.comparison.processes import Outcome
from goodput.comparison.wire import (
    Checked,
    Chosen,
    Counted,
    Described,
    Memory,
    Note,
    Trouble,
    Tuned,
)
from goodput.device import DeviceIdentity

MEASURED = Provenance("measured", "made up")
CPU = Capacity(
    DeviceIdentity("cpu", "a CPU"),
    {"float32": Peak(1e9, MEASURED)},
    bandwidth={"copy": (BandwidthPoint(1000, Peak(1e9, MEASURED)),)},
)


def plan(names, cases=1, processes=9):
    described = Described(
        nonce="",
        entry="gemm",
        reference=names[0],
        calls=tuple(names),
        cases=tuple(f"M={64 * (place + 1)}" for place in range(cases)),
        parameters=tuple({"M": str(64 * (place + 1))} for place in range(cases)),
        faults={},
    )
    return Plan(
        Place("file.py"), described, tuple(range(cases)), tuple(names), processes, "fast", 1
    )


def collected(seconds, anchor=1e-3, place=0):
    """Of `{name: seconds of each process}`, each process with calls of that time."""
    found = Collected(device="cpu")
    for name, times in seconds.items():
        rows = {n: Calls((t, 1.5 * t, 2 * t), (anchor,), 0.5) for n, t in enumerate(times)}
        found.calls[place, name] = rows
    return found


def counted(entry, useful=1000, executed=None):
    return Counted(
        nonce="",
        case=0,
        entry=entry,
        useful_flops={"float32": useful},
        executed_flops=executed or useful,
        vector_flops=0,
        special=0,
        moved_bytes=100,
        operators={"aten::mm": 1},
        products=(),
        tensor_bytes=100,
        missing=(),
    )


def verdicts(comparison):
    return {row.variant: row.verdict for row in comparison.rows}


NOISE = np.random.default_rng(0).normal(0, 0.002, (6, 12))


def test_a_clear_winner_is_the_fastest_and_the_others_are_slower():
    found = collected(
        {"aten": np.exp(NOISE[0]), "b": 0.8 * np.exp(NOISE[1]), "c": 1.3 * np.exp(NOISE[2])}
    )
    comparison = judged(plan(["aten", "b", "c"], processes=12), found)
    assert verdicts(comparison) == {"aten": "SLOWER", "b": "FASTEST", "c": "SLOWER"}
    row = comparison.rows[1]
    assert row.ratio.low < 0.8 < row.ratio.high
    assert comparison.overall[0].variant == "b"
    assert comparison.overall[0].regret == pytest.approx(1)
    assert comparison.overall[1].regret == pytest.approx(1 / 0.8, rel=0.01)
    assert comparison.sentence.startswith("b ran 1.25 [1.2")
    assert comparison.sentence.endswith("times as fast as the reference")


def test_equal_ones_are_tied_and_shown_to_be_the_same():
    found = collected({"aten": np.exp(NOISE[0]), "b": np.exp(NOISE[1])})
    comparison = judged(plan(["aten", "b"]), found)
    assert verdicts(comparison) == {"aten": "TIE", "b": "TIE"}
    assert "the same within 1 %" in comparison.rows[1].reason
    tied = "aten and b are tied for the fastest: nothing is proven faster than the reference"
    assert comparison.sentence == tied


def test_ties_before_the_reference_say_by_how_much():
    times = {"aten": 2 * np.exp(NOISE[0]), "b": np.exp(NOISE[1]), "c": np.exp(NOISE[2])}
    found = Collected(device="cpu")
    for place in (0, 1):
        found.calls |= collected(times, place=place).calls
    comparison = judged(plan(["aten", "b", "c"], cases=2, processes=12), found)
    start, _, end = comparison.sentence.partition("; ")
    assert start == "b and c are tied for the fastest over 2 cases"
    assert end.startswith(f"{comparison.overall[0].variant} ran 2.0")
    assert end.endswith("times as fast as the reference")


def test_noise_is_a_tie_that_says_how_many_processes_would_tell():
    noise = np.random.default_rng(1).normal(0, 0.2, (2, 9))
    comparison = judged(
        plan(["aten", "b"]), collected(dict(zip(["aten", "b"], np.exp(noise), strict=True)))
    )
    assert verdicts(comparison) == {"aten": "TIE", "b": "TIE"}
    assert "too noisy to tell" in comparison.rows[1].reason
    assert comparison.processes_needed > 100


def test_too_few_processes_for_the_family_are_told():
    names = ["aten", *"bcdef"]
    found = collected(dict(zip(names, np.exp(NOISE[:, :9]), strict=True)))
    comparison = judged(plan(names), found)
    assert any("cannot prove a difference among 15 pairs" in one for one in comparison.warnings)
    assert comparison.sentence == "9 processes cannot tell them apart"


def test_a_time_below_the_physical_limit_is_suspect_with_the_number():
    # 1e6 FLOP at 1e9 FLOP/s: 1 ms, and 1/1.25 of it on a CPU that others use.
    found = collected({"aten": [2e-3] * 9, "b": [5e-4] * 9, "c": [9e-4] * 9})
    found.counts = {(0, name): counted(name, 10**6) for name in ("aten", "b", "c")}
    comparison = judged(plan(["aten", "b", "c"]), found, CPU)
    assert "limit" in comparison.checks
    assert "limit" not in judged(plan(["aten", "b", "c"]), found).checks
    assert verdicts(comparison)["b"] == "SUSPECT"
    assert verdicts(comparison)["c"] != "SUSPECT"
    assert "550 us is below the 800 us" in comparison.rows[1].reason
    assert comparison.rows[0].goodput == pytest.approx(0.5 / 1.1)
    assert comparison.untrustworthy


def test_where_the_reference_itself_is_beyond_the_limit_the_roof_is_wrong():
    found = collected({"aten": [4e-4] * 9, "b": [4.1e-4] * 9})
    found.counts = {(0, name): counted(name, 10**6) for name in ("aten", "b")}
    assert "SUSPECT" not in verdicts(judged(plan(["aten", "b"]), found, CPU)).values()


def test_executed_over_useful_is_held_against_the_reference():
    found = collected({"aten": [1.0] * 9, "b": [1.0] * 9})
    found.counts = {(0, "aten"): counted("aten"), (0, "b"): counted("b", 1000, 1500)}
    comparison = judged(plan(["aten", "b"]), found)
    assert [row.executed_ratio for row in comparison.rows] == [1.0, 1.5]
    assert comparison.rows[1].same_operators


def test_a_wrong_one_has_its_reason_and_no_ratio():
    found = collected({"aten": [1.0] * 9, "b": [0.1] * 9, "c": [0.5] * 9})
    found.troubles[0, "b"] = Trouble(nonce="", case=0, entry="b", text="wrong", verdict="INCORRECT")
    comparison = judged(plan(["aten", "b", "c"]), found)
    assert verdicts(comparison) == {"aten": "SLOWER", "b": "INCORRECT", "c": "FASTEST"}
    assert comparison.rows[1].ratio is None
    assert comparison.rows[1].reason == "wrong"


def test_nothing_measured_is_no_winner():
    comparison = judged(plan(["aten", "b"]), Collected())
    assert not comparison.measured
    assert comparison.sentence == "nothing could be compared"
    assert comparison.rows[0].reason == "none of 9 processes came to time it"


def test_the_means_are_over_cases_and_regret_is_told():
    found = Collected(device="cpu")
    for place, factors in enumerate(({"a": 1, "b": 0.5, "c": 0.6}, {"a": 1, "b": 2, "c": 1.2})):
        times = {n: f * np.exp(NOISE[i]) for i, (n, f) in enumerate(factors.items())}
        found.calls |= collected(times, place=place).calls
    comparison = judged(plan(["a", "b", "c"], cases=2, processes=12), found)
    assert [case.winners for case in comparison.cases] == [("b",), ("a",)]
    best = comparison.overall[0]
    assert best.variant == "c"
    assert best.ratio.value == pytest.approx(math.sqrt(0.72), rel=0.01)
    assert best.worst_regret == pytest.approx(1.2, rel=0.01)
    assert comparison.sentence.startswith("c ran 1.18")
    assert comparison.sentence.endswith("over 2 cases; in 2 of them another one is faster")


def test_notes_and_checks_are_told_once():
    found = collected({"aten": [1.0] * 9, "b": [1.0] * 9})
    found.notes["a sentence"] = None
    found.checked[0, "aten"] = Checked(
        nonce="", case=0, entry="aten", error=1e-7, native_error=2e-7, deterministic=False
    )
    comparison = judged(plan(["aten", "b"]), found)
    assert comparison.warnings == ("a sentence",)
    assert comparison.rows[0].deterministic is False
    assert comparison.cases[0].native_error == 2e-7


def test_memory_and_tuning_stand_in_their_row():
    found = collected({"aten": [1.0] * 9, "b": [1.0] * 9})
    choice = Chosen(kernel="f", key="(1,)", config="block: 64")
    row = {"nonce": "", "case": 0, "entry": "b"}
    answers = [
        Memory(**row, peak_bytes=4096),
        Tuned(**row, choice=choice, seconds=0.5, carried=False),
    ]
    found.take(Outcome(answers), 0)
    comparison = judged(plan(["aten", "b"]), found)
    assert [one.peak_bytes for one in comparison.rows] == [None, 4096]
    assert [one.tuning_seconds for one in comparison.rows] == [None, 0.5]
    assert "each process tunes it anew" in comparison.warnings[0]


def test_a_note_is_taken_from_an_answer():
    found = Collected()
    found.take(Outcome([Note(nonce="", text="x"), Note(nonce="", text="x")]), 0)
    assert list(found.notes) == ["x"]


def test_verdicts_of_recorded_processes(repository, capsys):
    # The whole way from calls to verdicts: two copies, and one of 5.08 % more FLOPs.
    recorded = json.loads(
        (repository / "tests/data/cpu_interleaved_processes.json").read_text(encoding="utf-8")
    )
    processes = [process for _, process in recorded]
    random, false, found = np.random.default_rng(3), 0, 0
    draws = 200
    for _ in range(draws):
        drawn = random.choice(len(processes), 9, replace=False)
        sample = Collected(device="cpu")
        for name in ("A", "A2", "B"):
            sample.calls[0, name] = {
                n: Calls(tuple(processes[p][name]), tuple(processes[p]["anchor"]), None)
                for n, p in enumerate(drawn)
            }
        same = {k: v for k, v in sample.calls.items() if k[1] != "B"}
        false += set(verdicts(judged(plan(["A", "A2"]), Collected(calls=same))).values()) != {"TIE"}
        other = {k: v for k, v in sample.calls.items() if k[1] != "A2"}
        found += verdicts(judged(plan(["A", "B"]), Collected(calls=other)))["B"] == "SLOWER"
    with capsys.disabled():
        told = f"A/A called different {false / draws:.1%}, +5.08 % found {found / draws:.1%}"
        print(f"\n  verdicts of {draws} draws of 9 processes: {told}")  # noqa: T201 - the figures
    assert false / draws <= 0.005
    assert found / draws >= 0.9
