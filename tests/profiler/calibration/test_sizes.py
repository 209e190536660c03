"""How large a call may be, on machines of known speed."""

import pytest

from goodput.calibration.questions import Questions
from goodput.calibration.sizes import CALL_SECONDS, SLOW, leave_out_slow, most_flops, rates_of
from goodput.calibration.ways import Target
from goodput.measure.bouts import Bench, Protocol
from goodput_kernels.candidate import Candidate

pytest.importorskip("torch", reason="the candidates are torch's")


class Machine:
    """Runs nothing; gives the seconds it was told, train by train, then the last for good."""

    def __init__(self, *seconds):
        self.left = list(seconds)

    def seconds(self, train):
        return len(train) * (self.left.pop(0) if len(self.left) > 1 else self.left[0])


def limit(mode, *seconds, cores=1):
    machine, target = Machine(*seconds), Target("cpu", "cpu", cores, 1 << 20)
    return most_flops(rates_of(mode, target, Bench(machine, machine, Protocol(most=3))))


def test_a_call_is_as_large_as_its_time_allows():
    assert limit("float32", 0.05) == pytest.approx(2 * 384**3 / 0.05 * CALL_SECONDS)
    assert limit("float32", 0.05, cores=8) == pytest.approx(8 * limit("float32", 0.05))


def test_the_least_time_counts_so_that_a_busy_second_does_not_make_it_small():
    assert limit("float32", 0.5, 0.5, 0.05, 0.5) == pytest.approx(2 * 384**3 / 0.05 * CALL_SECONDS)


def test_the_fastest_library_sizes_the_call():
    # A bout of the first library, of at least 2 + 3 trains, then the second one's.
    assert limit("float32", *[0.5] * 5, 0.05) == pytest.approx(2 * 384**3 / 0.05 * CALL_SECONDS)


@pytest.mark.parametrize(("factor", "kept"), [(0.99, True), (1.01, False)])
def test_a_library_that_would_take_far_too_long_is_left_out(factor, kept):
    def rival(library, name):
        return Candidate(name, library, "flops", 1000, lambda: lambda: None)

    slow, unknown = rival("torch", "mm 8x8x8 int8"), rival("torch", "conv 1x1 int8")
    questions = Questions({"flops int8": [slow, rival("oneDNN", "qlinear 8x8x8"), unknown]})
    rates = {"torch mm": 1000 / (SLOW * CALL_SECONDS) / factor, "oneDNN qlinear": 1e9}
    leave_out_slow(questions, "int8", rates)
    assert questions.groups["flops int8"][0].library == "oneDNN"  # the fastest comes first
    assert (slow in questions.groups["flops int8"]) is kept
    assert unknown in questions.groups["flops int8"]
    assert len(questions.groups["flops int8"]) == 2 + kept
    leave_out_slow(questions, "float32", rates)
    assert set(questions.groups) == {"flops int8"}


def test_an_unknown_mode_has_no_size():
    assert limit("float4", 0.05) == 0
