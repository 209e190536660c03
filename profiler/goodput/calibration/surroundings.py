"""What a measurement depended on besides the device: threads, libraries, driver, neighbours."""

from __future__ import annotations

import os
from collections.abc import Iterable

from goodput.calibration.ways import Target
from goodput.capacity.measurement import Surroundings
from goodput.frontends.host_device import cores_in_use
from goodput.frontends.nvidia_clocks import Reading
from goodput_kernels.candidate import Candidate


def surroundings(
    target: Target,
    software: dict[str, str],
    rivals: Iterable[Candidate],
    readings: tuple[Reading, ...] = (),
    others: tuple[str, ...] = (),
) -> Surroundings:
    """The surroundings of now.

    Args:
        target: the device.
        software: library versions.
        rivals: everything that competed; their libraries are the backends.
        readings: of the driver, while it was measured.
        others: processes that used the device when the measurement began.
    """
    affinity = getattr(os, "sched_getaffinity", None)
    last = readings[-1] if readings else None
    return Surroundings(
        threads=cores_in_use() if target.on_cpu else 0,
        affinity=tuple(sorted(affinity(0))) if affinity else (),
        backends=tuple(sorted({rival.library for rival in rivals})),
        software=software,
        driver=last.driver if last else "",
        power_limit_watts=last.power_limit_watts if last else None,
        max_clock_hz=last.max_clock_hz if last else None,
        others=others,
    )
