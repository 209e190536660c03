"""How large a call may be, on machines of known speed."""

import pytest

from goodput.calibration.questions import Target
from goodput.calibration.sizes import CALL_SECONDS, most_flops
from goodput.measure.bouts import Bench, Protocol

pytest.importorskip("torch", reason="the candidates are torch's")


class Machine:
    """Runs nothing; gives the seconds it was told, train by train, then the last for good."""

    def __init__(self, *seconds):
        self.left = list(seconds)

    def seconds(self, train):
        return len(train) * (self.left.pop(0) if len(self.left) > 1 else self.left[0])


def limit(mode, *seconds, cores=1):
    machine, target = Machine(*seconds), Target("cpu", "cpu", cores, 1 << 20)
    return most_flops(mode, target, Bench(machine, machine, Protocol(most=3)))


def test_a_call_is_as_large_as_its_time_allows():
    assert limit("float32", 0.05) == pytest.approx(2 * 384**3 / 0.05 * CALL_SECONDS)
    assert limit("float32", 0.05, cores=8) == pytest.approx(8 * limit("float32", 0.05))


def test_the_least_time_counts_so_that_a_busy_second_does_not_make_it_small():
    assert limit("float32", 0.5, 0.5, 0.05, 0.5) == pytest.approx(2 * 384**3 / 0.05 * CALL_SECONDS)


def test_an_unknown_mode_has_no_size():
    assert limit("float4", 0.05) == 0
