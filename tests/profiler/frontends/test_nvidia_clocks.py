"""What the driver says: lines of its answers, reasons for low clocks, a stand-in on the path."""

import os
import sys
import threading
from dataclasses import replace
from itertools import count

import pytest

from goodput.calibration.validity import POWER_CAP
from goodput.frontends import nvidia_clocks
from goodput.frontends.nvidia_clocks import (
    ClockWatch,
    Reading,
    during,
    highest_clock,
    mean_clock,
    other_processes,
    parse,
    reasons,
)

# As `nvidia-smi --query-gpu=... --format=csv,noheader,nounits` answers.
H200 = "1980, 1980, 534.21, 700.00, 51, 0x0000000000000004, 580.82.07\n"
VIRTUAL = "[N/A], [N/A], [N/A], [N/A], 33, 0x0000000000000000, 535.183.01\n"
OLD = "1410, 1410, 63.19, 400.00, 34, [Not Supported], 450.80.02\n"


def reading(moment, clock=1e9, bits=0):
    return Reading(moment, clock, None, None, None, None, bits, "")


def test_a_line_of_the_driver():
    assert parse(H200, 7.0) == Reading(
        7.0, 1.98e9, 1.98e9, 534.21, 700.0, 51.0, POWER_CAP, "580.82.07"
    )


def test_what_the_driver_does_not_tell_is_none():
    found = parse(VIRTUAL, 0.0)
    assert (found.clock_hz, found.max_clock_hz, found.power_watts) == (None, None, None)
    assert found.celsius == 33.0
    assert found.reasons == 0
    assert parse(OLD, 0.0).reasons == 0
    assert parse(OLD, 0.0).clock_hz == 1.41e9


@pytest.mark.parametrize(
    "line", ["", "\n", "No devices were found\n", "1980, 1980\n", "Unable to determine, x\n"]
)
def test_other_lines_are_no_readings(line):
    assert parse(line, 0.0) is None


def test_reasons_are_gathered_bit_by_bit():
    assert reasons(()) == 0
    assert reasons((reading(0, bits=4), reading(1, bits=33), reading(2))) == 37


def test_the_mean_clock_leaves_out_what_is_not_known():
    assert mean_clock(()) is None
    assert mean_clock((reading(0, clock=None),)) is None
    assert mean_clock((reading(0, 1e9), reading(1, None), reading(2, 2e9))) == 1.5e9


def test_readings_of_intervals():
    readings = [reading(float(n)) for n in range(10)]
    assert [r.moment for r in during(readings, [(1.0, 2.0), (6.5, 7.5)])] == [1.0, 2.0, 7.0]
    assert during(readings, []) == ()


class CountingClock:
    def __init__(self):
        self.moments = count()

    def now(self):
        return float(next(self.moments))


@pytest.fixture
def driver(monkeypatch, tmp_path):
    """Puts a stand-in for nvidia-smi on the path, made of Python lines."""

    def install(*lines):
        script = tmp_path / "nvidia-smi"
        script.write_text("\n".join([f"#!{sys.executable}", "import sys, time", *lines]))
        script.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
        return script

    return install


def test_a_watch_reads_until_it_is_left(driver, monkeypatch):
    read = threading.Event()

    def parsed(line, moment):
        found = parse(line, moment)
        if found is not None and found.driver == "last":
            read.set()
        return found

    monkeypatch.setattr(nvidia_clocks, "parse", parsed)
    driver(
        "assert sys.argv[1:3] == ['-i', 'GPU-7'] and sys.argv[-2:] == ['-lms', '50']",
        f"print({H200!r}, end='', flush=True)",
        "print('some warning', flush=True)",
        f"print({H200.replace('580.82.07', 'last')!r}, end='', flush=True)",
        "time.sleep(60)",
    )
    with ClockWatch(CountingClock(), "GPU-7") as watch:
        assert read.wait(30)
    assert [r.driver for r in watch.readings] == ["580.82.07", "last"]
    assert watch.readings[0].moment < watch.readings[1].moment
    assert watch._process.poll() is not None
    assert not watch._thread.is_alive()


def test_a_driver_that_fails_gives_no_readings(driver):
    driver("print('Failed to initialize NVML: Driver/library version mismatch')", "sys.exit(18)")
    with ClockWatch(CountingClock()) as watch:
        watch._thread.join(30)
    assert watch.readings == []


def test_a_driver_that_cannot_be_started_gives_no_readings(driver):
    driver().write_text("#!/no/such/interpreter\n")
    with ClockWatch(CountingClock()) as watch:
        pass
    assert watch.readings == []
    assert other_processes(1) == ()


def test_without_a_driver_nothing_is_known(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with ClockWatch(CountingClock()) as watch:
        pass
    assert watch.readings == []
    assert other_processes(1) == ()


def test_other_processes_are_named_without_this_one(driver):
    driver("print('123, python')", "print('77, /opt/app, with a comma')", "print('no rows')")
    assert other_processes(123) == ("/opt/app, with a comma",)
    assert other_processes(5) == ("python", "/opt/app, with a comma")


def test_a_driver_without_an_answer_names_nobody(driver, monkeypatch):
    monkeypatch.setattr(nvidia_clocks, "_TIMEOUT_SECONDS", 0.05)
    driver("time.sleep(60)")
    assert other_processes(1) == ()


def test_the_highest_clock_that_the_driver_told():
    known = replace(reading(1.0, 1.5e9), max_clock_hz=3.1e9)
    assert highest_clock((reading(0.0, 1.5e9), known)) == 3.1e9
    assert highest_clock((reading(0.0, 1.5e9),)) is None
