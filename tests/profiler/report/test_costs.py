"""Which measured memory mix an operator is held against, and at which footprint."""

from __future__ import annotations

import pytest

from goodput.capacity.profile import BandwidthPoint, Capacity, Peak, Provenance
from goodput.device import DeviceIdentity
from goodput.report.costs import MIXES, costs_of, mixes
from goodput.trace.table import Invocations, StepTime, Trace

DEVICE = DeviceIdentity("cpu", "test")
HOW = Provenance("measured", "test")
RATES = {"read": 5e9, "write": 4e9, "copy": 3e9, "in-place": 2e9, "two-in-one-out": 1e9}
ADD, ADD_IN_PLACE = 1, 2


def trace_of(operator, read, written):
    row = {"operator": operator, "modelled": True, "device_seconds": 1.0}
    row |= {"bytes_read": read, "bytes_written": written}
    columns = {name: [row.get(name, 0)] for name in Invocations.column_types()}
    step = StepTime(0, 1.0, 1.0, 0.0, 0.0)
    return Trace(DEVICE, "torch", (step,), Invocations.of(columns), ("", "aten::add", "aten::add_"))


def capacity(*known):
    curves = {mix: (BandwidthPoint(1, Peak(RATES[mix], HOW)),) for mix in known}
    return Capacity(DEVICE, bandwidth=curves)


CASES = [
    (ADD, 1000, 4, "read"),
    (ADD, 0, 1000, "write"),
    (ADD_IN_PLACE, 0, 1000, "write"),
    (ADD, 1000, 1000, "copy"),
    (ADD, 2000, 1000, "two-in-one-out"),
    (ADD_IN_PLACE, 2000, 1000, "in-place"),
    (ADD_IN_PLACE, 1000, 1000, "in-place"),
]


@pytest.mark.parametrize(("operator", "read", "written", "mix"), CASES)
def test_an_operator_is_held_against_the_mix_that_it_moves(operator, read, written, mix):
    trace = trace_of(operator, read, written)
    assert MIXES[int(mixes(trace)[0])] == mix
    seconds = costs_of(trace, capacity(*RATES)).memory[0]
    assert seconds == pytest.approx((read + written) / RATES[mix])


@pytest.mark.parametrize(("operator", "read", "written", "mix"), CASES)
def test_one_that_was_not_measured_is_held_against_a_copy(operator, read, written, mix):
    trace = trace_of(operator, read, written)
    known = {"copy", "read", "in-place"} & {mix, "copy"}
    seconds = costs_of(trace, capacity(*known)).memory[0]
    rate = RATES[mix] if mix in known else RATES["copy"]
    assert seconds == pytest.approx((read + written) / rate)


def test_what_is_only_written_has_the_footprint_of_what_is_written():
    points = tuple(BandwidthPoint(size, Peak(9e9 / size, HOW)) for size in (1, 1000))
    found = Capacity(DEVICE, bandwidth={"write": points, "copy": points})
    assert costs_of(trace_of(ADD_IN_PLACE, 0, 1000), found).memory[0] == pytest.approx(1000 / 9e6)
