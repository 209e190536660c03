"""Seconds by operator and step, on a trace made by hand."""

from goodput.device import DeviceIdentity
from goodput.report.per_step import seconds_by_step
from goodput.trace.table import Invocations, Phase, StepTime, Trace


def test_calls_of_one_operator_and_phase_are_summed_step_by_step():
    table = Invocations.of(
        {
            "step": [0, 0, 1, 1],
            "operator": [1, 1, 1, 2],
            "phase": [Phase.FORWARD, Phase.FORWARD, Phase.FORWARD, Phase.BACKWARD],
            "mode": [3, 3, 3, 0],
            "device_seconds": [1.0, 2.0, 4.0, 8.0],
        }
    )
    steps = tuple(StepTime(number, 9.0, 9.0, 0.0, 0.0, 2) for number in range(2))
    device = DeviceIdentity("cpu", "Test CPU", 2)
    trace = Trace(device, "torch", steps, table, ("", "aten::mm", "aten::add", "float32"))
    assert seconds_by_step(trace) == {
        ("aten::mm", "forward", "float32"): [3.0, 4.0],
        ("aten::add", "backward", ""): [0.0, 8.0],
    }
