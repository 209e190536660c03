"""The device in use and the library versions that its roofs depend on."""

from __future__ import annotations

import platform
import sys
from importlib.metadata import PackageNotFoundError, version

from goodput.device import DeviceIdentity
from goodput.frontends.host_device import cpu_identity

_LIBRARIES = ("torch", "numpy", "jax", "triton")


def identity(torch_device: str = "") -> DeviceIdentity:
    """The device that torch calls `torch_device`; without a name, the one this process uses.

    torch is not imported for its CPU, nor where the program did not import it.
    """
    if torch_device.startswith("cpu") or (not torch_device and "torch" not in sys.modules):
        return cpu_identity()
    from goodput.frontends import torch_device as front_end

    return front_end.identity(torch_device)


def best_device() -> DeviceIdentity:
    """The device that this machine computes on best, as torch sees it."""
    from goodput.frontends import torch_device

    return torch_device.best()


def device_count() -> int:
    """CUDA or HIP devices that this process sees."""
    from goodput.frontends import torch_device

    return torch_device.count()


def driver_name() -> str:
    """What an NVIDIA driver calls the current device."""
    from goodput.frontends import torch_device

    return torch_device.driver_name()


def software_versions() -> dict[str, str]:
    """Versions of Python and of the libraries whose kernels make the roofs."""
    found = {"python": platform.python_version()}
    for library in _LIBRARIES:
        try:
            found[library] = version(library)
        except PackageNotFoundError:
            continue
    return found
