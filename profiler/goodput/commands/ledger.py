"""`goodput.Ledger`: what a training program says of itself while it runs."""

from __future__ import annotations

import atexit
import os
import socket
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import msgspec

from goodput.commands.streams import tell
from goodput.errors import NotMeasuredError, UsageError, typed_line
from goodput.events.journal import Journal
from goodput.events.recorder import Recorder
from goodput.events.wire import CHECKPOINT_SAVE, OPEN, SCHEMA, VERSION, Entry
from goodput.measure.clock import moments
from goodput.recording import ranks

if TYPE_CHECKING:
    from transformers import TrainerCallback

_JOB_NAMES = ("SLURM_JOB_ID", "TORCHELASTIC_RUN_ID")
_NO_NAME = frozenset(("", "none"))


class Ledger(Recorder):
    """An append-only file of what a job does: steps, checkpoints, waits, failures.

    Every process of a job opens one; each rank writes a file of its own (`run.jsonl` becomes
    `run.rank1.jsonl`), and a job that is started again appends. A thread writes, so that an event
    costs the program a few microseconds and a full disk costs it nothing. `goodput job` reads it.

        ledger = goodput.Ledger("run.jsonl")
        with ledger.step(n, tokens=...):
            ...

    At the end of the process it is closed: with a clean end, unless an exception ended it.
    A script that ends itself by `sys.exit(1)` says `failure(cause)` before, or
    `close(clean=False)`.

    Args:
        path: the file; of several ranks each has its number in the name.
        job: the job's name; without it the launcher's, or the file's.
        devices: how many this process drives.
        rank, world_size: without them as the launcher's environment says.

    Raises:
        NotMeasuredError: the file cannot be opened, or another process writes to it.
        UsageError: `devices` is less than one.
    """

    def __init__(  # each is said by name
        self,
        path: str | os.PathLike[str],
        *,
        job: str = "",
        devices: int = 1,
        rank: int | None = None,
        world_size: int | None = None,
        now: Callable[[], int] | None = None,
    ) -> None:
        if devices < 1:
            raise UsageError(f"devices={devices}: a rank drives at least one")
        place = ranks.here()
        if rank is not None:
            place = ranks.Place(rank, max(world_size or 1, rank + 1))
        file = ranks.path_of_rank(Path(path).absolute(), place)
        opening = Entry(
            OPEN,
            schema=f"{SCHEMA}/{VERSION}",
            job=job or _job_of_launcher(),
            rank=place.rank,
            world_size=place.world_size,
            devices=devices,
            host=socket.gethostname(),
        )
        clock = now or moments()
        saved = _last_saved(file)
        try:
            super().__init__(opening, clock, partial(Journal, file, now=clock, tell=tell), saved)
        except BlockingIOError as error:
            raise NotMeasuredError(
                f"another process writes the ledger {file}: give each rank its own number "
                "(rank=, world_size=), or each job a file of its own"
            ) from error
        except OSError as error:
            raise NotMeasuredError(
                f"the ledger {file} cannot be opened ({error.strerror}); name another place"
            ) from error
        atexit.register(self._at_exit)

    def __enter__(self) -> Self:
        """The ledger; the end of the block closes it."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Closes it: where the block raised, with the error as the cause of a failure."""
        self.end(error)

    def close(self, *, clean: bool = True) -> None:
        """The program ends here; after a `clean` end every step that was done is kept."""
        atexit.unregister(self._at_exit)
        super().close(clean=clean)

    def end(self, error: BaseException | None) -> None:
        """Closes it, after `error` where there is one; leaving by `sys.exit(0)` is none."""
        if error is None or (isinstance(error, SystemExit) and not error.code):
            self.close()
            return
        if not self.is_closed:
            self.failure(typed_line(error))
        self.close(clean=False)

    def hf_callback(self) -> TrainerCallback:
        """A callback for Hugging Face's `Trainer(callbacks=[...])` that says what it does."""
        from goodput.frontends.hf_ledger import LedgerCallback

        return LedgerCallback(self)

    def lightning_callback(self) -> object:
        """A callback for Lightning's `Trainer(callbacks=[...])` that says what it does.

        Raises:
            UsageError: Lightning is not installed.
        """
        from goodput.frontends import lightning_ledger

        try:
            return lightning_ledger.callback(self)
        except ImportError as error:
            raise UsageError("Lightning is not installed here: pip install lightning") from error

    def end_with(self, status: int) -> None:
        """Closes it after a program that ended with `status`."""
        if status and not self.is_closed:
            self.failure(f"exit status {status}")
        self.close(clean=not status)

    def _at_exit(self) -> None:
        # The interpreter leaves the exception here that it printed before it ends.
        self.end(getattr(sys, "last_value", None))


def _last_saved(file: Path) -> int | None:
    """The last step that a whole checkpoint of the file holds; None where there is none.

    Line by line and without the accounting, which needs numpy: a script sets its environment first.
    """
    last = None
    if not file.is_file():
        return None
    with file.open("rb") as lines:
        for line in lines:
            if CHECKPOINT_SAVE.encode() not in line:
                continue
            try:
                entry = msgspec.json.decode(line, type=Entry)
            except msgspec.MsgspecError:
                continue
            if entry.event == CHECKPOINT_SAVE and entry.ok and entry.end_ns is not None:
                last = entry.step if entry.step is not None else last
    return last


def _job_of_launcher() -> str:
    names = (os.environ.get(name, "") for name in _JOB_NAMES)
    return next((name for name in names if name not in _NO_NAME), "")
