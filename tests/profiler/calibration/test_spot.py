"""The spot check: confirms, raises, or says by how much it found less."""

from dataclasses import replace

import pytest

from goodput.calibration.cache import Profile
from goodput.calibration.questions import Source
from goodput.calibration.spot import spot_check
from goodput.calibration.ways import Target
from goodput.capacity.profile import BandwidthPoint, Capacity, Peak, Provenance
from goodput.device import DeviceIdentity
from goodput.measure.bouts import Bench, Protocol
from goodput.work import Contraction

pytest.importorskip("torch", reason="the candidates are torch's")

CPU = Target("cpu", "cpu", 1, 1 << 20)
PRODUCT = Contraction(1, 16, 16, 16, "float32")
FOOTPRINT = 4096
CALL_SECONDS = 1e-3
FLOPS = PRODUCT.flops / CALL_SECONDS
BYTES = FOOTPRINT / CALL_SECONDS


class EvenTime:
    """A clock that stands, and a stopwatch on which every call takes the same time."""

    def now(self):
        return 0.0

    def date(self):
        return "2026-02-02"

    def seconds(self, train):
        for call in train[:1]:
            call()
        return CALL_SECONDS * len(train)


BENCH = Bench(EvenTime(), EvenTime(), Protocol())


def profile(flops=FLOPS, copy=BYTES):
    def peak(rate, detail):
        return Peak(rate, Provenance("measured", detail, measured_at="2026-01-01"))

    capacity = Capacity(
        DeviceIdentity("cpu", "x"),
        {"float32": peak(flops, "torch mm 16x16x16 float32; 3 bouts")},
        bandwidth={
            "copy": (
                BandwidthPoint(64, peak(1.0, "")),
                BandwidthPoint(FOOTPRINT, peak(copy, "torch copy_")),
            )
        },
    )
    return Profile(capacity, winners={"float32": Source(product=PRODUCT)})


def test_within_three_percent_nothing_changes():
    for factor in (1.0, 0.98, 1.02):
        before = profile(FLOPS * factor, BYTES * factor)
        assert spot_check(before, "float32", CPU, BENCH) == (before, ())


def test_more_than_the_cached_roof_raises_it():
    after, notes = spot_check(profile(FLOPS / 1.05, BYTES / 1.05), "float32", CPU, BENCH)
    roof = after.capacity.flops_per_s["float32"]
    assert roof.rate == pytest.approx(FLOPS)
    assert roof.provenance.measured_at == "2026-02-02"
    assert roof.provenance.detail.startswith("torch mm 16x16x16 float32;")
    assert after.capacity.vector == roof  # a CPU's products run on its vector units
    first, last = after.capacity.bandwidth["copy"]
    assert first.peak.rate == 1.0
    assert last.peak.rate == pytest.approx(BYTES)
    assert notes == ()


def test_less_keeps_the_roof_and_says_both_numbers():
    before = profile(FLOPS * 1.25, BYTES * 2)
    after, notes = spot_check(before, "float32", CPU, BENCH)
    assert after == before
    assert "20 % less than the cached float32 roof: 8.19 MFLOP/s now, 10.2 MFLOP/s" in notes[0]
    assert "50 % less than the cached main-memory copy roof" in notes[1]


def test_a_loss_of_five_percent_is_told():
    before = profile(FLOPS / 0.95, BYTES / 0.95)
    after, notes = spot_check(before, "float32", CPU, BENCH)
    assert after == before
    assert [note.split(" than")[0] for note in notes] == ["the spot check found 5 % less"] * 2


def test_a_profile_without_those_roofs_is_not_checked():
    empty = Profile(Capacity(DeviceIdentity("cpu", "x")))
    assert spot_check(empty, "float32", CPU, BENCH) == (empty, ())
    assert spot_check(profile(), "bfloat16", CPU, BENCH)[1] == ()


def test_a_winner_on_one_thread_is_checked_as_such():
    before = profile(FLOPS / 1.05)
    detail = "torch mm 16x16x16 float32 on 1 thread; 3 bouts"
    roof = Peak(FLOPS / 1.05, Provenance("measured", detail))
    before = replace(before, capacity=replace(before.capacity, flops_per_s={"float32": roof}))
    said = []
    after, notes = spot_check(before, "float32", CPU, replace(BENCH, progress=said.append))
    assert after.capacity.flops_per_s["float32"].rate == pytest.approx(FLOPS)
    assert said[:2] == [
        "spot check: torch mm 16x16x16 float32",
        "spot check: torch mm 16x16x16 float32 on 1 thread",
    ]
    assert notes == ()


def test_a_winner_of_another_framework_is_checked_by_that_one():
    pytest.importorskip("jax", reason="XLA:CPU comes with jax")
    (xla,) = Source(product=PRODUCT).others(CPU)
    before = profile(xla.amount / CALL_SECONDS)
    roof = Peak(xla.amount / CALL_SECONDS, Provenance("measured", f"{xla.label}; 3 bouts"))
    before = replace(before, capacity=replace(before.capacity, flops_per_s={"float32": roof}))
    assert spot_check(before, "float32", CPU, BENCH) == (before, ())


def test_a_kernel_that_is_not_here_any_more_confirms_nothing_and_no_other_does():
    before = profile(FLOPS)
    roof = Peak(FLOPS, Provenance("measured", "Gone mm 16x16x16; 3 bouts"))
    before = replace(before, capacity=replace(before.capacity, flops_per_s={"float32": roof}))
    after, (note,) = spot_check(before, "float32", CPU, BENCH)
    assert after == before
    assert note == (
        "nothing confirms the cached float32 roof: its kernel, Gone mm 16x16x16, does not run "
        "here now"
    )
    sourceless = replace(before, winners={})
    assert spot_check(sourceless, "float32", CPU, BENCH)[1] == (note,)
