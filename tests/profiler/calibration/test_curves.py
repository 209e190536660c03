"""Lines through measured transfers: a known one is found again, and its error is a bound."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from goodput.calibration.curves import curves_of, fit
from goodput.capacity.measurement import Measurement

SIZES = st.lists(st.integers(1 << 8, 1 << 32), min_size=3, max_size=12, unique=True)


@given(SIZES, st.floats(1e-7, 1e-3), st.floats(1e8, 1e13))
def test_a_known_line_is_found_again(sizes, latency, bandwidth):
    assume(max(sizes) / min(sizes) > 4)
    curve = fit("memory", "copy", [(size, latency + size / bandwidth) for size in sizes])
    assert curve.worst < 1e-6
    for size in sizes:
        seconds = curve.latency_seconds + size / curve.bytes_per_s
        assert seconds == pytest.approx(latency + size / bandwidth, rel=1e-6)


@given(SIZES, st.lists(st.floats(0.5, 2.0), min_size=12, max_size=12))
def test_no_point_is_further_from_the_line_than_it_says(sizes, noise):
    points = [
        (size, (1e-6 + size / 1e10) * factor) for size, factor in zip(sizes, noise, strict=False)
    ]
    curve = fit("link", "x", points)
    assume(curve is not None)
    assert curve.latency_seconds >= 0
    assert curve.bytes_per_s > 0
    for size, seconds in points:
        line = curve.latency_seconds + size / curve.bytes_per_s
        assert abs(line / seconds - 1) <= curve.worst * (1 + 1e-9) + 1e-12


def test_a_line_below_zero_goes_through_zero():
    curve = fit("memory", "read", [(100, 1.0), (200, 2.2), (400, 5.0)])
    assert curve.latency_seconds == 0.0


def test_too_few_sizes_and_falling_times_make_no_line():
    assert fit("memory", "read", [(100, 1.0), (200, 2.0), (200, 2.1)]) is None
    assert fit("memory", "read", [(100, 4.0), (200, 2.0), (400, 1.0)]) is None


def figure(unit, subject, rate, size):
    return Measurement(unit, subject, "burst", rate, "B", "ok", size=size)


def test_each_subject_has_a_line_of_its_own():
    sizes = (1 << 10, 1 << 20, 1 << 30)
    found = [figure("memory", "copy", 1e10, size) for size in sizes]
    found += [figure("link", "up", 1e9, size) for size in sizes]
    found += [figure("memory", "read", 1e9, size) for size in sizes[:2]]
    found += [figure("memory", "read", None, sizes[2]), figure("matmul", "float32", 1e9, 0)]
    curves = {(curve.unit, curve.subject): curve for curve in curves_of(found)}
    assert set(curves) == {("memory", "copy"), ("link", "up")}
    assert curves["memory", "copy"].bytes_per_s == pytest.approx(1e10)
    assert curves["link", "up"].bytes_per_s == pytest.approx(1e9)
