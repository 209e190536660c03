"""Clocks, power and throttling of an NVIDIA GPU while something runs, as its driver tells them.

Asks `nvidia-smi`, which comes with the driver: no library has to be there. Where it is not, nothing
is known, and that is what is said.
"""

from __future__ import annotations

import shutil
import subprocess
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import IO, Self

from goodput.measure.clock import Clock

_COMMAND = "nvidia-smi"
_PERIOD_MILLISECONDS = 50
_HERTZ = 1e6  # nvidia-smi tells MHz
_FIELDS = (
    *("clocks.sm", "clocks.max.sm", "power.draw", "power.limit"),
    *("temperature.gpu", "clocks_throttle_reasons.active", "driver_version"),
)
_TIMEOUT_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Reading:
    """One answer of the driver; None for what it does not tell."""

    moment: float
    clock_hz: float | None
    max_clock_hz: float | None
    power_watts: float | None
    power_limit_watts: float | None
    celsius: float | None
    reasons: int
    driver: str


@dataclass(slots=True)
class ClockWatch:
    """Reads the clocks twenty times a second between entry and exit.

    Args:
        clock: the host's, for the moments of the readings.
        gpu: the GPU's number as the driver counts, or its UUID.
    """

    clock: Clock
    gpu: str = "0"
    readings: list[Reading] = field(default_factory=list)
    _process: subprocess.Popen[str] | None = None
    _thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        """Begins to read, where there is a driver to ask."""
        if shutil.which(_COMMAND):
            arguments = (*_query(self.gpu), "-lms", str(_PERIOD_MILLISECONDS))
            try:
                self._process = subprocess.Popen(
                    arguments, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
                )
            except OSError:  # it may not be run
                return self
            assert self._process.stdout is not None  # noqa: S101 - it is a pipe
            self._thread = threading.Thread(target=self._read, args=(self._process.stdout,))
            self._thread.daemon = True
            self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Ends reading."""
        if self._process is not None and self._thread is not None:
            self._process.terminate()
            self._process.wait()
            self._thread.join()

    def _read(self, lines: IO[str]) -> None:
        for line in lines:
            reading = parse(line, self.clock.now())
            if reading is not None:
                self.readings.append(reading)


def during(
    readings: Iterable[Reading], spans: Sequence[tuple[float, float]]
) -> tuple[Reading, ...]:
    """The readings of some intervals of the host's clock."""
    return tuple(r for r in readings if any(start <= r.moment <= end for start, end in spans))


def highest_clock(readings: tuple[Reading, ...]) -> float | None:
    """The highest clock that the driver told of the device; None where it told none."""
    return max((r.max_clock_hz for r in readings if r.max_clock_hz), default=None)


def mean_clock(readings: tuple[Reading, ...]) -> float | None:
    """The mean clock of readings; None without any."""
    clocks = [reading.clock_hz for reading in readings if reading.clock_hz is not None]
    return sum(clocks) / len(clocks) if clocks else None


def reasons(readings: tuple[Reading, ...]) -> int:
    """All reasons for a low clock that were active at any time."""
    bits = 0
    for reading in readings:
        bits |= reading.reasons
    return bits


def parse(line: str, moment: float) -> Reading | None:
    """One line of the driver's answer; None for a line that is none."""
    parts = [part.strip() for part in line.split(",")]
    if len(parts) != len(_FIELDS):
        return None
    clock, most, power, limit, celsius, bits, driver = parts
    return Reading(
        moment=moment,
        clock_hz=_scaled(clock, _HERTZ),
        max_clock_hz=_scaled(most, _HERTZ),
        power_watts=_scaled(power, 1.0),
        power_limit_watts=_scaled(limit, 1.0),
        celsius=_scaled(celsius, 1.0),
        reasons=int(bits, 16) if bits.startswith("0x") else 0,
        driver=driver,
    )


def other_processes(own: int, gpu: str = "0") -> tuple[str, ...]:
    """Names of the other processes that compute on the GPU now; none where nobody tells."""
    if not shutil.which(_COMMAND):
        return ()
    query = ("--query-compute-apps=pid,process_name", "--format=csv,noheader")
    try:
        done = subprocess.run(
            (_COMMAND, "-i", gpu, *query),
            capture_output=True,
            text=True,
            check=False,
            timeout=_TIMEOUT_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ()
    rows = (line.partition(",") for line in done.stdout.splitlines() if "," in line)
    return tuple(name.strip() for pid, _, name in rows if pid.strip() != str(own))


def _query(gpu: str) -> tuple[str, ...]:
    fields = ",".join(_FIELDS)
    return (
        *(_COMMAND, "-i", gpu),
        *(f"--query-gpu={fields}", "--format=csv,noheader,nounits"),
    )


def _scaled(text: str, factor: float) -> float | None:
    try:
        return float(text) * factor
    except ValueError:  # `[N/A]`, `[Not Supported]`
        return None
