"""What a program's own shapes reach, on a machine where every call takes as long."""

from __future__ import annotations

from contextlib import contextmanager

import pytest

pytest.importorskip("torch", reason="the candidates are torch's")

from goodput.calibration import cache, shape_peaks
from goodput.calibration.cache import Profile
from goodput.calibration.device import software_versions
from goodput.calibration.shape_peaks import measure_shapes
from goodput.capacity.profile import Capacity, Peak, Provenance
from goodput.device import DeviceIdentity
from goodput.measure.bouts import Bench, Protocol
from goodput.work import Contraction
from goodput_kernels.convolution import Convolution

DEVICE = DeviceIdentity("cpu", "Even CPU, 1 core", 1, 1 << 30, 1 << 16)
SMALL, LARGE = (Contraction(1, edge, edge, edge, "float32") for edge in (8, 16))
CONV = Convolution("float32", (2, 4, 8, 8), (4, 4, 3, 3), (1, 1), (0, 0), (1, 1))
CALL_SECONDS = 1e-3


class EvenTime:
    """A machine on which every call takes a thousandth of a second."""

    trains = 0

    def now(self):
        return 0.0

    def sleep(self, _):
        pass

    def date(self):
        return "2026-02-02T00:00:00+00:00"

    def seconds(self, train):
        self.trains += 1
        return CALL_SECONDS * len(train)


@pytest.fixture
def machine(monkeypatch, tmp_path):
    even = EvenTime()

    @contextmanager
    def open_bench(_target, _clock, _seconds, progress):
        yield Bench(even, even, Protocol(bout_seconds=0.0), progress=progress or (lambda _: None))

    monkeypatch.setattr(shape_peaks, "open_bench", open_bench)
    monkeypatch.setenv("GOODPUT_CACHE", str(tmp_path / "cache"))
    return even


def roofed(rate):
    return Capacity(DEVICE, {"float32": Peak(rate, Provenance("measured", "roof"))})


def test_each_problem_is_measured_at_its_own_size(machine):
    found = measure_shapes(roofed(1e12), (SMALL, LARGE), (CONV,))
    for product in (SMALL, LARGE):
        rate = found.shape_rate(product, None)
        assert rate == pytest.approx(product.flops / CALL_SECONDS)
    assert found.shape_rate(None, CONV) == pytest.approx(CONV.flops / CALL_SECONDS)
    assert found.flops_per_s["float32"].rate == 1e12
    assert machine.trains > 0


@pytest.mark.usefixtures("machine")
def test_a_shape_above_the_roof_raises_it():
    found = measure_shapes(roofed(1.0), (SMALL, LARGE), ())
    assert found.flops_per_s["float32"].rate == pytest.approx(LARGE.flops / CALL_SECONDS)


def test_what_is_known_is_not_measured_again_and_what_was_measured_is_kept(machine):
    path = cache.path_of(DEVICE, software_versions(), cache.directory())
    cache.write(path, Profile(roofed(1e12)))
    found = measure_shapes(roofed(1e12), (SMALL,), ())
    assert cache.read(path).capacity.shapes == found.shapes
    machine.trains = 0
    assert measure_shapes(found, (SMALL,), ()) is found
    assert machine.trains == 0


def test_a_mode_without_kernels_has_no_shapes(machine):
    unknown = Contraction(1, 8, 8, 8, "float8_e5m2")
    assert measure_shapes(roofed(1e12), (unknown,), ()).shapes == ()
    assert machine.trains == 0
