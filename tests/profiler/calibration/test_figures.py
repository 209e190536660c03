"""From bouts to a measurement: its rate, its checks, what it was of."""

from dataclasses import replace

import pytest

from goodput.calibration import figures
from goodput.calibration.figures import SUSTAINED, Circumstances, ceiling_of, measurement
from goodput.calibration.plan import Figure
from goodput.calibration.questions import Source
from goodput.calibration.ways import Target
from goodput.capacity.datasheet import full_row_of, row_of
from goodput.capacity.measurement import Check
from goodput.capacity.profile import Capacity
from goodput.device import DeviceIdentity
from goodput.frontends.nvidia_clocks import Reading
from goodput.measure.bouts import Result
from goodput.measure.samples import Samples
from goodput.work import Contraction
from goodput_kernels.candidate import Candidate
from goodput_kernels.convolution import Convolution

CPU = Circumstances(Target("cpu", "cpu", 2, 1 << 20), "Some CPU", 0.1, 2, "2026-01-01")
H200 = Circumstances(Target("cuda", "cuda", 1, 50 << 20), "NVIDIA H200", 0.5, 1, "2026-01-01")
CEILING = full_row_of("NVIDIA H200").ceiling_flops_per_s("bfloat16")
MATMUL = Figure("matmul", "bfloat16", "FLOP")


def result(*bouts, amount=1.0):
    """A result with bouts of the rates given, each of which ran for a second."""
    candidate = Candidate("mm 8x8x8", "torch", "flops", amount, lambda: None)
    found = Result(candidate, confirmed=[Samples(tuple(amount / r for r in b)) for b in bouts])
    for number, _ in enumerate(bouts):
        found.ran(10.0 * number, 10.0 * number + 1, None)
    return found


def reading(moment, bits=0, clock=1.5e9):
    return Reading(moment, clock, 1.98e9, 600.0, 700.0, 50.0, bits, "580.1")


def checks(found):
    return {check.name: check for check in found.checks}


def test_the_rate_is_that_of_the_best_bout_at_the_share_of_the_device():
    found = measurement(MATMUL, result([10.0] * 3, [10.1] * 3), H200)
    assert found.rate == pytest.approx(10.1)
    assert found.status == "ok"
    assert found.bouts == (pytest.approx((10.0,) * 3), pytest.approx((10.1,) * 3))
    assert found.spread == pytest.approx(0.1 / 10.05)
    assert found.kernel == "torch mm 8x8x8"
    assert (found.unit, found.subject, found.quantity) == ("matmul", "bfloat16", "FLOP")
    assert found.regime == "burst"
    assert found.measured_at == "2026-01-01"
    assert found.detail.endswith("2 bouts of 3 trains, 50th percentile")
    fast = measurement(MATMUL, result([1.0, 1.0, 2.0], [1.0, 1.0, 2.0]), CPU)
    assert fast.rate > 1.5  # a CPU's tenth percentile of times, not the median


def test_one_bout_is_noisy_whatever_it_looks_like():
    found = measurement(MATMUL, result([10.0, 10.0, 10.0]), H200)
    assert found.status == "noisy"
    assert not checks(found)["bouts"].passed
    assert "alone" not in checks(found)


def test_a_sustained_rate_is_one_bout_of_windows():
    found = measurement(MATMUL, result([10.0, 10.1, 9.9]), CPU, regime=SUSTAINED)
    assert found.rate == pytest.approx(10.0)
    assert found.status == "ok"
    assert found.spread > 0
    assert found.regime == "sustained"


def test_latency_has_no_regime():
    assert measurement(Figure("latency", "x", "calls"), result([1.0], [1.0]), CPU).regime == ""


@pytest.mark.parametrize(("factor", "passed"), [(1.02, True), (1.04, False)])
def test_a_rate_above_the_ceiling_is_seen(factor, passed):
    rates = [[factor * CEILING] * 3] * 3
    found = measurement(MATMUL, result(*rates), H200)
    assert checks(found)["ceiling"].passed is passed
    assert found.valid is passed
    assert "ceiling" not in checks(measurement(MATMUL, result(*rates), CPU))


def test_only_main_memory_is_held_against_the_pins():
    row = full_row_of("NVIDIA H200")
    large = 5 * row.last_level_cache_bytes
    assert ceiling_of(Figure("memory", "copy", "B", large), H200) == row.bytes_per_s
    assert ceiling_of(Figure("memory", "copy", "B", 1 << 18), H200) is None
    assert ceiling_of(Figure("special", "x", "calls"), H200) is None
    subject = Figure("matmul", "bfloat16 batched", "FLOP")
    assert ceiling_of(subject, H200) == ceiling_of(MATMUL, H200) == CEILING
    assert ceiling_of(MATMUL, H200, 2.5e9) == CEILING


def test_a_card_with_a_boost_clock_only_has_the_ceiling_of_its_driver_s_highest_clock():
    card = replace(H200, name="NVIDIA GeForce RTX 4090")
    assert ceiling_of(MATMUL, card) is None
    row = full_row_of(card.name)
    assert (
        ceiling_of(MATMUL, card, 3105e6)
        == 128
        * max(
            row.flops_per_clock["bfloat16"],
            row.float16_accumulate.flops_per_clock.get("bfloat16", 0),
        )
        * 3105e6
    )


@pytest.mark.parametrize(("taken", "status"), [(0.1, "ok"), (1.0, "contended"), (None, "ok")])
def test_what_others_had_of_a_cpu_decides(taken, status):
    contended = result([10.0] * 3, [10.0] * 3)
    contended.taken = taken
    found = measurement(MATMUL, contended, CPU)
    assert found.status == status
    assert ("contention" in checks(found)) is (taken is not None)
    assert measurement(MATMUL, contended, H200).status == "ok"


def test_clocks_are_those_of_the_figure_s_own_bouts():
    hot = (reading(0.5), reading(5.0, bits=64, clock=1e9), reading(10.5, clock=1.7e9))
    found = measurement(MATMUL, result([10.0] * 3, [10.0] * 3), H200, readings=hot)
    assert found.status == "ok"
    assert found.clock_hz == pytest.approx(1.6e9)
    assert checks(found)["clocks"].passed
    inside = (*hot, reading(10.7, bits=64))
    found = measurement(MATMUL, result([10.0] * 3, [10.0] * 3), H200, readings=inside)
    assert found.status == "throttled"
    outside = measurement(MATMUL, result([10.0] * 3, [10.0] * 3), H200, readings=hot[1:2])
    assert outside.clock_hz is None
    assert "clocks" not in checks(outside)


def test_checks_from_elsewhere_come_first():
    wrong = Check("correct", passed=False, value=1.0, detail="")
    found = measurement(MATMUL, result([1.0], [1.0]), CPU, extra=(wrong,))
    assert found.checks[0] == wrong
    assert not found.valid


def test_the_shape_is_that_of_the_problem():
    def shape(source):
        return measurement(MATMUL, result([1.0]), CPU, source).shape

    convolution = Convolution("float32", (2, 4, 8, 8), (4, 4, 3, 3), (1, 1), (1, 1), (1, 1))
    assert shape(None) == ()
    assert shape(Source(product=Contraction(1, 2, 3, 4, "float32"))) == (2, 3, 4)
    assert shape(Source(product=Contraction(5, 2, 3, 4, "float32"))) == (5, 2, 3, 4)
    assert shape(Source(convolution=convolution)) == (2, 4, 8, 8)


def test_what_nothing_gives_has_a_reason_and_no_rate():
    found = figures.unsupported(MATMUL, "no kernel", CPU)
    assert (found.rate, found.status, found.detail) == (None, "unsupported", "no kernel")
    assert not found.valid


def test_a_scaled_rate_is_the_datasheet_s_times_a_share():
    sheet = row_of("NVIDIA H200")
    capacity = Capacity(DeviceIdentity("cuda", "NVIDIA H200"), datasheet=sheet)
    found = figures.scaled("int8", capacity, 0.8, H200)
    assert found.rate == pytest.approx(0.8 * sheet.flops_per_s["int8"])
    assert found.status == "scaled"
    assert "0.80 of the datasheet" in found.detail
