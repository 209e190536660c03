"""Which device a JAX program runs on, and with which library versions."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import jax

from goodput.device import DeviceIdentity
from goodput.frontends.host_device import cpu_identity

_PACKAGES = ("jax", "jaxlib", "libtpu", "jax-cuda12-plugin", "jax-cuda13-plugin")
_SETTINGS = ("XLA_FLAGS", "LIBTPU_INIT_ARGS")
_PLATFORMS = {"hip": "rocm"}


def identity(kind: str = "") -> DeviceIdentity:
    """The first local device of `kind` (`cpu`, `cuda`, `hip`, `tpu`); without one, jax's default.

    `name` is what the runtime calls it. `memory_bytes` is what the runtime may take, on a GPU by
    default three quarters of what there is.

    Raises:
        RuntimeError: jax has no such device.
    """
    return identity_of(jax.local_devices(backend=_PLATFORMS.get(kind, kind) or None)[0])


def identity_of(device: Any) -> DeviceIdentity:
    """The identity of a `jax.Device`."""
    kind = kind_of(device)
    if kind == "cpu":
        return cpu_identity()
    memory = device.memory_stats() or {}
    return DeviceIdentity(
        kind=kind,
        name=device.device_kind,
        # Of a GPU the number of its multiprocessors; other runtimes may not say.
        units=getattr(device, "core_count", None) or 0,
        memory_bytes=memory.get("bytes_limit", 0),
    )


def kind_of(device: Any) -> str:
    """`cpu`, `cuda`, `hip` or `tpu`; what jax calls its platform where it is another one."""
    name: str = device.platform
    if name not in {"gpu", "cuda", "rocm"}:
        return name
    return "hip" if "rocm" in f"{name} {device.client.platform_version}".lower() else "cuda"


def free_bytes() -> int | None:
    """Memory of jax's default device that nothing holds now; None where the runtime is silent."""
    memory = jax.local_devices()[0].memory_stats() or {}
    if "bytes_limit" not in memory:
        return None
    return int(memory["bytes_limit"]) - int(memory.get("bytes_in_use", 0))


def environment() -> dict[str, str]:
    """Versions and settings that a step's time depends on."""
    found = versions()
    found["runtime"] = jax.local_devices()[0].client.platform_version.splitlines()[0]
    found |= {name.lower(): os.environ[name] for name in _SETTINGS if os.environ.get(name)}
    return found


def versions() -> dict[str, str]:
    """Versions alone; no device is asked for."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
