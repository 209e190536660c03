"""Appends lines to a file from a thread of its own: the caller never waits for a disk.

A killed process loses what it said in the last quarter of a second; a full disk loses nothing
until `ROOM` bytes wait, and never stops the program.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec

try:
    import fcntl
except ImportError:  # Windows has none
    fcntl = None  # type: ignore[assignment]  # as said

from goodput.events.wire import GAP, Entry

INTERVAL_SECONDS = 0.25
"""How often what was said is written."""
QUIET_NS = 500_000_000
"""After so long without an event the beat is written."""
ROOM = 1 << 25
"""Bytes that may wait for a disk that takes none."""

Opener = Callable[[Path], int]
Write = Callable[[int, bytes], int]


def _open(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)


class Journal:
    """The file and the thread.

    Args:
        path: appended to; made where it is not there.
        beat: entries to add at each writing, such as that the process lives.
        now: nanoseconds since 1970.
        tell: says a sentence when the disk fails and when it works again.
        write: `os.write`, or what stands for it in a test.

    Raises:
        OSError: the file cannot be opened.
        BlockingIOError: another process writes to it.
    """

    def __init__(
        self,
        path: Path,
        beat: Callable[[], Iterable[Entry]],
        now: Callable[[], int],
        tell: Callable[[str], None],
        write: Write = os.write,
    ) -> None:
        self._path, self._beat, self._now, self._tell = path, beat, now, tell
        self._write_bytes = write
        self._encode = msgspec.json.Encoder().encode
        self._said: deque[Entry] = deque()
        self._waiting = bytearray()
        self._lost = 0
        self._failed_at = 0
        self._last_beat = now()
        self._over = False
        self._file = _open(path)
        _lock(self._file)
        if _is_cut_off(path):
            self._waiting += b"\n"  # a killed writer left its last line cut off
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="goodput ledger", daemon=True)
        self.say: Callable[[Entry], None] = self._said.append

    def start(self) -> None:
        """Begins to write."""
        self._thread.start()

    def close(self) -> None:
        """Writes what is left and ends the thread; says so where it cannot be written."""
        if self._over:
            return
        self._over = True
        self._stop.set()
        self._thread.join()
        self.flush()
        if self._waiting or self._lost:
            self._tell(f"the end of the ledger {self._path} could not be written")
        os.close(self._file)

    def abandon(self) -> None:
        """In a forked child, which is another program: nothing more is written from here.

        The thread is not there, and a lock of its own may be held for ever.
        """
        self._over = True
        self.say = _ignore
        os.close(self._file)

    def _run(self) -> None:
        while not self._stop.wait(INTERVAL_SECONDS):
            self._take_beat()
            self.flush()

    def _take_beat(self) -> None:
        """A sign of life where a second passed without one."""
        now = self._now()
        if self._said:
            self._last_beat = now
        if now - self._last_beat >= QUIET_NS:
            self._last_beat = now
            self._said.extend(self._beat())

    def flush(self) -> None:
        """Writes what was said, as far as the disk takes it."""
        self._take()
        if not self._waiting:
            return
        try:
            self._put()
        except OSError as error:
            self._failed(error)
        else:
            self._works()

    def _take(self) -> None:
        """Moves what was said to what waits, as lines."""
        encode, said = self._encode, self._said
        for _ in range(len(said)):
            entry = said.popleft()
            if len(self._waiting) > ROOM:
                self._lost += 1
            else:
                self._waiting += encode(entry) + b"\n"

    def _put(self) -> None:
        while self._waiting:
            # Part of a line may be taken; the rest follows when there is room again.
            taken = self._write_bytes(self._file, bytes(self._waiting[:ROOM]))
            del self._waiting[:taken]
        with contextlib.suppress(OSError):  # a pipe has nothing to sync
            os.fdatasync(self._file) if hasattr(os, "fdatasync") else os.fsync(self._file)

    def _failed(self, error: OSError) -> None:
        if not self._failed_at:
            self._failed_at = self._now()
            self._tell(
                f"the ledger {self._path} cannot be written ({error.strerror}); "
                "the program goes on, and what it says is kept in memory meanwhile"
            )

    def _works(self) -> None:
        if self._failed_at:
            gap = Entry(GAP, start_ns=self._failed_at, end_ns=self._now(), lost=self._lost)
            self._failed_at = self._lost = 0
            self._said.append(gap)
            self._tell(f"the ledger {self._path} is written again")


def _lock(file: int) -> None:
    """Makes this process the only writer, where the system has such locks; its death frees it.

    Lines of two processes between each other would be told as one that goes back and forth.
    """
    if fcntl is None:
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(file)
        raise
    except OSError:  # a file system without locks: then nothing is known
        return


def _is_cut_off(path: Path) -> bool:
    """Whether `path` ends in a line that is cut off."""
    with path.open("rb") as file:
        if not file.seek(0, os.SEEK_END):
            return False
        file.seek(-1, os.SEEK_END)
        return file.read(1) != b"\n"


def _ignore(_entry: Entry) -> None:
    return
