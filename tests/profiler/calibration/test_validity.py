"""Each check at, below and above its limit, and the one word that they make together."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from goodput.calibration import validity
from goodput.calibration.validity import CPU_LIMITS, DEVICE_LIMITS, LIMIT, OTHERS, Limits
from goodput.capacity.measurement import STATUSES, TRUTH, Check, Measurement
from goodput_kernels.candidate import Verification

RATES = st.lists(st.floats(1e3, 1e15), min_size=1, max_size=30)


@pytest.mark.parametrize(("share", "passed"), [(0.5, True), (LIMIT, True), (1.031, False)])
def test_no_rate_above_the_ceiling(share, passed):
    check = validity.below_ceiling(share * 1e15, 1e15, "FLOP")
    assert check.passed is passed
    assert check.value == pytest.approx(share)
    assert check.detail == "share of 1.00 PFLOP/s, at most 1.03"


@pytest.mark.parametrize(("error", "passed"), [(0.01, True), (0.02, True), (float("inf"), False)])
def test_results_against_float64(error, passed):
    check = validity.correct(Verification(error, 0.02, "8 rows of 64"))
    assert check.passed is passed
    assert "8 rows of 64 against float64, at most 2.0e-02" in check.detail


@pytest.mark.parametrize(("width", "passed"), [(0.02, True), (0.03, True), (0.04, False)])
def test_the_trains_of_a_bout_may_differ_by_the_limit(width, passed):
    # 21 evenly spaced rates: the 5th and 95th percentiles are the second and the last but one.
    rates = [1 + width * (n - 10) / 18 for n in range(21)]
    check = validity.steady([[1.0, 1.0], rates], DEVICE_LIMITS)
    assert check.value == pytest.approx(width)
    assert check.passed is (width <= DEVICE_LIMITS.spread + 1e-12) is passed


def test_a_cpu_may_be_less_steady_than_a_device():
    rates = [1.0, 1.3, 1.0, 1.3]
    assert validity.steady([rates], CPU_LIMITS).passed
    assert not validity.steady([rates], DEVICE_LIMITS).passed


@pytest.mark.parametrize(
    ("other", "passed"), [(1.0, True), (1.1, True), (1.12, False), (0.85, False)]
)
def test_bouts_that_differ_by_more_than_a_tenth_were_not_alone(other, passed):
    assert validity.agreeing([[1.0] * 3, [other] * 3]).passed is passed


def test_the_spread_is_between_bouts_and_of_a_single_one_inside():
    assert validity.spread_of([[1.0, 9.0, 1.0], [1.2] * 3, [1.1] * 3]) == pytest.approx(0.2 / 1.1)
    assert validity.spread_of([[2.0] * 9]) == 0
    assert validity.spread_of([[1.0 + n / 20 for n in range(21)]]) == pytest.approx(0.9 / 1.5)
    assert validity.spread_of([]) == 0


@given(st.lists(RATES, min_size=1, max_size=5), st.floats(1e-3, 1e3))
def test_spreads_have_no_unit(bouts, factor):
    scaled = [[rate * factor for rate in bout] for bout in bouts]
    assert validity.spread_of(scaled) == pytest.approx(
        validity.spread_of(bouts), rel=1e-6, abs=1e-9
    )
    assert validity.spread_of(bouts) >= 0


@pytest.mark.parametrize(("count", "passed"), [(1, False), (2, True), (5, True)])
def test_one_bout_confirms_nothing(count, passed):
    check = validity.confirmed([[1.0, 1.0]] * count)
    assert check.passed is passed
    assert check.value == count


@pytest.mark.parametrize(("last", "passed"), [(0.985, True), (0.98, True), (0.97, False)])
def test_drift_is_the_last_third_against_the_first(last, passed):
    limits = Limits(spread=1.0, drift=0.02 + 1e-9)
    check = validity.without_drift([[1.0, 1.0], [5.0, 5.0], [last, last]], limits)
    assert check.value == pytest.approx(1 - last)
    assert check.passed is passed


def test_a_single_train_does_not_drift():
    assert validity.without_drift([[3.0]], DEVICE_LIMITS).passed


@pytest.mark.parametrize(("share", "passed"), [(0.0, True), (OTHERS, True), (0.06, False)])
def test_others_may_have_a_trace_of_the_cores(share, passed):
    assert validity.uncontended(share).passed is passed


def test_what_the_system_does_not_tell_is_no_check():
    assert validity.uncontended(None) is None


@pytest.mark.parametrize(
    ("bits", "burst", "sustained"),
    [
        (0, True, True),
        (1, True, True),  # idle
        (2, True, True),  # clocks set by an application
        (validity.POWER_CAP, False, True),
        (validity.SLOWDOWN, False, False),
        (validity.SOFTWARE_THERMAL, False, False),
        (validity.HARDWARE_THERMAL, False, False),
        (validity.POWER_BRAKE, False, False),
        (validity.POWER_CAP | validity.HARDWARE_THERMAL, False, False),
        (1 | validity.POWER_BRAKE, False, False),
    ],
)
def test_bits_are_tested_one_by_one(bits, burst, sustained):
    assert validity.clocks(bits, sustained=False).passed is burst
    assert validity.clocks(bits, sustained=True).passed is sustained


def failing(*names):
    return [Check(name, passed=False, value=2.0, detail="told") for name in names]


@pytest.mark.parametrize(
    ("names", "status"),
    [
        ((), "ok"),
        (("spread",), "noisy"),
        (("drift",), "noisy"),
        (("bouts",), "noisy"),
        (("alone", "spread"), "contended"),
        (("contention",), "contended"),
        (("clocks", "alone", "contention", "spread"), "throttled"),
    ],
)
def test_the_worst_failure_gives_the_status(names, status):
    passed = Check("correct", passed=True, value=0.0, detail="")
    assert validity.status_of(1.0, [passed, *failing(*names)]) == status
    assert status in STATUSES


def test_without_a_rate_it_is_unsupported_whatever_else():
    assert validity.status_of(None, failing("clocks", "spread")) == "unsupported"


@pytest.mark.parametrize("name", TRUTH)
def test_a_figure_that_failed_a_check_of_its_truth_is_no_roof(name):
    figure = Measurement("matmul", "float32", "burst", 1.0, "FLOP", "ok")
    bad = Measurement(
        "matmul", "float32", "burst", 1.0, "FLOP", "ok", checks=tuple(failing("spread", name))
    )
    assert validity.untrue(figure) == ""
    assert figure.valid
    assert validity.untrue(bad) == f"{name} 2: told"
    assert not bad.valid


def test_a_noisy_or_contended_figure_is_a_true_one():
    figure = Measurement(
        "matmul", "x", "burst", 1.0, "FLOP", "noisy", checks=tuple(failing("spread", "alone"))
    )
    assert validity.untrue(figure) == ""
    assert figure.valid
