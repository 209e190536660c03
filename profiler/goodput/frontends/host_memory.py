"""How much memory this process takes at most during a call: the system's own high-water mark.

Linux alone keeps one that can be set back; elsewhere nothing is told. A process that watches it
allocates otherwise than it would: nothing is to be timed in it.
"""

from __future__ import annotations

import ctypes
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_STATUS = Path("/proc/self/status")
_RESET = Path("/proc/self/clear_refs")
_RESET_HIGH_WATER = "5"  # man 5 proc_pid_clear_refs
_FIELD = re.compile(r"^(VmHWM|VmRSS):\s+(\d+) kB$", re.MULTILINE)
_KIBIBYTE = 1 << 10
_M_MMAP_THRESHOLD = -3  # of malloc.h
_LARGE_BYTES = 1 << 16


@dataclass(slots=True)
class HighWater:
    """Memory in use at most since `forget`, over what was in use then."""

    _before: int | None = None

    def forget(self) -> None:
        """Gives freed memory back, now and from now on, so that using it again is seen."""
        with suppress(OSError, AttributeError):  # only glibc keeps large blocks that were freed
            library = ctypes.CDLL(None)
            library.mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)
            library.malloc_trim(0)
        try:
            _RESET.write_text(_RESET_HIGH_WATER, encoding="ascii")
        except OSError:
            self._before = None
        else:
            self._before = _status().get("VmRSS")

    def peak_bytes(self) -> int | None:
        """Bytes; None where the system does not tell."""
        most = _status().get("VmHWM")
        if self._before is None or most is None:
            return None
        return max(most - self._before, 0)


def _status() -> dict[str, int]:
    try:
        text = _STATUS.read_text(encoding="ascii")
    except OSError:
        return {}
    return {name: int(kibibytes) * _KIBIBYTE for name, kibibytes in _FIELD.findall(text)}
