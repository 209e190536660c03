"""Measuring the whole device: on a clock that only the kernels move, and once on this CPU."""

import functools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, nullcontext

import pytest

from goodput.calibration import cache, device, peak, roofs
from goodput.calibration.device import software_versions
from goodput.calibration.peak import measure_peaks
from goodput.calibration.plan import Figure, Plan
from goodput.calibration.questions import Questions, Source
from goodput.calibration.roofs import Needs, capacity_of
from goodput.calibration.sizes import CALL_SECONDS
from goodput.device import DeviceIdentity
from goodput.errors import NotMeasuredError, UsageError
from goodput.measure.bouts import Bench, Protocol
from goodput.measure.clock import HostStopwatch
from goodput.work import Contraction
from goodput_kernels.candidate import Candidate, Verification

torch = pytest.importorskip("torch", reason="peaks are measured through torch")

DEVICE = DeviceIdentity("cpu", "Even CPU, 1 core", 1, 1 << 30, 1 << 16)
SOURCE = Source(product=Contraction(1, 16, 16, 16, "float32"))
RIGHT, WRONG = Verification(0.0, 1e-3, "rows"), Verification(0.5, 1e-3, "rows")
FLOAT32, COPY = Figure("matmul", "float32", "FLOP"), Figure("memory", "copy", "B", 4096)


class Machine:
    """A clock that only kernels and sleeping move, and a stopwatch on it."""

    def __init__(self):
        self.time = 0.0
        self.groups = {}

    def now(self):
        return self.time

    def sleep(self, seconds):
        self.time += seconds

    def date(self):
        return "2026-02-02T00:00:00+00:00"

    def cpu_seconds(self):
        return 0.0

    def kernel(self, name, seconds, found=RIGHT, unit="flops", amount=1000):
        """A candidate that takes `seconds` a call, or raises them."""

        def call():
            if isinstance(seconds, Exception):
                raise seconds
            self.time += seconds

        return Candidate(name, "fake", unit, amount, lambda: call, verify=lambda: found)

    def plan(self, *_):
        """Its groups as the plan, each a figure with the same source."""
        figures = {"flops float32": FLOAT32, "bytes copy 4096": COPY}
        labels = [c.label for rivals in self.groups.values() for c in rivals]
        questions = Questions(dict(self.groups), dict.fromkeys(labels, SOURCE))
        return Plan(questions, {group: figures[group] for group in self.groups}, ("float32",))


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """A fake machine with two groups of kernels, and an empty cache."""
    fake = Machine()

    @contextmanager
    def open_bench(_target, _clock, _seconds, progress):
        protocol = Protocol(train_seconds=0.0, bout_seconds=0.0)
        yield Bench(fake, HostStopwatch(fake), protocol, progress=progress or (lambda _: None))

    fake.groups = {
        "flops float32": [fake.kernel("mm", 0.5), fake.kernel("linear", 0.25)],
        "bytes copy 4096": [fake.kernel("copy", 0.5, unit="bytes")],
    }
    monkeypatch.setattr(peak, "best_device", lambda: (DEVICE, "torch"))
    monkeypatch.setattr(peak, "open_bench", open_bench)
    monkeypatch.setattr(peak, "other_frameworks", lambda _: nullcontext())
    monkeypatch.setattr(peak, "plan_of", fake.plan)
    monkeypatch.setenv("GOODPUT_CACHE", str(tmp_path / "cache"))
    return fake


def place():
    return cache.path_of(DEVICE, software_versions(), cache.directory())


def stored():
    return cache.read(place())


def rows(peaks):
    return {(m.unit, m.subject): m for m in peaks.measurements}


@pytest.mark.usefixtures("machine")
def test_what_is_found_is_told_and_kept():
    said = []
    peaks = measure_peaks("quick", progress=said.append)
    float32 = rows(peaks)["matmul", "float32"]
    assert float32.rate == pytest.approx(1000 / 0.25)
    assert float32.status == "ok"
    assert float32.kernel == "fake linear"
    assert float32.shape == (16, 16, 16)
    assert float32.checks[0].name == "correct"
    assert peaks.capacity.flops_per_s["float32"].rate == float32.rate
    assert peaks.level == "quick"
    assert peaks.partial == ""
    assert peaks.surroundings.backends == ("fake",)
    assert peaks.warnings == ()
    assert any(text.startswith("verifying") for text in said)
    profile = stored()
    assert profile.peaks == peaks
    assert profile.capacity == peaks.capacity
    assert profile.winners == {"float32": SOURCE}


@pytest.mark.usefixtures("machine")
def test_higher_levels_sustain():
    found = measure_peaks("standard")
    (sustained,) = [m for m in found.measurements if m.regime == "sustained"]
    assert sustained.rate == pytest.approx(1000 / 0.25)
    assert found.capacity.sustained_flops_per_s["float32"].rate == sustained.rate


def at(word, action):
    """Progress that acts once, when it is told what begins with `word`."""
    done = []

    def progress(text):
        if text.startswith(word) and not done:
            done.append(text)
            action()

    return progress


def interrupt():
    raise KeyboardInterrupt


def terminate():
    os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.parametrize("stop", [interrupt, terminate])
@pytest.mark.usefixtures("machine")
def test_a_stop_in_the_second_confirming_round_keeps_what_is_there(stop):
    before = signal.getsignal(signal.SIGTERM)
    peaks = measure_peaks("quick", progress=at("round 4", stop))
    assert peaks.partial.startswith("interrupted after")
    assert rows(peaks)["matmul", "float32"].rate == pytest.approx(1000 / 0.25)
    assert rows(peaks)["matmul", "float32"].status == "ok"
    assert stored().peaks.partial == peaks.partial
    assert signal.getsignal(signal.SIGTERM) == before


@pytest.mark.usefixtures("machine")
def test_a_stop_while_verifying_keeps_what_is_there():
    peaks = measure_peaks("quick", progress=at("verifying", interrupt))
    assert peaks.partial
    assert set(peaks.capacity.flops_per_s) == {"float32"}


@pytest.mark.usefixtures("machine")
def test_a_stop_before_anything_is_known_keeps_what_was_known():
    first = measure_peaks("quick")
    with pytest.raises(NotMeasuredError, match="nothing was measured: interrupted after"):
        measure_peaks("quick", progress=at("round 1", interrupt))
    assert stored().peaks == first


@pytest.mark.usefixtures("machine")
def test_a_partial_measurement_is_no_answer_for_others_and_the_next_is_whole():
    measure_peaks("quick", progress=at("round 4", interrupt))
    assert measure_peaks("quick").partial == ""
    assert stored().peaks.partial == ""


@pytest.mark.usefixtures("machine")
def test_what_a_killed_measurement_leaves_behind_is_marked():
    left = []
    measure_peaks("quick", progress=at("round 4", lambda: left.append(stored())))
    (profile,) = left
    assert profile.peaks.partial.startswith("killed after")
    assert profile.capacity.flops_per_s["float32"].rate == pytest.approx(1000 / 0.25)
    assert stored().peaks.partial == ""


@pytest.mark.usefixtures("machine")
def test_a_damaged_profile_is_measured_again_and_said():
    measure_peaks("quick")
    path = place()
    path.write_bytes(b"{")
    (warning,) = measure_peaks("quick").warnings
    assert "is damaged" in warning
    assert "measured again" in warning
    assert stored().capacity.flops_per_s["float32"].rate == pytest.approx(4000)


@pytest.mark.usefixtures("machine")
def test_a_cache_that_cannot_be_written_is_told(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("GOODPUT_CACHE", str(tmp_path / "file" / "folder"))
    peaks = measure_peaks("quick")
    assert rows(peaks)["matmul", "float32"].rate == pytest.approx(4000)
    (warning,) = peaks.warnings
    assert "could not be kept" in warning


@pytest.mark.usefixtures("machine")
def test_of_two_at_once_the_second_waits_and_takes_the_first_one_s():
    """A thread holds the host's lock, as another process would, and measures."""
    folder = cache.directory()
    waiting, holding = threading.Event(), threading.Event()
    found = []

    def first():
        with cache.host_lock(folder, peak.HostClock(), 0.0):
            holding.set()
            waiting.wait(30)
            software, keep = software_versions(), functools.partial(cache.write, place())
            job = peak._Job(
                "quick", DEVICE, "torch", software, peak.HostClock(), print, 0.0, None, keep
            )
            profile, peaks = job.run(())
            keep(profile)
            found.append(peaks)

    thread = threading.Thread(target=first)
    thread.start()
    assert holding.wait(30)
    second = measure_peaks("quick", progress=lambda _: waiting.set())
    thread.join()
    assert second == found[0]


@pytest.mark.usefixtures("machine")
def test_what_another_measured_of_another_kind_does_not_do():
    measure_peaks("quick")
    profile, past, future = stored(), 0.0, time.time() + 60
    assert peak._measured_since(profile, past, "quick", ()) == profile.peaks
    assert peak._measured_since(profile, past, "quick", ("float32",)) == profile.peaks
    assert peak._measured_since(profile, past, "quick", ("int8",)) is None
    assert peak._measured_since(profile, past, "full", ()) is None
    assert peak._measured_since(profile, future, "quick", ()) is None
    assert peak._measured_since(None, past, "quick", ()) is None


def test_a_wrong_kernel_leaves_its_place_to_the_next_best(machine):
    machine.groups["flops float32"].append(machine.kernel("wrong", 0.1, WRONG))
    peaks = measure_peaks("quick")
    assert rows(peaks)["matmul", "float32"].kernel == "fake linear"
    assert rows(peaks)["memory", "copy"].rate == pytest.approx(2000)
    assert peaks.warnings[0].startswith("fake wrong is no roof: correct 0.5")


def test_without_memory_smaller_ones_stand_in_and_it_is_said(machine):
    machine.groups["flops float32"] += [
        machine.kernel("huge", MemoryError()),
        machine.kernel("large", RuntimeError("CUDA out of memory. Tried to allocate 9 GiB")),
        machine.kernel("absent", RuntimeError("not implemented for 'Half'")),
    ]
    peaks = measure_peaks("quick")
    assert rows(peaks)["matmul", "float32"].kernel == "fake linear"
    assert peaks.warnings == ("2 kernels ran out of memory, and smaller ones stand in for them",)


def test_a_group_that_nothing_runs_in_is_a_row_with_the_reason(machine):
    machine.groups["flops float32"] = [machine.kernel("mm", RuntimeError("no units\nstack"))]
    row = rows(measure_peaks("quick"))["matmul", "float32"]
    assert (row.rate, row.status, row.detail) == (None, "unsupported", "no units")


def test_where_nothing_runs_at_all_the_first_reason_is_told(machine):
    machine.groups = {"flops float32": [machine.kernel("mm", RuntimeError("no units"))]}
    with pytest.raises(NotMeasuredError, match=r"nothing could be measured on Even CPU.*no units"):
        measure_peaks("quick")
    assert stored() is None


def test_a_worse_measurement_leaves_the_roof_of_before(machine):
    measure_peaks("quick")
    times = iter([0.5, 5.0] * 100)
    slow = machine.kernel("linear", 1.0)

    def prepare():
        seconds = next(times)

        def call():
            machine.time += seconds

        return call

    machine.groups["flops float32"] = [
        Candidate("linear", "fake", "flops", 1000, prepare, verify=slow.verify)
    ]
    peaks = measure_peaks("quick")
    assert rows(peaks)["matmul", "float32"].status == "contended"
    assert peaks.capacity.flops_per_s["float32"].rate == pytest.approx(4000)
    assert "the float32 roof is still that of" in peaks.warnings[0]


def test_without_a_framework_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setattr(device, "find_spec", lambda _: None)
    with pytest.raises(NotMeasuredError, match=r"pip install 'goodput-profiler\[torch\]'") as found:
        measure_peaks("quick")
    assert found.value.exit_code == 3
    assert "\n" not in str(found.value)


@pytest.mark.parametrize(
    ("level", "dtypes", "word"),
    [("slow", (), "no level 'slow'"), ("quick", ("float32", "float5"), "no dtype 'float5'")],
)
def test_unknown_names_are_usage_errors_that_list_the_known(level, dtypes, word):
    with pytest.raises(UsageError, match=word) as found:
        measure_peaks(level, dtypes)
    assert found.value.exit_code == 2
    assert "quick" in str(found.value) or "bfloat16" in str(found.value)


@pytest.fixture
def even(monkeypatch, tmp_path):
    """The real plan, on a machine on which every call takes a thousandth of a second."""
    machine = Machine()

    class EvenStopwatch:
        def seconds(self, train):
            return 1e-3 * len(train)

    @contextmanager
    def open_bench(_target, _clock, _seconds, progress):
        protocol = Protocol(bout_seconds=0.0)
        yield Bench(machine, EvenStopwatch(), protocol, progress=progress or (lambda _: None))

    def rates(mode, *_, **__):
        return {} if mode == "tf32" else {"any": 2 * 64**3 / CALL_SECONDS}

    for module in (peak, roofs):
        monkeypatch.setattr(module, "open_bench", open_bench)
        monkeypatch.setattr(module, "rates_of", rates)
    monkeypatch.setattr(peak, "best_device", lambda: (DEVICE, "torch"))
    monkeypatch.setattr(peak, "other_frameworks", lambda _: nullcontext())
    monkeypatch.setenv("GOODPUT_CACHE", str(tmp_path))
    return machine


@pytest.mark.usefixtures("even")
def test_a_mode_that_the_device_lacks_is_unsupported():
    peaks = measure_peaks("quick", ("tf32", "float32"))
    assert rows(peaks)["matmul", "tf32"].status == "unsupported"
    assert rows(peaks)["matmul", "float32"].status == "ok"
    assert set(peaks.capacity.flops_per_s) == {"float32"}


@pytest.mark.usefixtures("even")
def test_every_later_run_uses_what_was_measured():
    peaks = measure_peaks("quick")
    said = []
    capacity = capacity_of(DEVICE, Needs(("float32", "bfloat16")), progress=said.append)
    assert said == []
    assert capacity == peaks.capacity
    own = Needs(("float32",), (Contraction(1, 96, 64, 32, "float32"),))
    capacity = capacity_of(DEVICE, own, progress=said.append)
    measured = {text.partition(": ")[2] for text in said if text.startswith("round")}
    assert measured
    assert not any("bytes" in label or "sqrt" in label for label in measured)
    assert stored().peaks == peaks


def test_on_this_cpu(tmp_path):
    """The real thing, in a process of its own: bounds that hold on any machine, busy or not."""
    code = (
        "import json; from goodput.calibration import peak\n"
        "peak.SECONDS['quick'] = 4.0\n"
        "p = peak.measure_peaks('quick', ('float32',))\n"
        "print(json.dumps([[m.unit, m.rate, m.status] for m in p.measurements]))"
    )
    paths = os.pathsep.join(path for path in sys.path if path.endswith(("profiler", "kernels")))
    environment = {**os.environ, "GOODPUT_CACHE": str(tmp_path), "PYTHONPATH": paths}
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
        env=environment,
    )
    found = json.loads(done.stdout)
    assert {unit for unit, *_ in found} >= {"matmul", "memory", "vector", "special", "latency"}
    assert all(rate > 0 for _, rate, status in found if status != "unsupported")
    assert len(list(tmp_path.glob("*.json"))) == 1
