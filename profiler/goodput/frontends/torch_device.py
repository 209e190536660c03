"""Which device a torch program runs on, and with which library versions."""

from __future__ import annotations

import platform

import torch

from goodput.device import DeviceIdentity
from goodput.frontends.host_device import cpu_identity
from goodput.frontends.torch_passes import uses_device

_PYTHON = platform.python_version()


def identity(torch_device: str = "") -> DeviceIdentity:
    """The device that this process computes on, or the one that torch calls `torch_device`.

    Without a name: the current CUDA or HIP device if the program has used one, else the CPU.
    """
    if torch_device.startswith("cuda") or (not torch_device and uses_device()):
        return _cuda(torch_device or "cuda")
    return cpu_identity()


def best() -> DeviceIdentity:
    """The device that this machine computes on best: its CUDA or HIP device, else its CPU."""
    return _cuda("cuda") if torch.cuda.is_available() else cpu_identity()


def count() -> int:
    """CUDA or HIP devices that this process sees."""
    return int(torch.cuda.device_count())


def free_bytes() -> int:
    """Memory of the current CUDA or HIP device that nobody uses now."""
    free, _ = torch.cuda.mem_get_info()
    return int(free)


def driver_name() -> str:
    """What an NVIDIA driver calls the current device: its UUID, which no setting renumbers."""
    uuid = getattr(torch.cuda.get_device_properties("cuda"), "uuid", None)
    return f"GPU-{uuid}" if uuid else str(torch.cuda.current_device())


def environment() -> dict[str, str]:
    """Versions and settings that a step's time depends on."""
    found = {
        "python": _PYTHON,
        "torch": str(torch.__version__),
        "threads": str(torch.get_num_threads()),
    }
    if uses_device():
        found["cuda"] = torch.version.cuda or ""
        found["hip"] = torch.version.hip or ""
        found["device_index"] = str(torch.cuda.current_device())
    return {key: value for key, value in found.items() if value}


def _cuda(torch_device: str) -> DeviceIdentity:
    properties = torch.cuda.get_device_properties(torch_device)
    return DeviceIdentity(
        kind="hip" if torch.version.hip else "cuda",
        name=properties.name,
        units=properties.multi_processor_count,
        memory_bytes=properties.total_memory,
        last_level_cache_bytes=getattr(properties, "L2_cache_size", 0),
    )
