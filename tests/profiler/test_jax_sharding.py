"""Programs of JAX over eight devices, virtual ones of this CPU: shares, collectives, counts."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("jax", reason="jax programs are measured by jax")

from goodput.capacity.profile import Capacity, Peak, Provenance
from goodput.device import DeviceIdentity
from goodput.report.device_rows import device_rows
from goodput.trace.table import DeviceShare

REPOSITORY = Path(__file__).resolve().parents[2]
DEVICES = 8
BATCH, WIDTH, INNER = 64, 128, 512
FORWARD = 2 * 2 * BATCH * WIDTH * INNER
TRUTHS = {
    # The gradient by the inputs of the first layer is not needed.
    "data": 2 * FORWARD + FORWARD // 2,
    "tensor": FORWARD,
    "pipeline": DEVICES * 2 * BATCH * WIDTH * WIDTH,
}
# What each device hands over and gets, in float32: two gradients, a result, an activation a turn.
COLLECTIVE_BYTES = {
    "data": 2 * 4 * 2 * WIDTH * INNER,
    "tensor": 2 * 4 * BATCH * WIDTH,
    "pipeline": DEVICES * 2 * 4 * (BATCH // DEVICES) * WIDTH,
}
COLLECTIVES = {"data": "all-reduce", "tensor": "all-reduce", "pipeline": "collective-permute"}
# Every way in one process of eight devices, as `goodput run` measures each.
SCRIPT = """
import json, sys
from dataclasses import asdict
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import jax_sharded
from goodput.frontends.jax_program import JaxProgram
from goodput.frontends.step_instruments import PassOptions
from goodput.measure.clock import HostClock
from goodput.recording.assemble import recording_of
from goodput.trace.table import Kind
for way in jax_sharded.WAYS:
    program = JaxProgram(PassOptions(steps=4, warmup=2), HostClock(), Path(sys.argv[2]) / way)
    program.attach()
    jax_sharded.run(way, 40)
    recording, _ = recording_of(program.finish(), way, "")
    trace = recording.trace
    table = trace.invocations
    talks = [trace.strings[n] for n in table.operator[table.kind == Kind.COMMUNICATION]]
    print(json.dumps({
        "way": way,
        "counted": sum(e.work.flops for e in recording.work.entries if e.work),
        "executed": table.flops.sum().item() / len(trace.steps),
        "shares": [asdict(share) for share in trace.shares],
        "talks": sorted(set(talks)),
        "warnings": recording.warnings,
    }))
"""


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """What each way left behind, by its name."""
    flags = f"--xla_force_host_platform_device_count={DEVICES}"
    roots = os.pathsep.join(str(REPOSITORY / root) for root in ("profiler", "kernels"))
    models = str(REPOSITORY / "benchmarks" / "models")
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, models, str(tmp_path_factory.mktemp("profiles"))],
        env={**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu", "PYTHONPATH": roots},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    return {each["way"]: each for each in found}


@pytest.mark.parametrize("way", TRUTHS)
def test_the_work_of_all_devices_is_the_program_s(runs, way):
    run = runs[way]
    assert run["counted"] == run["executed"] == TRUTHS[way]
    assert not any("XLA" in warning for warning in run["warnings"])


@pytest.mark.parametrize("way", TRUTHS)
def test_each_device_did_its_share(runs, way):
    shares = runs[way]["shares"]
    assert [share["name"] for share in shares] == [str(n) for n in range(DEVICES)]
    for share in shares:
        assert share["useful_flops"] == {"float32": TRUTHS[way] / DEVICES}
        assert share["compute_seconds"] > 0


@pytest.mark.parametrize("way", TRUTHS)
def test_collectives_are_apart(runs, way):
    assert runs[way]["talks"] == [COLLECTIVES[way]]
    for share in runs[way]["shares"]:
        assert share["communication_seconds"] > 0
        assert share["collective_bytes"] == COLLECTIVE_BYTES[way]


def test_the_goodput_of_a_device_is_over_the_wall_of_the_step():
    share = DeviceShare("0", {"float32": 6.0, "int8": 4.0}, 12.0, 0.5, 0.25, 0.0)
    peaks = {mode: Peak(rate, Provenance("measured", "", "")) for mode, rate in (("float32", 3.0),)}
    capacity = Capacity(DeviceIdentity("cpu", "a"), flops_per_s=peaks)
    (row,) = device_rows([share], capacity, 10.0)
    assert row.goodput is None  # no roof for int8
    (row,) = device_rows([DeviceShare("0", {"float32": 6.0}, 6.0, 0, 0, 0)], capacity, 10.0)
    assert row.goodput == pytest.approx(0.2)
    assert device_rows((), capacity, 10.0) == ()


def test_the_command_of_the_readme(tmp_path):
    flags = f"--xla_force_host_platform_device_count={DEVICES}"
    roots = os.pathsep.join(str(REPOSITORY / root) for root in ("profiler", "kernels"))
    script = REPOSITORY / "benchmarks" / "models" / "jax_sharded.py"
    command = ["goodput", "run", "--count-only", "--json", "r.json", str(script), "tensor"]
    done = subprocess.run(
        [sys.executable, "-m", *command],
        env={**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu", "PYTHONPATH": roots},
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "r.json").read_text())
    assert report["totals"]["useful_flops"] == FORWARD
    assert "8 devices" in " ".join(report["warnings"])
