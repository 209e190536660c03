"""This machine's CPU as a device: its name, the cores that this process may use, its caches.

Reads what the operating system says (Linux; elsewhere what Python knows). Imports no framework.
"""

from __future__ import annotations

import math
import os
import platform
from pathlib import Path

from goodput.device import DeviceIdentity

_CPUINFO = Path("/proc/cpuinfo")
_CACHES = Path("/sys/devices/system/cpu/cpu0/cache")
_STATISTICS = Path("/proc/stat")
_QUOTA = Path("/sys/fs/cgroup/cpu.max")
_MULTIPLES = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


def cpu_identity() -> DeviceIdentity:
    """The CPU, named by its model and the number of cores that this process may use."""
    cores = cores_in_use()
    return DeviceIdentity(
        kind="cpu",
        name=f"{_model()}, {cores} core{'s' * (cores != 1)}",
        units=cores,
        memory_bytes=_memory_bytes(),
        last_level_cache_bytes=last_level_cache_bytes(),
    )


def cores_in_use(quota: Path = _QUOTA) -> int:
    """Cores that this process may run on: its affinity, less where a container has a quota."""
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    allowed, _, period = _text(quota).partition(" ")
    if allowed.isdecimal() and period.strip().isdecimal():
        cores = min(cores, math.ceil(int(allowed) / int(period)))
    return max(cores, 1)


def last_level_cache_bytes(caches: Path = _CACHES) -> int:
    """Size of the cache of the highest level; 0 where the system does not say."""
    sizes: dict[int, int] = {}
    for index in caches.glob("index*"):
        level, size = _text(index / "level"), _text(index / "size")
        if level.isdecimal() and size[:-1].isdecimal() and size[-1] in _MULTIPLES:
            sizes[int(level)] = int(size[:-1]) * _MULTIPLES[size[-1]]
    return sizes[max(sizes)] if sizes else 0


def busy_seconds(statistics: Path = _STATISTICS) -> float | None:
    """Seconds for which the cores of this process were not idle, summed; None where not told.

    What a hypervisor took from them counts as busy.
    """
    affinity = getattr(os, "sched_getaffinity", None)
    cores = {f"cpu{core}" for core in affinity(0)} if affinity else set()
    ticks = 0
    for line in _text(statistics).splitlines():
        name, *counts = line.split()
        if name in cores:
            # user nice system idle iowait irq softirq steal guest guest_nice; guest is in user.
            ticks += sum(map(int, counts[:8])) - sum(map(int, counts[3:5]))
    return ticks / os.sysconf("SC_CLK_TCK") if ticks else None


def _model(cpuinfo: Path = _CPUINFO) -> str:
    for line in _text(cpuinfo).splitlines():
        key, _, value = line.partition(":")
        if key.strip() == "model name":
            return " ".join(value.split())
    return platform.processor() or platform.machine() or "CPU"


def _memory_bytes() -> int:
    names = getattr(os, "sysconf_names", {})
    if "SC_PHYS_PAGES" not in names or "SC_PAGE_SIZE" not in names:
        return 0
    return max(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"), 0)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
