"""What moved between two recordings: parts that sum to the whole, and causes that are not mixed."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from goodput.capacity.profile import BandwidthPoint, Capacity, Peak, Provenance
from goodput.device import DeviceIdentity
from goodput.errors import NotComparableError
from goodput.renderers.recording_difference import difference_json, render_recording_difference
from goodput.report.difference import difference, split
from goodput.report.verdicts import Cause
from goodput.trace.recording import Recording
from goodput.trace.table import Invocations, StepTime, Trace

DEVICE = DeviceIdentity("cpu", "Test CPU, 2 cores", 2)
FLOPS = 2 * 256**3
SOME = st.floats(1e-6, 1.0)


def recording(products: int = 1, seconds: float = 0.001, flops: int = FLOPS, mode: str = "float32"):
    calls = [(step, 1) for step in range(3) for _ in range(products)] + [(s, 2) for s in range(3)]
    product = [operator == 1 for _, operator in calls]
    table = Invocations.of(
        {
            "step": [step for step, _ in calls],
            "operator": [operator for _, operator in calls],
            "mode": [3 if own else 0 for own in product],
            "modelled": [True] * len(calls),
            "flops": [flops * own for own in product],
            "dense_flops": [flops * own for own in product],
            "vector_flops": [0 if own else 65_536 for own in product],
            "bytes_read": [524_288] * len(calls),
            "bytes_written": [262_144] * len(calls),
            "device_seconds": [
                seconds * (1 + 0.001 * step) if own else 0.0002
                for (step, _), own in zip(calls, product, strict=True)
            ],
        }
    )
    wall = products * seconds + 0.0003
    steps = tuple(StepTime(n, wall, wall, 0.0, 0.0, 10) for n in range(3))
    trace = Trace(DEVICE, "torch", steps, table, ("", "aten::mm", "aten::add", mode))
    walls = tuple(wall * (1 + 0.001 * n) for n in range(10))
    return Recording("train.py", "2026-08-01T12:00:00+00:00", trace, walls, "host")


def roofs(rate: float = 60e9) -> Capacity:
    known = Provenance("measured", "torch.mm")
    point = BandwidthPoint(1_000_000, Peak(20e9, known))
    modes = {"float32": Peak(rate, known), "bfloat16": Peak(2 * rate, known)}
    return Capacity(DEVICE, modes, vector=Peak(10e9, known), bandwidth={"copy": (point,)})


def between(before, after, first=None, second=None):
    return difference((before, first or roofs()), (after, second or roofs()))


@given(SOME, SOME, st.integers(1, 9), st.integers(1, 9), SOME, SOME)
def test_the_parts_sum_to_the_whole_whichever_comes_first(old, new, calls, more, ideal, needed):
    there = split((old, calls, ideal), (new, more, needed))
    back = split((new, more, needed), (old, calls, ideal))
    assert there.seconds == pytest.approx(new - old, abs=1e-12)
    assert back.seconds == pytest.approx(old - new, abs=1e-12)
    # Their mean divides by a difference of logarithms: nearly equal times lose half of the digits.
    assert there.count == pytest.approx(-back.count, rel=1e-6, abs=1e-6)
    assert there.work == pytest.approx(-back.work, rel=1e-6, abs=1e-6)


def test_an_operator_that_came_is_all_count():
    assert split((0.0, 0.0, 0.0), (0.5, 3.0, 0.1)).count == 0.5


@pytest.mark.parametrize(
    ("after", "part", "cause"),
    [
        (recording(products=2), "count", Cause.NUMERATOR),
        (recording(flops=2 * FLOPS, seconds=0.002), "work", Cause.NUMERATOR),
        (recording(seconds=0.002), "efficiency", Cause.CODE),
    ],
    ids=["twice the calls", "twice the work", "half the speed"],
)
def test_each_kind_of_change_is_told_apart(after, part, cause):
    found = between(recording(), after)
    (product,) = [one for one in found.operators if one.operator == "aten::mm"]
    assert product.shown
    largest = max(("count", "work", "efficiency"), key=lambda name: getattr(product.term, name))
    assert largest == part
    assert [each for each, _ in found.causes] == [cause]


def test_the_same_recording_moves_nothing():
    found = between(recording(), recording())
    assert not any(one.shown for one in found.operators)
    assert [cause for cause, _ in found.causes] == [Cause.NOISE]
    assert "no operator moved by more than its steps differ" in render_recording_difference(found)


def test_what_needs_the_same_moves_no_work():
    term = split((1.0, 2.0, 0.3), (3.0, 4.0, 0.6 * (1 + 1e-15)))
    assert term.work == 0.0


def test_another_roof_is_the_denominator_and_moves_no_operator():
    found = between(recording(), recording(), roofs(), roofs(90e9))
    assert Cause.ANCHOR in [cause for cause, _ in found.causes]
    assert not any(one.shown for one in found.operators)


def test_another_mode_is_precision():
    found = between(recording(mode="bfloat16"), recording(mode="float32", seconds=0.002))
    assert found.causes[0][0] is Cause.PRECISION


def test_two_devices_are_not_compared():
    other = recording()
    other = replace(other, trace=replace(other.trace, device=DeviceIdentity("cpu", "Other")))
    with pytest.raises(NotComparableError, match="two devices"):
        between(recording(), other)
    jax = replace(other, trace=replace(recording().trace, framework="jax"))
    with pytest.raises(NotComparableError, match="no names in common"):
        between(recording(), jax)


def test_it_is_told_in_lines_of_a_width():
    text = render_recording_difference(between(recording(), recording(seconds=0.002)), width=100)
    assert max(map(len, text.splitlines())) <= 100
    assert "cause: code: the same work on the same device got slower" in text
    assert "mm" in text
    assert '"goodput.difference/1"' in difference_json(between(recording(), recording()))
