"""What becomes a roof, what stays from before, and what the table says of the rest."""

import pytest

from goodput.calibration.cache import Profile
from goodput.calibration.figures import Circumstances
from goodput.calibration.laying import Found, lay_down, peaks_of
from goodput.calibration.plan import Figure, Plan
from goodput.calibration.questions import Questions, Source
from goodput.calibration.ways import Target
from goodput.capacity.datasheet import full_row_of
from goodput.capacity.measurement import Check, Measurement, Peaks
from goodput.capacity.profile import BandwidthPoint, Capacity, Peak, Provenance, ShapePeak
from goodput.device import DeviceIdentity
from goodput.measure.bouts import Outcome, Result
from goodput.measure.samples import Samples
from goodput.work import Contraction
from goodput_kernels.candidate import Candidate

CPU = DeviceIdentity("cpu", "Some CPU, 2 cores", 2)
H200 = DeviceIdentity("cuda", "NVIDIA H200", 132)
SOURCE = Source(product=Contraction(1, 8, 8, 8, "float32"))
OLDER = Source(product=Contraction(1, 16, 16, 16, "float32"))
FIGURES = {
    "flops float32": Figure("matmul", "float32", "FLOP"),
    "flops bfloat16": Figure("matmul", "bfloat16", "FLOP"),
    "bytes copy 256": Figure("memory", "copy", "B", 256),
    "bytes copy 4096": Figure("memory", "copy", "B", 4096),
    "vector": Figure("vector", "float32 multiply-add", "FLOP"),
    "threads float32 on 1 thread": Figure("matmul", "float32 on 1 thread", "FLOP"),
    "shape bfloat16 1 rows": Figure("matmul", "bfloat16 1 rows", "FLOP"),
    "special": Figure("special", "any", "calls"),
    "floor": Figure("latency", "shortest operator", "calls"),
}
SOFTWARE = {"torch": "2.13"}
WRONG = Check("correct", passed=False, value=0.5, detail="relative error")


def result(*rates, name="mm", taken=0.0):
    """A winner with a calm bout at each rate; others had the share `taken` of the cores."""
    candidate = Candidate(name, "torch", "flops", 1, lambda: None)
    found = Result(candidate, confirmed=[Samples((1 / r,) * 3) for r in rates])
    found.ran(0.0, 1.0, taken)
    return found


def calm(rate, name="mm"):
    return result(rate, rate, rate, name=name)


def contended(rate, name="mm"):
    return result(rate, rate, rate, name=name, taken=0.5)


def found(winners, device=CPU, **rest):
    """What a measurement found; the groups are those of the winners unless a plan is given."""
    on_cpu = device.kind == "cpu"
    target = Target("cpu" if on_cpu else "cuda", device.kind, 1, 1 << 20)
    around = Circumstances(target, device.name, 0.5, 1, "2026-02-02")
    figures = {group: FIGURES[group] for group in [*winners, *rest.pop("asked", ())]}
    sources = {r.candidate.label: SOURCE for r in winners.values()}
    questions = Questions({group: [] for group in figures}, sources)
    plan = rest.pop("plan", Plan(questions, figures, ("float32",)))
    outcome = Outcome(winners, rest.pop("unable", {}))
    return Found("quick", device, plan, outcome, around, **rest)


def old_peak(rate, detail="old"):
    return Peak(rate, Provenance("measured", detail, "", "burst", (rate,), "2026-01-01"))


def known(**rest):
    capacity = Capacity(
        rest.pop("device", CPU),
        {"float32": old_peak(100.0)},
        {"float32": old_peak(90.0)},
        vector=old_peak(100.0),
        special=old_peak(10.0),
        bandwidth={
            "copy": (BandwidthPoint(256, old_peak(50.0)), BandwidthPoint(1024, old_peak(40.0))),
            "read": (BandwidthPoint(256, old_peak(60.0)),),
        },
        floor_seconds=0.5,
        warnings=("contended: from before",),
        shapes=rest.pop("shapes", ()),
    )
    return Profile(capacity, winners={"float32": OLDER}, **rest)


def laid(winners, before=None, **rest):
    return lay_down(found(winners, **rest), before, SOFTWARE, 7.0)


def test_a_first_measurement_is_the_profile():
    profile = laid(
        {
            "flops float32": calm(10.0),
            "bytes copy 256": calm(5.0, "copy"),
            "special": calm(2.0, "exp"),
            "floor": calm(4.0, "zero"),
        },
        sustained={"float32": calm(8.0)},
    )
    capacity = profile.capacity
    assert capacity.flops_per_s["float32"].rate == pytest.approx(10.0)
    assert capacity.sustained_flops_per_s["float32"].rate == pytest.approx(8.0)
    assert capacity.sustained_flops_per_s["float32"].provenance.regime == "sustained"
    assert capacity.vector.rate == pytest.approx(10.0)
    assert capacity.floor_seconds == pytest.approx(0.25)
    assert capacity.software == SOFTWARE
    assert capacity.warnings == ()
    assert profile.checked_at == 7.0
    assert profile.winners == {"float32": SOURCE}


@pytest.mark.parametrize(
    ("now", "rate", "source"),
    [
        (calm(80.0), 80.0, SOURCE),  # it is measured well, so it is the truth of now
        (calm(120.0), 120.0, SOURCE),
        (contended(80.0), 100.0, OLDER),
        (result(80.0), 100.0, OLDER),  # a single bout
        (contended(120.0), 120.0, SOURCE),  # a rate that was reached is a rate that can be
    ],
)
def test_a_worse_figure_never_replaces_a_better_one_from_before(now, rate, source):
    profile = laid({"flops float32": now}, known())
    assert profile.capacity.flops_per_s["float32"].rate == pytest.approx(rate)
    assert profile.winners == {"float32": source}
    assert profile.capacity.vector.rate == pytest.approx(rate)  # it was a product's, and still is


def test_the_other_roofs_are_kept_by_the_same_rule():
    names = {"vector": "fma", "special": "exp", "floor": "zero", "bytes copy 256": "copy"}
    bad = {group: contended(1.0, name) for group, name in names.items()}
    capacity = laid(bad, known(), sustained={"float32": contended(1.0)}, asked=FIGURES).capacity
    assert capacity.vector.rate == 100.0
    assert capacity.special.rate == 10.0
    assert capacity.floor_seconds == 0.5
    assert [p.peak.rate for p in capacity.bandwidth["copy"]] == [50.0, 40.0]
    assert capacity.sustained_flops_per_s["float32"].rate == 90.0
    good = {group: calm(1.5, name) for group, name in names.items()}
    good["flops float32"] = calm(1.0)
    capacity = laid(good, known(), sustained={"float32": calm(1.0)}).capacity
    assert capacity.vector.rate == pytest.approx(1.5)
    assert capacity.special.rate == pytest.approx(1.5)
    assert capacity.floor_seconds == pytest.approx(1 / 1.5)
    assert [p.peak.rate for p in capacity.bandwidth["copy"]] == pytest.approx([1.5, 40.0])
    assert capacity.sustained_flops_per_s["float32"].rate == pytest.approx(1.0)


def test_what_was_not_measured_stays():
    capacity = laid({"flops bfloat16": calm(7.0)}, known()).capacity
    assert set(capacity.flops_per_s) == {"float32", "bfloat16"}
    assert set(capacity.bandwidth) == {"copy", "read"}
    assert (capacity.special.rate, capacity.floor_seconds) == (10.0, 0.5)
    assert capacity.warnings == ()


def test_rates_at_own_shapes_stay_below_the_roof():
    def shape(rate):
        return ShapePeak(old_peak(rate), product=SOURCE.product)

    before = known(shapes=(shape(99.0), shape(70.0)))
    assert laid({"flops float32": calm(80.0)}, before).capacity.shapes == (shape(70.0),)


def test_a_wrong_kernel_makes_no_roof():
    now = found({"flops float32": calm(1e9)}, verified={"torch mm": (WRONG,)})
    assert lay_down(now, None, SOFTWARE, 0.0).capacity.flops_per_s == {}
    assert lay_down(now, known(), SOFTWARE, 0.0).capacity.flops_per_s["float32"].rate == 100.0
    peaks = peaks_of(now, Capacity(CPU), None)
    (row,) = peaks.measurements
    assert not row.valid
    assert peaks.warnings == ("torch mm is no roof: correct 0.5: relative error",)


def test_a_kernel_above_the_ceiling_makes_no_roof():
    ceiling = full_row_of(H200.name).ceiling_flops_per_s("bfloat16")
    high, low = {"flops bfloat16": calm(1.04 * ceiling)}, {"flops bfloat16": calm(1.02 * ceiling)}
    assert laid(high, device=H200).capacity.flops_per_s == {}
    assert set(laid(low, device=H200).capacity.flops_per_s) == {"bfloat16"}
    warnings = peaks_of(found(high, H200), Capacity(H200), None).warnings
    assert warnings[0].startswith("torch mm is no roof: ceiling 1.04: share of 1.07 PFLOP/s")


def test_a_faster_float32_product_is_the_vector_figure_too_but_not_on_amd():
    winners = {"flops float32": calm(10.0), "vector": calm(3.0, "fma")}
    for device, kernel in [(CPU, "torch mm"), (DeviceIdentity("hip", "AMD X"), "torch fma")]:
        peaks = peaks_of(found(winners, device), Capacity(device), None)
        (vector,) = [m for m in peaks.measurements if m.unit == "vector"]
        assert vector.kernel == kernel
        assert laid(winners, device=device).capacity.vector.provenance.detail.startswith(kernel)


def test_a_faster_product_on_fewer_threads_is_the_roof_of_its_mode():
    winners = {
        "flops float32": calm(10.0),
        "threads float32 on 1 thread": calm(12.0, "mm on 1 thread"),
        "shape bfloat16 1 rows": calm(99.0, "rows"),
    }
    now = found(winners)
    assert lay_down(now, None, SOFTWARE, 0.0).capacity.flops_per_s.keys() == {"float32"}
    rates = {m.subject: m.rate for m in peaks_of(now, Capacity(CPU), None).measurements}
    assert rates["float32"] == rates["float32 on 1 thread"] == pytest.approx(12.0)


def test_a_kept_roof_is_told_with_its_date():
    now = found({"flops float32": contended(80.0)})
    profile = lay_down(now, known(), SOFTWARE, 0.0)
    warnings = peaks_of(now, profile.capacity, known()).warnings
    assert warnings[0] == (
        "the float32 roof is still that of 2026-01-01, 100 FLOP/s: this time it was contended, "
        "and lower"
    )
    calm_now = found({"flops float32": calm(80.0)})
    profile = lay_down(calm_now, known(), SOFTWARE, 0.0)
    assert peaks_of(calm_now, profile.capacity, known()).warnings == ()


def test_the_bouts_that_differ_are_told_once_and_only_of_roofs_in_use():
    before = laid({"flops float32": result(100.0, 50.0, 100.0)})
    assert before.capacity.warnings[0].startswith("contended: the bouts of 1 of 1 roofs differ")
    assert laid({"flops float32": calm(60.0)}, before).capacity.warnings == ()
    again = laid({"flops float32": result(20.0, 10.0, 20.0)}, before).capacity.warnings
    assert again == before.capacity.warnings


def earlier(*measurements):
    return known(peaks=Peaks(CPU, Capacity(CPU), "full", measurements))


def figure(unit, subject, rate, status="ok", **rest):
    rest.setdefault("kernel", "torch something")
    return Measurement(
        unit, subject, "burst", rate, "FLOP", status, measured_at="2026-01-01", **rest
    )


def test_figures_that_a_level_leaves_out_stay_and_are_no_new_ones():
    before = earlier(
        figure("matmul", "float32", 90.0),
        figure("attention", "forward", 30.0, detail="3 bouts"),
        figure("matmul", "tf32", 40.0),
        figure("convolution", "x", None, "unsupported"),
        figure("matmul", "int8", 5.0, "scaled", kernel=""),  # a share of the datasheet
    )
    now = found({"flops float32": calm(80.0)})
    now.plan.unsupported["tf32"] = "no tf32 here"
    once = peaks_of(now, Capacity(CPU), before)
    rows = {(m.unit, m.subject): m for m in once.measurements}
    assert set(rows) == {("matmul", "float32"), ("attention", "forward"), ("matmul", "tf32")}
    assert rows["matmul", "float32"].rate == pytest.approx(80.0)
    assert rows["attention", "forward"].status == "scaled"
    assert rows["attention", "forward"].detail == (
        "not measured this time, but 2026-01-01; 3 bouts"
    )
    assert rows["matmul", "tf32"].status == "unsupported"
    twice = peaks_of(now, Capacity(CPU), known(peaks=once))
    assert twice.measurements == once.measurements


def test_what_could_not_be_had_is_a_row_with_its_reason():
    rival = Candidate("mm", "torch", "flops", 1, lambda: None)
    plan = Plan(
        Questions({"flops float32": [rival], "special": []}),
        {group: FIGURES[group] for group in ("flops float32", "special")},
        ("float32", "tf32"),
        {"tf32": "no library"},
    )
    now = found({}, plan=plan, unable={"torch mm": "no units"})
    rows = {m.subject: m for m in peaks_of(now, Capacity(CPU), None).measurements}
    assert {m.status for m in rows.values()} == {"unsupported"}
    assert rows["tf32"].detail == "no library"
    assert rows["float32"].detail == "no units"
    assert "free memory" in rows["any"].detail


def test_an_interrupted_measurement_is_marked_and_lacks_rows_without_a_reason():
    now = found({"flops float32": calm(5.0)}, asked=["special"], partial="interrupted after 3 s")
    peaks = peaks_of(now, Capacity(CPU), None)
    assert peaks.partial == "interrupted after 3 s"
    assert [m.subject for m in peaks.measurements] == ["float32"]


def test_other_modes_of_the_datasheet_are_scaled_and_no_roofs():
    sheet = full_row_of(H200.name).flops_per_s
    now = found({"flops bfloat16": calm(0.8 * sheet["bfloat16"])}, H200)
    profile = lay_down(now, None, SOFTWARE, 0.0)
    peaks = peaks_of(now, profile.capacity, None)
    scaled = {m.subject: m.rate for m in peaks.measurements if m.status == "scaled"}
    assert scaled["float16"] == pytest.approx(0.8 * sheet["float16"])
    assert "bfloat16" not in scaled
    assert set(profile.capacity.flops_per_s) == {"bfloat16"}
    assert peaks.ceilings["bfloat16"] > sheet["bfloat16"]


def test_collectives_stand_among_the_figures():
    own = figure("collective", "all_reduce", 5.0)
    peaks = peaks_of(found({"special": calm(1.0)}, collectives=(own,)), Capacity(CPU), None)
    assert own in peaks.measurements
