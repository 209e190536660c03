"""What a tournament found, laid into a profile."""

import pytest

from goodput.calibration.assemble import extend, higher
from goodput.calibration.cache import Profile
from goodput.calibration.questions import Questions, Source
from goodput.capacity.profile import BandwidthPoint, Capacity, Peak, Provenance
from goodput.device import DeviceIdentity
from goodput.measure.bouts import Outcome, Result
from goodput.measure.samples import Samples
from goodput.work import Contraction
from goodput_kernels.candidate import Candidate

CPU = DeviceIdentity("cpu", "Some CPU, 2 cores")
H200 = DeviceIdentity("cuda", "NVIDIA H200")
MI300X = DeviceIdentity("hip", "AMD Instinct MI300X")
SOURCE = Source(product=Contraction(1, 1, 1, 1, "float32"))


def result(rate, *more, name="mm"):
    """A result with a bout at each of the rates given."""
    candidate = Candidate(name, "torch", "flops", 1, lambda: lambda: None)
    return Result(candidate, confirmed=[Samples((1 / r,)) for r in (rate, *more)])


def extended(profile, **winners):
    groups = {group.replace("__", " "): found for group, found in winners.items()}
    questions = Questions(sources={r.candidate.label: SOURCE for r in groups.values()})
    return extend(profile, Outcome(groups, {}), questions, 0.5, "2026-01-01")


def peak(rate):
    return Peak(rate, Provenance("measured", "old"))


def test_a_first_profile_has_every_roof():
    profile = extended(
        Profile(Capacity(CPU)),
        flops__float32=result(10.0, 12.0, 11.0),
        bytes__copy__4096=result(5.0),
        bytes__copy__256=result(6.0),
        vector=result(3.0),
        special=result(2.0),
        floor=result(4.0),
    )
    capacity = profile.capacity
    roof = capacity.flops_per_s["float32"]
    assert roof.rate == pytest.approx(12.0)
    assert roof.provenance.samples == pytest.approx((10.0, 12.0, 11.0))
    assert roof.provenance.regime == "burst"
    assert roof.provenance.source == "measured"
    assert roof.provenance.detail.startswith("torch mm; 3 bouts")
    assert [p.footprint_bytes for p in capacity.bandwidth["copy"]] == [256, 4096]
    assert capacity.special.rate == pytest.approx(2.0)
    assert capacity.floor_seconds == pytest.approx(0.25)
    assert capacity.measured_at == "2026-01-01"
    assert profile.winners == {"float32": SOURCE}


def test_roofs_only_rise():
    point = BandwidthPoint(256, peak(5.0))
    capacity = Capacity(
        CPU, {"float32": peak(10.0)}, special=peak(2.0), bandwidth={"copy": (point,)}
    )
    before = Profile(capacity)
    lower = extended(
        before, flops__float32=result(9.0), special=result(1.0), bytes__copy__256=result(4.0)
    ).capacity
    assert lower.flops_per_s["float32"].rate == 10.0
    assert lower.special.rate == 2.0
    assert lower.bandwidth["copy"][0].peak.rate == 5.0
    upper = extended(
        before, flops__float32=result(11.0), special=result(3.0), bytes__copy__256=result(6.0)
    ).capacity
    assert upper.flops_per_s["float32"].rate == pytest.approx(11.0)
    assert upper.special.rate == pytest.approx(3.0)
    assert upper.bandwidth["copy"][0].peak.rate == pytest.approx(6.0)


def test_higher_of_what_there_is():
    assert higher(None, None) is None
    assert higher(peak(1.0), None) == higher(None, peak(1.0)) == peak(1.0)
    assert higher(peak(1.0), peak(2.0)) == peak(2.0)


@pytest.mark.parametrize(("device", "vector"), [(CPU, 10.0), (H200, 10.0), (MI300X, 3.0)])
def test_float32_products_are_vector_work_but_not_on_amd(device, vector):
    profile = extended(Profile(Capacity(device)), flops__float32=result(10.0), vector=result(3.0))
    assert profile.capacity.vector.rate == pytest.approx(vector)


def test_a_rate_that_the_device_cannot_reach_is_no_roof():
    ceiling = 132 * 4096 * 1980e6
    possible = extended(Profile(Capacity(H200)), flops__bfloat16=result(1.02 * ceiling))
    assert "bfloat16" in possible.capacity.flops_per_s
    assert possible.capacity.warnings == ()
    profile = extended(Profile(Capacity(H200)), flops__bfloat16=result(1.04 * ceiling))
    assert profile.capacity.flops_per_s == {}
    assert profile.winners == {}
    assert "1.11 PFLOP/s" in profile.capacity.warnings[0]


def test_unsteady_bouts_are_a_warning_with_the_worst():
    profile = extended(
        Profile(Capacity(CPU)),
        flops__float32=result(10.0, 15.0),
        special=result(2.0, 2.3),
        floor=result(4.0, 4.1),
    )
    (warning,) = profile.capacity.warnings
    assert warning.startswith("contended: the bouts of 2 of 2 roofs")
    assert "most: float32 products, 50 %" in warning
