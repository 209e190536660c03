"""Winners under proof: wrong ones leave their place to the next best."""

import pytest

from goodput.calibration import proving
from goodput.calibration.proving import Proof, zeros_ratios
from goodput.calibration.questions import Questions, Source
from goodput.calibration.ways import Target
from goodput.capacity.measurement import Check
from goodput.measure.bouts import Bench, Protocol, tournament
from goodput.measure.clock import HostStopwatch
from goodput.work import Contraction
from goodput_kernels.candidate import Candidate, Verification

CPU = Target("cpu", "cpu", 1, 1 << 20)
CUDA = Target("cuda", "cuda", 1, 1 << 20)
RIGHT, WRONG = Verification(0.0, 1e-3, "rows"), Verification(0.5, 1e-3, "rows")


class FakeClock:
    def __init__(self):
        self.time = 0.0

    def now(self):
        return self.time

    def sleep(self, seconds):
        self.time += seconds


@pytest.fixture
def clock():
    return FakeClock()


def bench(clock, **rest):
    protocol = Protocol(train_seconds=0.0, bout_seconds=0.0)
    return Bench(clock, HostStopwatch(clock), protocol, **rest)


def kernel(clock, name, seconds, found=RIGHT, unit="flops"):
    def call():
        clock.time += seconds

    def verify():
        if isinstance(found, Exception):
            raise found
        return found

    return Candidate(name, "fake", unit, 1, lambda: call, verify=None if found is None else verify)


def proved(clock, groups, target=CPU, seconds=100.0, **rest):
    proof = Proof(tournament(groups, bench(clock)))
    proof.of_all(target, bench(clock, **rest), seconds)
    return proof


def winners(proof):
    return {group: result.candidate.name for group, result in proof.outcome.winners.items()}


def test_right_winners_stay(clock):
    proof = proved(clock, {"flops x": [kernel(clock, "a", 1.0), kernel(clock, "b", 2.0)]})
    assert winners(proof) == {"flops x": "a"}
    (check,) = proof.verified["fake a"]
    assert check.passed
    assert proof.notes == []


def test_a_wrong_winner_leaves_its_place_to_the_next_best(clock):
    rivals = [
        kernel(clock, "slow", 4.0),
        kernel(clock, "wrong", 1.0, WRONG),
        kernel(clock, "second", 2.0),
    ]
    other = [kernel(clock, "other", 1.0)]
    proof = proved(clock, {"flops x": rivals, "special": other})
    assert winners(proof) == {"flops x": "second", "special": "other"}
    assert len(proof.outcome.winners["flops x"].confirmed) == 3
    assert proof.verified["fake second"][0].passed
    assert proof.notes[0].startswith("fake wrong is no roof: correct 0.5: relative error of rows")
    assert "fake wrong" in proof.outcome.unable


def test_after_three_wrong_ones_a_group_has_no_winner(clock):
    rivals = [kernel(clock, str(n), 1.0 + n, WRONG) for n in range(5)]
    proof = proved(clock, {"flops x": rivals, "g": [kernel(clock, "a", 1.0, WRONG)]})
    assert winners(proof) == {}
    assert len([note for note in proof.notes if "no roof" in note]) == 3 + 1


def test_the_fight_for_the_place_is_no_state_of_the_tournament(clock):
    kept = []
    rivals = [kernel(clock, "wrong", 1.0, WRONG), kernel(clock, "b", 2.0)]
    groups = {"flops x": rivals, "special": [kernel(clock, "c", 1.0)]}
    proof = proved(clock, groups, checkpoint=kept.append)
    assert kept == []
    assert set(winners(proof)) == {"flops x", "special"}


def test_what_cannot_be_checked_is_said_and_stays(clock):
    rivals = [kernel(clock, "a", 1.0, RuntimeError("no memory\nstack"))]
    proof = proved(clock, {"flops x": rivals, "floor": [kernel(clock, "b", 1.0, None)]})
    assert winners(proof) == {"flops x": "a", "floor": "b"}
    assert proof.verified == {"fake a": (), "fake b": ()}
    assert proof.notes == ["fake a could not be checked (no memory)"]


def test_on_a_device_the_kernel_that_ran_is_looked_at(clock, monkeypatch):
    asked = {}

    def check(candidate, mode):
        asked[candidate.name] = mode
        passed = candidate.name != "a fallback"
        return Check("kernel", passed, None, "sgemm")

    monkeypatch.setattr(proving, "_kernel_check", check)
    groups = {
        "flops bfloat16": [kernel(clock, "a fallback", 1.0), kernel(clock, "b", 2.0)],
        "attention float16 forward full 64": [kernel(clock, "c", 1.0)],
        "shape bfloat16 1 rows": [kernel(clock, "gemv", 1.0)],
        "bytes copy 64": [kernel(clock, "d", 1.0, unit="bytes")],
    }
    proof = proved(clock, groups, CUDA)
    assert winners(proof)["flops bfloat16"] == "b"
    assert asked == {"a fallback": "bfloat16", "b": "bfloat16", "c": "float16", "gemv": ""}
    assert proof.notes == ["fake a fallback is no roof: kernel: sgemm"]
    proved(clock, {"flops x": [kernel(clock, "on a cpu", 1.0)]})
    assert "on a cpu" not in asked


def test_zeros_over_random_data_by_mode(clock, monkeypatch):
    products = {"bfloat16": Contraction(1, 2, 3, 4, "bfloat16"), "int8": None}

    def of_zeros(_target, mode, _batch, _m, _n, _k, data):
        assert (mode, data) == ("bfloat16", "zeros")
        return (kernel(clock, "other zeros", 0.1), kernel(clock, "bfloat16 zeros", 0.8))

    monkeypatch.setattr(proving.ways, "products", of_zeros)
    groups = {f"flops {mode}": [kernel(clock, mode, 1.0)] for mode in products}
    outcome = tournament(groups, bench(clock))
    sources = {f"fake {mode}": Source(product=p) for mode, p in products.items() if p}
    kept = []
    found = zeros_ratios(
        tuple(products),
        outcome,
        Questions(sources=sources),
        CUDA,
        bench(clock, checkpoint=kept.append),
        100.0,
    )
    assert found == {"bfloat16": pytest.approx(1.25)}
    assert kept == []
    assert set(outcome.winners) == set(groups)
