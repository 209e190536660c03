"""A recording made by hand, its roofs, and its file."""

from pathlib import Path

import pytest

from goodput.capacity.profile import BandwidthPoint, Capacity, Peak, Provenance
from goodput.device import DeviceIdentity
from goodput.readers.recording_file import save
from goodput.trace.recording import Recording
from goodput.trace.table import Invocations, StepTime, Trace

DEVICE = DeviceIdentity("cpu", "Test CPU, 2 cores", 2)
FLOPS = 2 * 256**3


@pytest.fixture
def recording() -> Recording:
    """Two profiled steps with a matrix product and an addition each."""
    table = Invocations.of(
        {
            "step": [0, 0, 1, 1],
            "operator": [1, 2, 1, 2],
            "module": [3, 3, 3, 3],
            "shapes": [4, 5, 4, 5],
            "mode": [6, 0, 6, 0],
            "modelled": [True] * 4,
            "flops": [FLOPS, 0, FLOPS, 0],
            "dense_flops": [FLOPS, 0, FLOPS, 0],
            "vector_flops": [0, 65_536, 0, 65_536],
            "bytes_read": [524_288, 524_288] * 2,
            "bytes_written": [262_144, 262_144] * 2,
            "device_seconds": [0.001, 0.0002, 0.001, 0.0002],
        }
    )
    steps = tuple(StepTime(n, 0.0015, 0.0012, 0.0002, 0.0001, 10) for n in range(2))
    strings = (
        "",
        "aten::mm",
        "aten::add",
        "blocks.0",
        "f32[256,256] f32[256,256]",
        "f32[256,256]",
        "float32",
    )
    trace = Trace(DEVICE, "torch", steps, table, strings, environment={"torch": "2.13.0"})
    return Recording(
        "train.py --lr 1",
        "2026-08-01T12:00:00+00:00",
        trace,
        (0.0014, 0.0014, 0.0015),
        "host",
        steps_seen=10,
    )


def roofs(flops_per_s: float, device: DeviceIdentity = DEVICE) -> Capacity:
    provenance = Provenance("measured", "torch.mm", measured_at="2026-08-01T12:00:00+00:00")
    point = BandwidthPoint(1_000_000, Peak(20e9, provenance))
    return Capacity(
        device,
        {"float32": Peak(flops_per_s, provenance)},
        vector=Peak(10e9, provenance),
        special=Peak(1e9, provenance),
        bandwidth={"copy": (point,)},
        measured_at="2026-08-01T12:00:00+00:00",
    )


@pytest.fixture
def capacity() -> Capacity:
    return roofs(60e9)


@pytest.fixture
def low_capacity() -> Capacity:
    """A roof that the recording passes."""
    return roofs(10e9)


@pytest.fixture
def other_capacity() -> Capacity:
    return roofs(60e9, DeviceIdentity("cuda", "Another Device"))


@pytest.fixture
def recording_file(tmp_path: Path, recording: Recording, capacity: Capacity) -> Path:
    path = tmp_path / "train.goodput"
    save(recording, path, capacity)
    return path
