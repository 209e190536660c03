"""Which framework a program is written in: by its objects, by its source, and with what loaded."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from goodput.recording.frameworks import (
    JAX,
    TORCH,
    framework_of,
    imported_by,
    likely,
    source_of,
)

torch = pytest.importorskip("torch", reason="its programs are told from jax's")
jax = pytest.importorskip("jax", reason="its programs are told from torch's")


class Holder:
    """A step as a class of the user's own, which is of no framework itself."""

    def __init__(self, part: Any) -> None:
        self.part = part

    def __call__(self, x: Any) -> Any:
        return self.part(x)

    def step(self, x: Any) -> Any:
        return x


def by_torch(x: Any) -> Any:
    return torch.relu(x)


def by_jax(x: Any) -> Any:
    def inner() -> Any:
        return jax.nn.relu(x)

    return inner()


def by_nothing(x: Any) -> Any:
    return x @ x


ARRAY, SHAPE = jax.numpy.ones(2), jax.ShapeDtypeStruct((2,), float)
PROGRAMS = {
    "array": (by_nothing, (ARRAY,), JAX),
    "shape": (by_nothing, [SHAPE], JAX),
    "tree": (by_nothing, ({"layers": [{"w": SHAPE}]},), JAX),
    "named": (by_nothing, {"x": ARRAY}, JAX),
    "jitted": (jax.jit(by_nothing), (), JAX),
    "gradient": (jax.grad(by_nothing), (), JAX),
    "names jax": (by_jax, (1.0,), JAX),
    "bound": (functools.partial(by_nothing, ARRAY), (), JAX),
    "held": (Holder(jax.jit(by_nothing)), (), JAX),
    "method": (Holder(ARRAY).step, (), JAX),
    "tensor": (by_nothing, (torch.ones(2),), TORCH),
    "module": (torch.nn.Linear(2, 2), (), TORCH),
    "parameter": (by_nothing, (torch.nn.Parameter(torch.ones(2)),), TORCH),
    "names torch": (by_torch, (1.0,), TORCH),
    "held module": (Holder(torch.nn.Linear(2, 2)), (), TORCH),
    "nothing": (by_nothing, (1.0,), ""),
    "builtin": (max, (1.0,), ""),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_objects_tell(name: str) -> None:
    call, inputs, framework = PROGRAMS[name]
    assert framework_of(call, inputs) == framework


def test_a_closure_tells() -> None:
    array = ARRAY
    assert framework_of(lambda x: x * array, ()) == JAX


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import jax.numpy as jnp", {JAX}),
        ("from flax import linen", {JAX}),
        ("def step():\n    import torch", {TORCH}),
        ("import torch, jax", {TORCH, JAX}),
        ("from beside import step", {JAX}),
        ("import package.model", {TORCH}),
        ("from package import model", {TORCH}),
        ("from .beside import step", {JAX}),
        ("from . import beside", {JAX}),
        ("import json", set()),
        ("this is no Python", set()),
    ],
)
def test_the_source_tells(tmp_path: Path, source: str, found: set[str]) -> None:
    (tmp_path / "beside.py").write_text("import jax\nimport beside", encoding="utf-8")
    package = tmp_path / "package"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "model.py").write_text("from torch import nn", encoding="utf-8")
    (tmp_path / "target.py").write_text(source, encoding="utf-8")
    assert imported_by(tmp_path / "target.py") == found


def test_a_module_is_found_where_the_program_is_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "started"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "steps.py").write_text("from started.model import step", encoding="utf-8")
    (package / "model.py").write_text("import jax", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    found = source_of("started.steps")
    assert found == package / "steps.py"
    assert imported_by(found) == {JAX}


def test_a_source_that_is_not_there_tells_nothing(tmp_path: Path) -> None:
    assert imported_by(tmp_path / "nothing.py") == set()
    assert source_of("no_such_module_anywhere") is None
    found = source_of("json")
    assert found is not None
    assert found.name == "__init__.py"


def test_what_is_loaded_is_likely(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "torch")
    assert likely() == JAX
    monkeypatch.delitem(sys.modules, "jax")
    assert likely() == TORCH  # installed


# --- with what loaded -----------------------------------------------------------------------------

STEPS = {
    JAX: "import jax\ndef step():\n"
    "    return lambda x: x @ x, (jax.ShapeDtypeStruct((4, 4), 'float32'),)\n",
    TORCH: "import torch\ndef step():\n    return torch.nn.Linear(4, 4), (torch.ones(4, 4),)\n",
    "both": "import jax, torch\ndef step():\n    return jax.jit(lambda x: x @ x), "
    "(jax.numpy.ones((4, 4)),)\n",
}
COUNTING = """
import sys
from goodput.recording.counting import of_target
recording = of_target("program.py:step")
assert sum(entry.work.flops for entry in recording.work.entries if entry.work) == 128
print(recording.trace.framework, *sorted({"jax", "torch"} & set(sys.modules)))
"""
CALLING = """
import sys
import goodput
from program import step
call, inputs = step()
assert goodput.count(call, *inputs).totals.useful_flops == 128
print("", *sorted({"jax", "torch"} & set(sys.modules)))
"""


def loaded(folder: Path, repository: Path, kind: str, code: str) -> list[str]:
    """The framework that a program was counted as, and those that are loaded after it."""
    (folder / "program.py").write_text(STEPS[kind], encoding="utf-8")
    roots = os.pathsep.join(str(repository / root) for root in ("profiler", "kernels"))
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": roots, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.rstrip("\n").split(" ")


@pytest.mark.parametrize("kind", [JAX, TORCH])
@pytest.mark.parametrize("code", [COUNTING, CALLING], ids=["target", "call"])
def test_the_other_framework_stays_unloaded(
    tmp_path: Path, repository: Path, kind: str, code: str
) -> None:
    assert loaded(tmp_path, repository, kind, code)[1:] == [kind]


def test_a_loaded_one_would_be_seen(tmp_path: Path, repository: Path) -> None:
    # A program that loads both is counted as what it is.
    assert loaded(tmp_path, repository, "both", COUNTING) == [JAX, JAX, TORCH]
