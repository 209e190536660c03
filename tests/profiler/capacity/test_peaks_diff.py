"""What moved between two measurements: only what moved more than both scatter."""

from dataclasses import replace

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from goodput.capacity.measurement import Check, Measurement, Peaks
from goodput.capacity.peaks_diff import (
    LEAST,
    LEAST_UNREPEATED,
    MOVED,
    ONLY_A,
    ONLY_B,
    SAME,
    Change,
    Difference,
    difference,
    to_json,
)
from goodput.capacity.profile import Capacity
from goodput.device import DeviceIdentity
from goodput.errors import NotComparableError

DEVICE = DeviceIdentity("cpu", "Some CPU, 2 cores")
BOUTS = ((1.0,), (1.0,))
RATES = st.floats(1e6, 1e15)
SPREADS = st.floats(0, 0.5)


def one(rate: float | None, spread: float = 0.0, **other: object) -> Measurement:
    fields = {"unit": "matmul", "subject": "tf32", "regime": "burst", "bouts": BOUTS}
    return Measurement(
        rate=rate, quantity="FLOP", status="ok", spread=spread, **{**fields, **other}
    )


def peaks(*measurements: Measurement, **other: object) -> Peaks:
    return Peaks(DEVICE, Capacity(DEVICE), "quick", measurements, **other)


def compared(a: Measurement, b: Measurement) -> Change:
    (change,) = difference(peaks(a), peaks(b)).changes
    return change


def around(peaks_of_one: Peaks, **fields: object) -> Peaks:
    return replace(peaks_of_one, surroundings=replace(peaks_of_one.surroundings, **fields))


@settings(deadline=None)
@given(RATES, RATES, SPREADS, SPREADS)
def test_moved_means_beyond_the_spread_of_both(
    a: float, b: float, spread_a: float, spread_b: float
) -> None:
    change = compared(one(a, spread_a), one(b, spread_b))
    assert change.ratio == pytest.approx(b / a - 1)
    assert change.margin >= max(LEAST, spread_a + spread_b)
    assert (change.verdict == MOVED) == (abs(b / a - 1) > change.margin)


@settings(deadline=None)
@given(RATES, SPREADS)
def test_nothing_moves_against_itself(rate: float, spread: float) -> None:
    assert compared(one(rate, spread), one(rate, spread)).verdict == SAME


@settings(deadline=None)
@given(st.lists(RATES, min_size=1, max_size=5), st.lists(RATES, min_size=1, max_size=5))
def test_the_other_way_round_a_and_b_change_places(first: list[float], second: list[float]) -> None:
    subjects = [f"mode{n}" for n in range(5)]
    a = peaks(*(one(rate, subject=name) for rate, name in zip(first, subjects, strict=False)))
    b = peaks(*(one(rate, subject=name) for rate, name in zip(second, subjects, strict=False)))
    there = {change.subject: change for change in difference(a, b).changes}
    back = {change.subject: change for change in difference(b, a).changes}
    assert there.keys() == back.keys()
    for name, change in there.items():
        assert (change.a, change.b) == (back[name].b, back[name].a)
        if change.ratio is not None:
            assert (1 + change.ratio) * (1 + back[name].ratio) == pytest.approx(1)


def test_one_bout_has_to_move_further() -> None:
    once = one(100.0, bouts=((100.0,),))
    assert LEAST < 0.02 < LEAST_UNREPEATED
    assert compared(once, replace(once, rate=102.0)).verdict == SAME
    assert compared(one(100.0), one(102.0)).verdict == MOVED


def test_what_one_side_lacks_is_told_and_is_no_zero() -> None:
    both, lone = one(1.0), one(2.0, subject="int8")
    unsupported = one(None, subject="int8")
    for other in (peaks(both), peaks(both, unsupported)):
        (_, change) = sorted(difference(peaks(both, lone), other).changes, key=_by_verdict)
        assert (change.verdict, change.a, change.b, change.ratio) == (ONLY_A, 2.0, None, None)
        (_, change) = sorted(difference(other, peaks(both, lone)).changes, key=_by_verdict)
        assert (change.verdict, change.a, change.b, change.ratio) == (ONLY_B, None, 2.0, None)


def _by_verdict(change: Change) -> bool:
    return change.verdict != SAME


def test_a_figure_that_is_no_roof_is_not_compared() -> None:
    wrong = one(9.0, checks=(Check("correct", passed=False, value=1.0, detail=""),))
    assert compared(one(1.0), one(1.0)).verdict == SAME
    (change,) = difference(peaks(one(1.0)), peaks(wrong, one(1.0))).changes
    assert change.b == 1.0


def test_a_figure_of_an_earlier_day_is_not_compared() -> None:
    scaled = replace(one(1.0), status="scaled")
    with pytest.raises(NotComparableError, match="no figure in common"):
        difference(peaks(one(1.0)), peaks(scaled))


def test_memory_is_compared_size_by_size_and_products_by_their_best() -> None:
    small, large = (one(5.0, unit="memory", subject="copy", size=n) for n in (1000, 2000))
    products = [one(rate, size=n) for rate, n in ((1.0, 10), (3.0, 20))]
    found = difference(peaks(small, large, *products), peaks(small, large, products[1]))
    sizes = [(change.unit, change.size) for change in found.changes]
    assert sorted(sizes) == [("matmul", 0), ("memory", 1000), ("memory", 2000)]
    assert all(change.verdict == SAME for change in found.changes)


def test_what_moved_most_stands_first() -> None:
    rates = {"a": 1.0, "b": 1.5, "c": 0.4, "d": 1.001}
    a = peaks(*(one(1.0, subject=name) for name in rates))
    b = peaks(*(one(rate, subject=name) for name, rate in rates.items()))
    assert [change.subject for change in difference(a, b).changes] == ["c", "b", "a", "d"]


def test_reasons_beside_a_figure() -> None:
    a = one(1.0, kernel="MKL mm", clock_hz=2e9)
    b = replace(a, rate=2.0, kernel="oneDNN linear", clock_hz=1.5e9, status="throttled")
    assert compared(a, b).reasons == (
        "B was throttled",
        "clock 2.00 GHz -> 1.50 GHz",
        "kernel MKL mm -> oneDNN linear",
    )
    assert compared(a, replace(a, clock_hz=2.01e9)).reasons == ()
    noisy = replace(a, status="noisy")
    assert compared(noisy, noisy).reasons == ("both were noisy",)
    assert compared(noisy, replace(a, status="contended")).reasons == (
        "A was noisy",
        "B was contended",
    )


def test_reasons_around_the_measurements() -> None:
    a = peaks(one(1.0), zeros_ratio={"tf32": 1.02})
    b = peaks(one(2.0), zeros_ratio={"tf32": 1.14})
    a = around(a, software={"torch": "2.13.0", "jax": "0.10"}, threads=2, power_limit_watts=700.0)
    b = around(b, software={"torch": "2.14.0"}, threads=4, affinity=(0, 1, 2, 3))
    reasons = difference(a, replace(b, level="full", partial="interrupted")).reasons
    assert set(reasons) == {
        "torch 2.13.0 in A, 2.14.0 in B",
        "jax 0.10 in A, absent in B",
        "threads: 2 in A, 4 in B",
        "cores allowed: none in A, 0-3 in B",
        "power limit: 700 W in A, none in B",
        "level: quick in A, full in B",
        "zeros ratio of tf32: 1.02 in A, 1.14 in B",
        "B is not whole: interrupted",
    }


def test_alike_measurements_give_no_reasons(gpu_peaks: Peaks) -> None:
    found = difference(gpu_peaks, gpu_peaks)
    assert found.reasons == ()
    assert {change.verdict for change in found.changes} == {SAME}
    assert {change.ratio for change in found.changes} == {0.0}


@pytest.mark.parametrize(
    "device",
    [DeviceIdentity("cpu", "Other CPU, 2 cores"), DeviceIdentity("cuda", DEVICE.name)],
)
def test_unlike_devices_refuse(device: DeviceIdentity) -> None:
    with pytest.raises(NotComparableError, match=r"Some CPU, 2 cores \(cpu\).*unlike"):
        difference(peaks(one(1.0)), replace(peaks(one(1.0)), device=device))


def test_other_sizes_of_the_same_name_are_alike() -> None:
    same = replace(DEVICE, memory_bytes=5)
    assert difference(peaks(one(1.0)), replace(peaks(one(1.0)), device=same)).changes


def test_nothing_in_common_refuses() -> None:
    with pytest.raises(NotComparableError, match="no figure in common"):
        difference(peaks(one(1.0)), peaks(one(1.0, subject="int8")))


def test_the_json_reads_back(gpu_peaks: Peaks) -> None:
    found = difference(gpu_peaks, gpu_peaks)
    keys = msgspec.json.decode(to_json(found))
    assert keys.pop("schema") == "goodput.peaks-difference/1"
    assert msgspec.convert(keys, Difference) == found
