"""`goodput count` and `goodput.count` of JAX programs: the same report as a PyTorch program's."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

jax = pytest.importorskip("jax", reason="jax programs are counted by jax")

import goodput  # noqa: E402 - after the skip
from goodput.cli import status_of  # noqa: E402

H100 = "NVIDIA H100 80GB HBM3"
FLOPS = 2 * 32 * 64 * 64

PROGRAM = """
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

def shapes(*sizes):
    return jax.ShapeDtypeStruct(sizes, jnp.float32)

def loss(w, x):
    with jax.named_scope("layer"):
        return jnp.square(x @ w).mean()

def model(batch=32, seq=64):
    return loss, (shapes(seq, 64), shapes(batch, seq))

def named():
    return jax.jit(loss), {"w": shapes(64, 64), "x": shapes(32, 64)}

def half():
    half = jax.ShapeDtypeStruct((64, 64), jnp.bfloat16)
    return jnp.matmul, (jax.ShapeDtypeStruct((32, 64), jnp.bfloat16), half)

def attention():
    return jax.nn.dot_product_attention, [shapes(1, 8, 2, 4)] * 3

def stacked():
    def step(w, x):
        return lax.scan(lambda c, v: (c @ v, None), x, w)[0]
    return step, (shapes(10, 64, 64), shapes(32, 64))

def foreign():
    return jax.ffi.ffi_call("my_target", shapes(4)), (shapes(4),)

def by_value():
    return lambda x: x @ x if x.sum() > 0 else x, (shapes(4, 4),)

def by_numpy():
    return np.linalg.det, (shapes(4, 4),)

def number():
    return 3

print("said by the program")
"""


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    path = tmp_path / "jax_program_to_count.py"
    path.write_text(PROGRAM, encoding="utf-8")
    # Each command is a process of its own in use; here they share one.
    monkeypatch.setattr(sys, "path", sys.path[:])
    monkeypatch.setattr(sys, "argv", sys.argv[:])
    monkeypatch.delitem(sys.modules, "jax_program_to_count", raising=False)
    return str(path)


def counted(tmp_path: Path, *arguments: str) -> dict[str, Any]:
    path = tmp_path / "report.json"
    assert status_of(["count", *arguments, "--json", str(path)]) == 0
    report: dict[str, Any] = json.loads(path.read_text())
    return report


@pytest.mark.parametrize("function", ["model", "named", "half"])
def test_the_report_of_a_count(
    program: str, tmp_path: Path, function: str, capsys: pytest.CaptureFixture[str]
) -> None:
    report = counted(tmp_path, f"{program}:{function}")
    assert report["schema"] == "goodput.report/1"
    assert report["totals"]["useful_flops"] == FLOPS
    assert "jax" in report["environment"]
    assert "torch" not in report["environment"]
    assert report["device"] is None
    text = capsys.readouterr().out
    assert text.startswith("said by the program\ngoodput: ")
    assert "nothing was run; goodput run measures times" in text


def test_training_by_phase_and_module_with_sizes(program: str, tmp_path: Path) -> None:
    arguments = [f"{program}:model", "--batch", "8", "--seq", "16", "--train"]
    report = counted(tmp_path, *arguments, "--by", "phase")
    forward = 2 * 8 * 16 * 64
    phases = {row["phase"]: row["useful_flops"] for row in report["operators"]}
    assert phases == {"forward": forward, "backward": forward}
    modules = counted(tmp_path, *arguments, "--by", "module")["operators"]
    assert {row["module"] for row in modules if row["useful_flops"]} == {"layer"}


def test_attention_by_hand_is_dense_in_both_conventions(program: str, tmp_path: Path) -> None:
    reports = [
        counted(tmp_path, f"{program}:attention", "--convention", convention)
        for convention in ("exact", "dense-attention")
    ]
    assert {r["totals"]["useful_flops"] for r in reports} == {2 * 2 * 2 * 8 * 8 * 4}
    (sentence,) = [text for text in reports[0]["warnings"] if "written by hand" in text]
    assert sentence.endswith("every pair is counted as useful even where a mask closes it")


def test_turns_of_a_loop_are_calls(program: str, tmp_path: Path) -> None:
    report = counted(tmp_path, f"{program}:stacked", "--on", H100)
    (row,) = [row for row in report["operators"] if row["operator"] == "lax::dot_general"]
    assert row["calls"] == 10
    assert row["useful_flops"] == 10 * FLOPS
    # Ten small products have ten times the ideal of one.
    one = counted(tmp_path, f"{program}:named", "--on", H100)
    (single,) = [row for row in one["operators"] if row["operator"] == "lax::dot_general"]
    assert row["ideal_seconds"] == pytest.approx(10 * single["ideal_seconds"])


def test_strict(program: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert status_of(["count", f"{program}:foreign"]) == 0
    assert status_of(["count", f"{program}:foreign", "--strict"]) == 3
    assert "ffi::my_target (no formula)" in capsys.readouterr().err
    assert status_of(["count", f"{program}:model", "--strict"]) == 0


@pytest.mark.parametrize(
    ("function", "status", "text"),
    [
        ("number", 2, "returned a int; it must return (callable, inputs)"),
        ("nothing", 2, "has no function nothing; its functions are shapes, loss, model"),
        ("by_value", 3, "asks for the value of an array while jax traces it"),
        ("by_numpy", 3, "asks for the value of an array while jax traces it"),
        ("shapes", 2, "returned a ShapeDtypeStruct"),
    ],
)
def test_targets_that_are_none(
    program: str, function: str, status: int, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status_of(["count", f"{program}:{function}"]) == status
    said = capsys.readouterr().err
    assert text in said
    assert said.count("\n") == 1


def test_a_convention_of_torchs_own_is_refused(
    program: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status_of(["count", f"{program}:model", "--convention", "flopcountermode"]) == 2
    assert "is no program of torch; take exact" in capsys.readouterr().err


def test_operators_are_shown_without_jaxs_own_namespace(
    program: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status_of(["count", f"{program}:model"]) == 0
    shown = capsys.readouterr().out
    assert "dot_general" in shown
    assert "lax::" not in shown


SHARDED = """
import jax
import jax.numpy as jnp
from jax import lax
from jax.sharding import NamedSharding, PartitionSpec as P

def meshed():
    auto = (jax.sharding.AxisType.Auto,) * 2
    mesh = jax.make_mesh((4, 2), ("data", "model"), axis_types=auto)
    def step(up, down, x):
        def local(up, down, x):
            return lax.pmean(jnp.square(lax.psum(jnp.tanh(x @ up) @ down, "model")).mean(), "data")
        specs = (P(None, "model"), P("model"), P("data"))
        return jax.shard_map(local, mesh=mesh, in_specs=specs, out_specs=P())(up, down, x)
    def spread(sizes, spec):
        return jax.device_put(jnp.ones(sizes), NamedSharding(mesh, spec))
    inputs = spread((16, 32), P(None, "model")), spread((32, 16), P("model"))
    return mesh, step, (*inputs, spread((64, 16), P("data")))

def by_hand():
    _, step, inputs = meshed()
    return step, inputs

def by_xla():
    _, _, inputs = meshed()
    return jax.jit(lambda up, down, x: jnp.square(jnp.tanh(x @ up) @ down).mean()), inputs
"""


@pytest.mark.parametrize("function", ["by_hand", "by_xla"])
def test_many_devices(tmp_path: Path, repository: Path, function: str) -> None:
    # The number of devices is fixed when jax starts, so in a process of its own.
    (tmp_path / "sharded.py").write_text(SHARDED, encoding="utf-8")
    roots = os.pathsep.join(str(repository / root) for root in ("profiler", "kernels"))
    flags = {"XLA_FLAGS": "--xla_force_host_platform_device_count=8", "JAX_PLATFORMS": "cpu"}
    command = ["count", f"sharded.py:{function}", "--train", "--json", "-", "--by", "phase"]
    done = subprocess.run(
        [sys.executable, "-m", "goodput", *command],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": roots} | flags,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    forward = 2 * 2 * 64 * 16 * 32
    useful = {row["phase"]: row["useful_flops"] for row in report["operators"]}
    # By the first argument alone: two gradients of the second product, one of the first.
    assert useful == {"forward": forward, "backward": forward}
    told = [text for text in report["warnings"] if "on each" in text]
    assert len(told) == (function == "by_hand")


def test_the_call_from_python() -> None:
    import jax.numpy as jnp

    report = goodput.count(jnp.matmul, jnp.ones((8, 16)), jnp.ones((16, 5)))
    assert report.totals.useful_flops == 1280
    trained = goodput.count(lambda w: jnp.tanh(w @ w), jnp.ones((4, 4)), train=True, by="phase")
    assert {row.phase for row in trained.operators if row.useful_flops} == {"forward", "backward"}
