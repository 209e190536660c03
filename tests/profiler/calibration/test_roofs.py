"""The door to measuring: what is measured, what comes from the cache, and what is told."""

import time
from contextlib import contextmanager

import pytest

from goodput.calibration import cache, roofs
from goodput.calibration.device import identity, software_versions
from goodput.calibration.roofs import Needs, capacity_of, remeasure
from goodput.calibration.sizes import CALL_SECONDS
from goodput.capacity.datasheet import row_of
from goodput.capacity.profile import Capacity, Peak, Provenance
from goodput.device import DeviceIdentity
from goodput.measure.bouts import Bench, Protocol
from goodput.measure.statistics import median
from goodput.work import Contraction
from goodput_kernels.convolution import Convolution

torch = pytest.importorskip("torch", reason="capacity is measured through torch")

DEVICE = DeviceIdentity("cpu", "Even CPU, 1 core", 1, 1 << 30, 1 << 16)
OWN = Contraction(1, 96, 64, 32, "float32")
CONV = Convolution("float32", (2, 4, 8, 8), (4, 4, 3, 3), (1, 1), (0, 0), (1, 1))
PLAIN = Needs(("float32",))


class EvenTime:
    """A machine on which every call takes a thousandth of a second and nothing really runs.

    `most_flops` is what a call may be cut to; the larger the call, the higher its rate.
    """

    def __init__(self):
        self.trains = 0
        self.most_flops = 2 * 256**3
        self.others_share = 0.1

    def now(self):
        return 0.0

    def sleep(self, _):
        pass

    def date(self):
        return "2026-02-02T00:00:00+00:00"

    def cpu_seconds(self):
        return 0.0

    def seconds(self, train):
        self.trains += 1
        return 1e-3 * len(train)


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """The even machine in place of the real one, with an empty cache."""
    even = EvenTime()

    @contextmanager
    def open_bench(_target, _clock, _seconds, progress):
        yield Bench(even, even, Protocol(bout_seconds=0.0), progress=progress or (lambda _: None))

    monkeypatch.setattr(roofs, "open_bench", open_bench)
    monkeypatch.setattr(roofs, "rates_of", lambda *_: {"any": even.most_flops / CALL_SECONDS})
    monkeypatch.setattr(roofs, "others_share", lambda *_: even.others_share)
    monkeypatch.setenv("GOODPUT_CACHE", str(tmp_path / "cache"))
    return even


def stored():
    return cache.path_of(DEVICE, software_versions(), cache.directory())


def test_the_first_time_everything_is_measured_and_kept(machine):
    said = []
    capacity = capacity_of(DEVICE, PLAIN, progress=said.append)
    assert machine.trains > 100
    assert set(capacity.flops_per_s) == {"float32"}
    assert set(capacity.bandwidth) == {"read", "copy", "in-place"}
    assert all(len(points) == 6 for points in capacity.bandwidth.values())
    assert capacity.vector.rate > 0
    assert capacity.special.rate > 0
    assert capacity.floor_seconds == pytest.approx(1e-3)
    assert capacity.device == DEVICE
    assert capacity.software == software_versions()
    assert capacity.warnings == ()
    assert capacity.sustained_flops_per_s == {}
    assert any(text.startswith("round 1") for text in said)
    assert stored().exists()


def test_a_fresh_profile_is_taken_as_it_is(machine):
    first = capacity_of(DEVICE, PLAIN)
    machine.trains = 0
    assert capacity_of(DEVICE, PLAIN) == first
    assert machine.trains == 0


def test_an_older_profile_is_spot_checked_only(machine, monkeypatch):
    first = capacity_of(DEVICE, PLAIN)
    said = []
    monkeypatch.setattr(roofs, "FRESH_SECONDS", -1.0)
    assert capacity_of(DEVICE, PLAIN, progress=said.append) == first
    assert machine.trains > 0
    assert said
    assert all(text.startswith("spot check") for text in said)


def test_only_what_is_missing_is_measured(machine):
    capacity_of(DEVICE, PLAIN)
    for needs in [
        Needs(("float32", "float64")),
        Needs(("float32",), (OWN,)),
        Needs(("float32",), (), (CONV,)),
    ]:
        said = []
        capacity = capacity_of(DEVICE, needs, progress=said.append)
        assert set(needs.modes) <= set(capacity.flops_per_s)
        assert said
        assert not any("bytes" in text for text in said if not text.startswith("spot"))
        machine.trains = 0
        capacity_of(DEVICE, needs)
        assert machine.trains == 0


def test_the_program_s_own_shape_can_be_the_roof(machine):
    capacity_of(DEVICE, PLAIN)
    before = cache.read(stored())
    machine.most_flops *= 10
    large = Contraction(2, 512, 512, 128, "float32")
    capacity = capacity_of(DEVICE, Needs(("float32",), (large,)))
    roof = capacity.flops_per_s["float32"]
    assert roof.rate > before.capacity.flops_per_s["float32"].rate
    assert "mm 2x512x512x128 float32" in roof.provenance.detail
    assert cache.read(stored()).winners["float32"].product == large


def test_a_damaged_profile_is_measured_again_and_said(machine):
    capacity_of(DEVICE, PLAIN)
    stored().write_bytes(b"{")
    machine.trains = 0
    capacity = capacity_of(DEVICE, PLAIN)
    assert machine.trains > 100
    (warning,) = capacity.warnings
    assert "is damaged" in warning
    assert "measured again" in warning
    assert capacity_of(DEVICE, PLAIN).warnings == ()


def test_without_a_cache_it_works_and_says_so(machine, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("GOODPUT_CACHE", str(tmp_path / "file" / "folder"))
    capacity = capacity_of(DEVICE, PLAIN)
    assert machine.trains > 100
    assert capacity.flops_per_s["float32"].rate > 0
    (warning,) = capacity.warnings
    assert "could not be kept" in warning
    assert "GOODPUT_CACHE" in warning


def test_a_full_disk_is_told(machine, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cache, "write", full)
    (warning,) = capacity_of(DEVICE, PLAIN).warnings
    assert machine.trains > 100
    assert "No space left on device" in warning


def test_others_on_the_cores_are_told_with_what_to_do(machine):
    machine.others_share = 0.3
    warnings = capacity_of(DEVICE, PLAIN).warnings
    assert capacity_of(DEVICE, PLAIN).warnings == warnings
    first, second = warnings
    assert first.startswith("contended: other processes had 30 % of the cores")
    assert second == "run `goodput peak` when the machine is quiet: it measures all of them again"


def test_a_mode_without_kernels_is_told(machine):
    needs = Needs(("float8_e5m2", "float32"))
    capacity = capacity_of(DEVICE, needs)
    assert machine.trains > 100
    assert capacity_of(DEVICE, needs) == capacity
    assert set(capacity.flops_per_s) == {"float32"}
    assert capacity.warnings == (
        "no kernel here measures float8_e5m2 on this device: it has no compute roof",
    )


def test_a_mode_without_kernels_takes_the_datasheet_where_there_is_one():
    sheet = row_of("NVIDIA H200")
    capacity = Capacity(DeviceIdentity("cuda", "NVIDIA H200"), datasheet=sheet)
    found = roofs._with_datasheet(capacity, Needs(("float8_e4m3",)), ())
    assert found.flops_per_s["float8_e4m3"].rate == 1978.9e12
    assert found.flops_per_s["float8_e4m3"].provenance.source == "datasheet"
    assert "its roof is the datasheet's" in found.warnings[0]


def test_a_program_without_contractions_gets_the_other_roofs(machine):
    capacity = capacity_of(DEVICE, Needs(()))
    assert machine.trains > 50
    assert capacity.flops_per_s == {}
    assert capacity.bandwidth
    assert capacity.vector is not None


def test_measuring_again_raises_a_roof_that_is_real(machine):
    capacity = capacity_of(DEVICE, PLAIN)
    machine.most_flops *= 10
    large = Contraction(2, 512, 512, 128, "float32")
    raised = remeasure(capacity, Needs(("float32",), (large,)))
    assert raised.flops_per_s["float32"].rate > capacity.flops_per_s["float32"].rate
    assert cache.read(stored()).capacity.flops_per_s == raised.flops_per_s
    machine.trains = 0
    assert capacity_of(DEVICE, PLAIN).flops_per_s == raised.flops_per_s
    assert machine.trains == 0


def test_measuring_again_keeps_a_roof_that_nothing_passes(machine):
    given = Capacity(DEVICE, {"float32": Peak(1e18, Provenance("measured", "elsewhere"))})
    assert remeasure(given, Needs(("float32",), (OWN,))).flops_per_s == given.flops_per_s
    assert machine.trains > 0
    assert not stored().exists()


def test_on_this_cpu(monkeypatch, tmp_path):
    """The real thing, briefly: bounds that hold on any machine, busy or not."""
    monkeypatch.setenv("GOODPUT_CACHE", str(tmp_path))
    device = identity("cpu")
    threads = torch.get_num_threads()
    capacity = capacity_of(device, PLAIN, budget_seconds=2.0)
    assert torch.get_num_threads() == threads
    assert capacity.flops_per_s["float32"].rate > 0
    assert capacity.vector.rate >= capacity.flops_per_s["float32"].rate
    assert capacity.special.rate > 0
    assert 0 < capacity.floor_seconds < 1e-3
    assert capacity.bytes_per_s("copy", 1 << 20) > 0

    start = time.perf_counter()
    again = capacity_of(device, PLAIN)
    assert time.perf_counter() - start < 1.5
    assert again == capacity

    # The check of an older profile raises a roof that was measured beside other work.
    monkeypatch.setattr(roofs, "FRESH_SECONDS", -1.0)
    for _ in range(5):
        roof = capacity_of(device, PLAIN).flops_per_s["float32"].rate
        if roof >= 0.9 * product_rate():
            return
    pytest.fail("torch.mm, measured right here, is above the roof")


def product_rate(edge=768):
    left, right = torch.randn(2, edge, edge)
    seconds = []
    for _ in range(7):
        start = time.perf_counter()
        torch.mm(left, right)
        seconds.append(time.perf_counter() - start)
    return 2 * edge**3 / median(seconds)
