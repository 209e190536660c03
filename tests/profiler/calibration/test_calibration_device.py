"""Which device a capacity is of, and with which libraries."""

import subprocess
import sys

from goodput.calibration.device import identity, software_versions
from goodput.frontends.host_device import cpu_identity


def test_the_cpu_is_named_by_model_and_cores():
    device = identity("cpu")
    assert device == cpu_identity()
    assert device.kind == "cpu"
    assert f", {device.units} core" in device.name


def test_the_versions_are_those_of_the_libraries():
    assert {"python", "numpy"} <= set(software_versions())


def test_neither_imports_torch():
    code = (
        "import sys; from goodput.calibration import device, roofs; device.identity('cpu'); "
        "device.identity(); device.software_versions(); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    twin = code.replace("import sys;", "import sys; import torch;")
    assert subprocess.run([sys.executable, "-c", twin], check=False).returncode == 1
