"""What the doctor looks at, from files and a clock that a test makes."""

import pytest

from goodput.cli import status_of
from goodput.gates import machine


class Clock:
    """Every tenth reading comes late."""

    def __init__(self, late: float) -> None:
        self.time, self.calls, self.late = 0.0, 0, late

    def now(self) -> float:
        self.calls += 1
        self.time += self.late if self.calls % 5 == 0 else 1.0
        return self.time


def one(found):
    (symptom,) = found
    return symptom


@pytest.mark.parametrize(("average", "spoils"), [(0.1, False), (3.0, True)])
def test_load(average, spoils) -> None:
    assert one(machine.load(4, average)).spoils is spoils


def test_a_quota(tmp_path) -> None:
    place = tmp_path / "cpu.max"
    place.write_text("150000 100000\n")
    assert one(machine.quota(4, place)).spoils
    place.write_text("max 100000\n")
    assert not list(machine.quota(4, place))


def test_a_governor(tmp_path) -> None:
    place = tmp_path / "cpu0/cpufreq"
    place.mkdir(parents=True)
    (place / "scaling_governor").write_text("powersave\n")
    assert "performance" in one(machine.governor(tmp_path)).advice
    (place / "scaling_governor").write_text("performance\n")
    assert not one(machine.governor(tmp_path)).spoils


def test_pressure(tmp_path) -> None:
    place = tmp_path / "cpu"
    place.write_text("some avg10=50.00 avg60=40.00 avg300=9.00 total=1\n")
    assert one(machine.pressure(place)).spoils
    place.write_text("some avg10=0.00 avg60=0.10 avg300=0.00 total=1\n")
    assert not one(machine.pressure(place)).spoils


def test_memory(tmp_path) -> None:
    place = tmp_path / "meminfo"
    place.write_text("MemAvailable: 500000 kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\n")
    assert one(machine.memory(place)).spoils
    place.write_text("MemAvailable: 50000000 kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\n")
    assert not one(machine.memory(place)).spoils


def test_settings_that_slow(monkeypatch) -> None:
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CUDA_LAUNCH_BLOCKING", "1")
    assert one(machine.settings()).advice == "unset CUDA_LAUNCH_BLOCKING to measure"
    monkeypatch.delenv("CUDA_LAUNCH_BLOCKING")
    assert not list(machine.settings())


@pytest.mark.parametrize(("late", "spoils"), [(1.0, False), (9.0, True)])
def test_jitter(late, spoils) -> None:
    assert one(machine.jitter(Clock(late), turns=1)).spoils is spoils


def test_what_the_system_does_not_tell_is_not_guessed(tmp_path) -> None:
    place = tmp_path / "none"
    for look in (machine.pressure, machine.governor, machine.turbo, machine.memory):
        assert not list(look(place))


def test_the_command(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    assert status_of(["doctor", "--json", "d.json"]) == 0
    assert "will spoil a measurement here" in capsys.readouterr().out
    assert '"goodput.doctor/1"' in (tmp_path / "d.json").read_text()
