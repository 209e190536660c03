"""Collectives over two processes of this host, and what is said where there are none."""

from __future__ import annotations

import subprocess

import pytest

from goodput.calibration import collective_peaks
from goodput.calibration.collective_peaks import measure_collectives, ranks_of
from goodput.calibration.figures import Circumstances
from goodput.calibration.ways import Target
from goodput.capacity.measurement import OK, UNSUPPORTED
from goodput_kernels.collectives import COLLECTIVES, bus_factor

torch = pytest.importorskip("torch", reason="collectives are torch's")

AROUND = Circumstances(Target("cpu", "cpu", 2, 1 << 20), "Test CPU", 0.1, 2, "2026-02-02")


def row(**changes):
    values = {
        "name": "all-reduce",
        "size": 4096,
        "amount": 4096,
        "label": "gloo all-reduce",
        "error": 0.0,
        "limit": 0.0,
        "compared": "all",
        "bouts": [[1e-3, 1e-3], [1e-3], [1e-3]],
    }
    return {**values, **changes}


def measured(monkeypatch, rows, ranks=4):
    monkeypatch.setattr(collective_peaks, "_run", lambda *_: rows)
    return measure_collectives(ranks, AROUND)


def test_the_rate_is_the_bus_bandwidth(monkeypatch):
    (found,) = measured(monkeypatch, [row()])
    assert found.rate == pytest.approx(bus_factor("all-reduce", 4) * 4096 / 1e-3)
    assert found.status == OK
    assert found.subject == "all-reduce, 4 ranks over gloo"
    assert len(found.bouts) == 3


def test_a_wrong_result_is_no_figure_of_the_link(monkeypatch):
    (found,) = measured(monkeypatch, [row(error=0.5)])
    assert not found.valid


def test_ranks_that_cannot_talk_are_one_row_with_the_reason(monkeypatch):
    def fail(*_):
        raise subprocess.CalledProcessError(1, "python", stderr="Traceback\nno route to host\n")

    monkeypatch.setattr(collective_peaks, "_run", fail)
    (found,) = measure_collectives(2, AROUND)
    assert (found.status, found.rate, found.detail) == (UNSUPPORTED, None, "no route to host")


def test_one_device_has_no_collectives():
    assert ranks_of(0, on_cpu=True) == 2
    assert ranks_of(8, on_cpu=False) == 8
    assert measure_collectives(ranks_of(1, on_cpu=False), AROUND) == ()


@pytest.mark.slow
def test_two_processes_of_this_host_measure_each_collective_and_its_result():
    found = measure_collectives(2, AROUND, sizes=(4096,))
    assert [m.subject.split(",")[0] for m in found] == list(COLLECTIVES)
    for m in found:
        assert m.rate > 0
        assert m.valid, m
        assert len(m.bouts) == 3
