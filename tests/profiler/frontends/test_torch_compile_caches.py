"""Compiled code that torch finds in its caches: attributed like any other, in a second process."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import pytest

pytest.importorskip("torch")
pytestmark = pytest.mark.slow
if shutil.which("g++") is None and shutil.which("clang++") is None:
    pytest.skip("inductor needs a C++ compiler", allow_module_level=True)

ROWS, WIDTH = 8, 32
LINEAR = 2 * ROWS * WIDTH * WIDTH

PROGRAM = f"""
import importlib, json, sys
import torch
importlib.import_module("torch._inductor.compile_fx")
from torch._dynamo.utils import counters

torch._inductor.config.fx_graph_cache = True
torch._functorch.config.enable_autograd_cache = True
watched = "watched" in sys.argv
if watched:
    from goodput.frontends.torch_inductor import InductorWatch
    from goodput.frontends.torch_passes import TorchCounter
    watch = InductorWatch()
    watch.install()

torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.Linear({WIDTH}, {WIDTH}), torch.nn.GELU())
compiled = torch.compile(model)
x = torch.randn({ROWS}, {WIDTH})

def step():
    compiled(x).sum().backward()

step()
told = {{
    "graphs": counters["inductor"]["fxgraph_cache_hit"],
    "autograd": counters["aot_autograd"]["autograd_cache_hit"],
}}
if watched:
    step()
    counter = TorchCounter(lambda: None, lambda: False, watch)
    assert counter.start() or counter.start()
    step()
    work = counter.stop()
    told |= {{
        "flops": sum(entry.work.flops for entry in work.entries if entry.work),
        "fused": [entry.operator for entry in work.entries if entry.operator.startswith("fused")],
        "unseen": counter.compiled.unseen,
        "doubts": counter.compiled.told(),
        "fault": watch.fault,
    }}
print(json.dumps(told))
"""


def test_a_warm_cache_is_attributed_and_stays_usable(repository, tmp_path):
    def run(*arguments):
        roots = os.pathsep.join(str(repository / root) for root in ("profiler", "kernels"))
        environment = os.environ | {
            "TORCHINDUCTOR_CACHE_DIR": str(tmp_path),
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": roots,
        }
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, *arguments],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    cold = run("watched")  # fills the caches like any other run
    warm = run()
    assert warm["autograd"] + warm["graphs"] > 0  # so that the next could fail
    for found in (cold, run("watched")):
        assert found["flops"] == 2 * LINEAR
        assert any("gelu" in name for name in found["fused"])
        assert found["unseen"] == 0
        assert found["doubts"] == []
        assert found["fault"] == ""
        assert found["graphs"] == found["autograd"] == 0
