"""The device in use, what measures it, and the library versions that its roofs depend on."""

from __future__ import annotations

import platform
import sys
from importlib.metadata import PackageNotFoundError, entry_points, version
from importlib.util import find_spec

from goodput.calibration.ways import JAX, TORCH
from goodput.device import DeviceIdentity
from goodput.errors import NotMeasuredError
from goodput.frontends.host_device import cpu_identity

_LIBRARIES = ("torch", "numpy", "jax", "triton")
_NOTHING = (
    "no framework is installed, and without one there is nothing to measure with; "
    "pip install 'goodput-profiler[torch]' or 'goodput-profiler[jax]'"
)


def identity(torch_device: str = "") -> DeviceIdentity:
    """The device that torch calls `torch_device`; without a name, the one this process uses.

    torch is not imported for its CPU, nor where the program did not import it.
    """
    if torch_device.startswith("cpu") or (not torch_device and "torch" not in sys.modules):
        return cpu_identity()
    from goodput.frontends import torch_device as front_end

    return front_end.identity(torch_device)


def best_device() -> tuple[DeviceIdentity, str]:
    """The device that this machine computes on best, and the framework that measures it.

    A CUDA or HIP device that torch sees; else one that JAX sees (torch may be a build for CPUs);
    else the CPU.

    Raises:
        NotMeasuredError: no framework is installed.
    """
    if find_spec("torch") is not None:
        from goodput.frontends import torch_device

        found = torch_device.best()
        if found.kind != "cpu":
            return found, TORCH
    if _jax_has_devices():
        from goodput.frontends import jax_device

        found = jax_device.identity()
        if found.kind != "cpu":
            return found, JAX
    found = cpu_identity()
    return found, framework_of(found)


def _jax_has_devices() -> bool:
    """Whether JAX may see more than a CPU: to ask it would settle how many threads its CPU has."""
    if find_spec("jax") is None:
        return False
    return find_spec("libtpu") is not None or bool(entry_points(group="jax_plugins"))


def framework_of(device: DeviceIdentity) -> str:
    """The framework that measures `device` in this process: the one that the program uses.

    Raises:
        NotMeasuredError: no framework is installed.
    """
    if device.kind == "tpu":
        return JAX
    in_use = [name for name in (TORCH, JAX) if sys.modules.get(name) is not None]
    installed = [name for name in (TORCH, JAX) if find_spec(name) is not None]
    if not installed:
        raise NotMeasuredError(_NOTHING)
    return (in_use or installed)[0]


def device_count() -> int:
    """CUDA or HIP devices that this process sees."""
    from goodput.frontends import torch_device

    return torch_device.count()


def driver_name(framework: str) -> str:
    """What an NVIDIA driver calls the current device; "0" where JAX does not tell."""
    if framework == JAX:
        return "0"
    from goodput.frontends import torch_device

    return torch_device.driver_name()


def free_bytes(framework: str) -> int | None:
    """Memory of the current device that nobody uses now; None where its runtime does not tell."""
    if framework == JAX:
        from goodput.frontends import jax_device

        return jax_device.free_bytes()
    from goodput.frontends import torch_device

    return torch_device.free_bytes()


def software_versions() -> dict[str, str]:
    """Versions of Python and of the libraries whose kernels make the roofs."""
    found = {"python": platform.python_version()}
    for library in _LIBRARIES:
        try:
            found[library] = version(library)
        except PackageNotFoundError:
            continue
    return found
