"""The Triton kernels in Triton's interpreter: runs interpreted_triton_kernels.py beside it."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

triton = pytest.importorskip("triton", reason="Triton is not installed (Linux only)")
KERNELS = Path(__file__).with_name("interpreted_triton_kernels.py")


@pytest.mark.skipif(
    triton.__version__.startswith("3.6."),
    reason="Triton 3.6's interpreter makes scalars of arrays, which NumPy 2.4 refuses",
)
def test_every_kernel_is_right_in_the_interpreter_and_broken_ones_are_found_out(repository):
    environment = os.environ | {"TRITON_INTERPRET": "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", os.fspath(KERNELS)]
    run = subprocess.run(
        command, cwd=repository, env=environment, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr
    passed = re.search(r"(\d+) passed", run.stdout)
    assert passed is not None
    assert int(passed[1]) >= 60
    assert "skipped" not in run.stdout
