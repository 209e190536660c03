"""Which kernels compete, by framework; and which framework measures a device."""

import os
import subprocess
import sys

import pytest

from goodput.calibration import device, ways
from goodput.calibration.bench import target_of
from goodput.calibration.plan import FULL, plan_of
from goodput.calibration.ways import Target
from goodput.device import DeviceIdentity
from goodput.errors import NotMeasuredError
from goodput.frontends import jax_device, torch_device
from goodput_kernels.convolution import Convolution

CPU = Target("cpu", "cpu", 2, 8 << 20)
ALONE = Target("cpu", "cpu", 2, 8 << 20, framework="jax")
TPU = Target("tpu", "tpu", 1, 0, framework="jax")
LAYER = Convolution("float32", (1, 8, 8, 8), (8, 8, 3, 3), (1, 1), (1, 1), (1, 1))
TORCH_LIBRARIES = {"torch", "oneDNN", "Triton"}


def libraries(candidates):
    return {candidate.library for candidate in candidates}


def every(target):
    return [
        *ways.products(target, "float32", 1, 64, 64, 64),
        *ways.other_products(target, "float32", 1, 64, 64, 64),
        *ways.convolutions(target, LAYER),
        *ways.movers(target, "copy", 1 << 20),
        *ways.other_movers(target, "copy", 1 << 20),
        *ways.special_functions(target),
        *ways.multiply_adds(target),
        *ways.shortest(target),
    ]


def test_without_torch_no_kernel_of_torch_competes():
    assert libraries(every(ALONE)) == {"XLA", "NumPy", "JAX"}
    assert libraries(every(TPU)) == {"XLA", "Pallas", "JAX"}
    assert libraries(every(CPU)) >= {"torch", "oneDNN", "NumPy", "XLA"}


@pytest.mark.parametrize("target", [ALONE, TPU])
def test_a_whole_plan_without_torch(target):
    plan = plan_of(FULL, (), target, lambda mode: 0.0 if mode == "int8" else 1e9)
    rivals = [rival for group in plan.questions.groups.values() for rival in group]
    assert not libraries(rivals) & TORCH_LIBRARIES
    units = {figure.unit for figure in plan.figures.values()}
    assert units == {"matmul", "memory", "vector", "special", "latency"}
    assert plan.unsupported == {"int8": "no library here multiplies matrices in it on this device"}
    assert any("batched" in figure.subject for figure in plan.figures.values())


def test_modes_that_jax_lacks_on_the_device_have_no_rivals():
    assert ways.products(TPU, "tf32", 1, 1024, 1024, 1024) == ()
    assert ways.products(TPU, "bfloat16", 1, 1024, 1024, 1024)


@pytest.fixture
def machine(monkeypatch):
    """Sets what is installed, imported and there."""

    def lay_out(*installed, imported=(), torch="cpu", jax="cpu", plugin=False):
        there = {*installed, *(["libtpu"] if plugin else [])}
        monkeypatch.setattr(device, "find_spec", lambda name: name if name in there else None)
        monkeypatch.setattr(device, "entry_points", lambda group: [])  # noqa: ARG005
        for name in ("torch", "jax"):
            if name not in imported:
                monkeypatch.delitem(sys.modules, name, raising=False)
        monkeypatch.setattr(torch_device, "best", lambda: DeviceIdentity(torch, torch))
        monkeypatch.setattr(jax_device, "identity", lambda: DeviceIdentity(jax, jax))

    return lay_out


@pytest.mark.parametrize(
    ("layout", "kind", "framework"),
    [
        ({"installed": ("torch", "jax")}, "cpu", "torch"),
        ({"installed": ("jax",)}, "cpu", "jax"),
        ({"installed": ("torch", "jax"), "torch": "cuda"}, "cuda", "torch"),
        ({"installed": ("torch", "jax"), "jax": "tpu", "plugin": True}, "tpu", "jax"),
        ({"installed": ("jax",), "jax": "tpu", "plugin": True}, "tpu", "jax"),
        # JAX is not asked where it has nothing but its CPU.
        ({"installed": ("torch", "jax"), "jax": "tpu"}, "cpu", "torch"),
    ],
)
def test_the_best_device_and_what_measures_it(machine, layout, kind, framework):
    machine(*layout.pop("installed"), **layout)
    found, by = device.best_device()
    assert (found.kind, by) == (kind, framework)


def test_the_framework_of_the_program_measures(machine):
    cpu = DeviceIdentity("cpu", "x")
    machine("torch", "jax", imported=("jax",))
    assert device.framework_of(cpu) == "jax"
    assert target_of(cpu).framework == "jax"
    machine("torch", "jax", imported=("torch", "jax"))
    assert device.framework_of(DeviceIdentity("tpu", "TPU v5e")) == "jax"
    machine()
    with pytest.raises(NotMeasuredError, match="no framework is installed"):
        device.framework_of(cpu)


def test_what_a_framework_calls_its_device():
    assert target_of(DeviceIdentity("hip", "AMD Instinct MI300X"), "torch").device == "cuda"
    assert target_of(DeviceIdentity("hip", "AMD Instinct MI300X"), "jax").device == "hip"
    assert target_of(DeviceIdentity("tpu", "TPU v5e"), "jax").device == "tpu"


WITHOUT_TORCH = """
import sys
sys.modules["torch"] = None
from goodput.calibration.roofs import Needs, capacity_of
from goodput.frontends.host_device import cpu_identity
capacity = capacity_of(cpu_identity(), Needs(("float32",)), budget_seconds=0.5)
print(capacity.flops_per_s["float32"].provenance.detail.split()[0])
print(*sorted(capacity.bandwidth))
print(capacity.vector.rate > 0, capacity.special.rate > 0, capacity.floor_seconds > 0)
"""


def test_the_roofs_of_a_cpu_without_torch(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH],
        env={**os.environ, "GOODPUT_CACHE": str(tmp_path), "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
        check=True,
    )
    library, mixes, rest = done.stdout.splitlines()
    assert library in {"NumPy", "XLA"}
    assert mixes == "copy in-place read"
    assert rest == "True True True"
