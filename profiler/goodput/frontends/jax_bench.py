"""The quiet state that measuring wants of JAX, and the stopwatch of its devices.

Leaves the program's settings as they were. The stopwatch has not been run on a device by us.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import jax

from goodput.measure.clock import Clock
from goodput.measure.statistics import median

_TASKS = Path("/proc/self/task")
_POOL = "tf_XLAEigen"
_EMPTY_CALLS = 20


@contextmanager
def quiet_jax(cores: int) -> Iterator[int]:
    """Inside, jax compiles what it is given and checks nothing; yields the threads XLA:CPU has.

    They are `cores` if jax has not been used yet, and after that cannot be changed. 0 where the
    system does not tell.
    """
    with ExitStack() as settings:
        # A program may have switched these for its own good; each would change what is timed.
        settings.enter_context(jax.disable_jit(False))  # noqa: FBT003 - its only argument
        settings.enter_context(jax.debug_nans(False))  # noqa: FBT003 - the same
        settings.enter_context(jax.debug_infs(False))  # noqa: FBT003 - the same
        # Read once, when the clients of all devices are made. Without the second, a GPU's takes
        # three quarters of its memory, from torch as well.
        with _environment({"NPROC": str(cores), "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}):
            jax.local_devices(backend="cpu")
        yield pool_threads()


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def pool_threads(tasks: Path = _TASKS) -> int:
    """Threads that XLA:CPU computes on; 0 where there are none yet or the system does not tell."""
    return sum(_name(task) == _POOL for task in tasks.glob("*/comm"))


def _name(task: Path) -> str:
    try:
        return task.read_text(encoding="utf-8").strip()
    except OSError:  # it ended meanwhile
        return ""


class BlockingStopwatch:
    """Times trains of calls that return before a device is done, by waiting for their results.

    What launching and waiting cost once, an empty program's time, is taken off.
    """

    def __init__(self, clock: Clock, empty: Callable[[], object] | None = None) -> None:
        self._now = clock.now
        call = empty or _empty_program()
        self._elapsed([call])  # compiles
        self.empty_seconds = median([self._elapsed([call]) for _ in range(_EMPTY_CALLS)])

    def seconds(self, train: Sequence[Callable[[], object]]) -> float:
        """Seconds from before the first call until all results are there, less an empty one's.

        At most half is taken off: a train that is no longer than that tells nothing but launching.
        """
        elapsed = self._elapsed(train)
        return max(elapsed - self.empty_seconds, elapsed / 2)

    def _elapsed(self, train: Sequence[Callable[[], object]]) -> float:
        start = self._now()
        # A call may use up what it returned before, so only its last result is waited for; a
        # device runs its calls in order.
        last = {id(call): call() for call in train}
        wait: Any = jax.block_until_ready  # untyped in jax
        wait(list(last.values()))
        return self._now() - start


def _empty_program() -> Callable[[], object]:
    value = jax.numpy.zeros(())
    negate = jax.jit(jax.numpy.negative)
    return lambda: negate(value)
