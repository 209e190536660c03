"""Collectives between the ranks of this host: a process for each, gloo on a CPU, NCCL on GPUs."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from goodput.calibration.figures import Circumstances
from goodput.calibration.validity import agreeing, correct, spread_of, status_of
from goodput.capacity.measurement import BURST, UNSUPPORTED, Measurement
from goodput.measure.statistics import median
from goodput_kernels.candidate import Verification
from goodput_kernels.collectives import bus_factor

SIZES = (1 << 12, 1 << 18, 1 << 24)
"""Bytes of a message: latency, middle, bandwidth."""

TIMEOUT_SECONDS = 120.0
_CPU_RANKS = 2


def ranks_of(device_count: int, *, on_cpu: bool) -> int:
    """How many ranks a host has: one for each device; two on a CPU, whose link is its memory."""
    return _CPU_RANKS if on_cpu else device_count


def measure_collectives(
    ranks: int, around: Circumstances, sizes: tuple[int, ...] = SIZES
) -> tuple[Measurement, ...]:
    """Every collective at every size over `ranks` processes; nothing for a single rank.

    The rate is the bus bandwidth: message bytes per second times the factor of the collective, the
    figure that does not depend on the number of ranks. A host whose processes cannot talk to each
    other gives one `unsupported` row with the reason.
    """
    if ranks < _CPU_RANKS:
        return ()
    backend = "gloo" if around.target.on_cpu else "nccl"
    try:
        rows = _run(ranks, backend, sizes)
    except (OSError, subprocess.SubprocessError, json.JSONDecodeError) as error:
        return (_unsupported(ranks, backend, _reason(error), around),)
    return tuple(_measurement(row, ranks, backend, around) for row in rows)


def _run(ranks: int, backend: str, sizes: tuple[int, ...]) -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder:
        store = str(Path(folder) / "store")
        command = [sys.executable, "-m", "goodput.frontends.torch_collectives"]
        words = [str(ranks), backend, store, *map(str, sizes)]
        processes = [
            subprocess.Popen(
                [*command, str(rank), *words],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for rank in range(ranks)
        ]
        try:
            outputs = [process.communicate(timeout=TIMEOUT_SECONDS) for process in processes]
        finally:
            for process in processes:
                process.kill()
                process.wait()
    for process, (_, errors) in zip(processes, outputs, strict=True):
        if process.returncode:
            raise subprocess.CalledProcessError(process.returncode, command, stderr=errors)
    rows: list[dict[str, Any]] = json.loads(outputs[0][0])
    return rows


def _measurement(
    row: dict[str, Any], ranks: int, backend: str, around: Circumstances
) -> Measurement:
    factor = bus_factor(row["name"], ranks)
    bouts = tuple(
        tuple(factor * row["amount"] / seconds for seconds in bout) for bout in row["bouts"]
    )
    checks = (
        correct(Verification(row["error"], row["limit"], row["compared"])),
        agreeing(bouts),
    )
    rate = max(median(bout) for bout in bouts)
    return Measurement(
        unit="collective",
        subject=f"{row['name']}, {ranks} ranks over {backend}",
        regime=BURST,
        rate=rate,
        quantity="B",
        status=status_of(rate, checks),
        kernel=row["label"],
        size=row["size"],
        bouts=bouts,
        spread=spread_of(bouts),
        checks=checks,
        detail=f"bus bandwidth: message bytes per second times {factor:.3g}",
        measured_at=around.date,
    )


def _unsupported(ranks: int, backend: str, reason: str, around: Circumstances) -> Measurement:
    return Measurement(
        unit="collective",
        subject=f"{ranks} ranks over {backend}",
        regime=BURST,
        rate=None,
        quantity="B",
        status=UNSUPPORTED,
        detail=reason,
        measured_at=around.date,
    )


def _reason(error: Exception) -> str:
    """The last line that a failed rank wrote, or the error's own words."""
    written = getattr(error, "stderr", None)
    lines = written.strip().splitlines() if isinstance(written, str) else []
    return lines[-1] if lines else str(error)
