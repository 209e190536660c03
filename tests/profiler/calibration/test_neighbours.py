"""What others had of the cores, from readings that the test makes up."""

import pytest

from goodput.calibration.neighbours import Watch, others_share, watch
from goodput.measure.clock import HostClock


def test_what_is_busy_and_not_ours_is_the_others():
    start, end = Watch(0.0, 5.0, 100.0), Watch(10.0, 17.0, 120.0)
    assert others_share(start, end, cores=4) == pytest.approx((20 - 12) / 40)
    assert others_share(start, Watch(10.0, 30.0, 120.0), cores=4) == 0


def test_unknown_readings_are_unknown():
    known = Watch(0.0, 0.0, 1.0)
    assert others_share(known, Watch(1.0, 1.0, None), cores=1) is None
    assert others_share(Watch(0.0, 0.0, None), Watch(1.0, 1.0, 2.0), cores=1) is None
    assert others_share(known, known, cores=1) is None


def test_the_present_moment_is_read():
    start = watch(HostClock())
    end = watch(HostClock())
    assert end.now >= start.now
    assert end.own_seconds >= start.own_seconds
