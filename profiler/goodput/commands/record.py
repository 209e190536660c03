"""The explicit API: `with goodput.record("name.goodput") as r: ... r.step()`."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from goodput.capacity.profile import Capacity
from goodput.commands.given import read_capacity
from goodput.commands.judgement import judged
from goodput.commands.streams import tell
from goodput.errors import GoodputError, NotMeasuredError, UsageError
from goodput.readers import recording_file
from goodput.recording import ranks
from goodput.recording.session import Session
from goodput.trace.recording import Recording


def record(
    path: str | os.PathLike[str],
    *,
    steps: int = 10,
    warmup: int | None = None,
    capacity: Capacity | str | os.PathLike[str] | bool = True,
) -> Session:
    """A session that measures the steps marked with its `step()` and saves the recording to `path`.

    At the end of the block the roofs of the device are measured and saved with the recording, as
    `goodput run` does: in about 20 s the first time on a machine, by a spot check of at most 1.5 s
    from then on. A block that raises is not held up: then no roofs are measured. Whatever cannot be
    measured or saved is said on stderr and never raised at the end of the block.

    Under `goodput run` it only marks the steps: the run saves and reports them.

    Args:
        path: the recording's file; with several ranks each rank's number goes into its name.
        steps: undisturbed steps to time.
        warmup: steps to let pass first; None to wait until their times settle.
        capacity: True measures the roofs; False leaves them out; a capacity, or a file that holds
            one (a recording does), gives them.

    Raises:
        UsageError: `steps` or `warmup` is too small, or the file holds no capacity.
    """
    if steps < 1 or (warmup is not None and warmup < 0):
        raise UsageError(
            f"steps={steps}, warmup={warmup}: give at least 1 step and 0 or more to warm up"
        )
    given = capacity if isinstance(capacity, bool | Capacity) else read_capacity(Path(capacity))
    # Absolute, since the block may change the directory.
    return Session(steps, warmup, _Ending(Path(path).absolute(), given).conclude, tell)


@dataclass(frozen=True, slots=True)
class _Ending:
    """What follows the block.

    Attributes:
        path: the recording's file, without a rank.
        capacity: the roofs that were given, or whether to measure some.
    """

    path: Path
    capacity: Capacity | bool

    def conclude(self, recording: Recording, error: BaseException | None) -> None:
        """Saves `recording` with the roofs; `error` is what the block raised."""
        capacity = None
        try:
            capacity = self._roofs(recording, error)
        except GoodputError as trouble:
            tell(str(trouble))
        finally:
            # Also where Ctrl-C ended the measuring of the roofs.
            _save(recording, ranks.path_of_rank(self.path, ranks.here()), capacity)

    def _roofs(self, recording: Recording, error: BaseException | None) -> Capacity | None:
        if isinstance(self.capacity, Capacity):
            return judged(recording, self.capacity)[0]
        # An error must not be held up by a measurement; sys.exit() is none.
        if not self.capacity or not (error is None or isinstance(error, SystemExit)):
            return None
        return judged(recording)[0]


def _save(recording: Recording, path: Path, capacity: Capacity | None) -> None:
    try:
        recording_file.save(recording, path, capacity)
    except NotMeasuredError as error:
        tell(str(error))
