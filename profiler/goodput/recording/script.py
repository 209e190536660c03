"""Runs the user's script as plain `python` would, in this process. Measures nothing."""

from __future__ import annotations

import atexit
import builtins
import importlib.util
import io
import os
import pkgutil
import runpy
import signal
import sys
import threading
import types
from collections.abc import Callable
from dataclasses import dataclass
from importlib.machinery import SourceFileLoader
from pathlib import Path

from goodput.errors import UsageError
from goodput.recording import namesakes

# What the interpreter itself calls for -m; its frames stand in plain python's tracebacks too.
_run_module_as_main: Callable[..., object] = runpy._run_module_as_main  # type: ignore[attr-defined]  # noqa: SLF001
_PACKAGE = str(Path(__file__).resolve().parent.parent) + os.sep
INTERRUPTED = 128 + signal.SIGINT
"""The status of a program that Ctrl-C ended, as a shell tells it."""


@dataclass(frozen=True, slots=True)
class ScriptTarget:
    """What to run: the path of a script (or of a directory or zip file), or a module's name.

    Attributes:
        path: a file; None where `module` is given.
        module: a name, as for `python -m`.
        argv: the program's own arguments.
    """

    path: str | None
    module: str | None
    argv: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """The command as typed."""
        words = ["-m", self.module] if self.module is not None else [self.path or ""]
        return " ".join([*words, *self.argv])


def check(target: ScriptTarget) -> None:
    """Says at once what can be said before anything runs.

    Raises:
        UsageError: there is no such script or module.
    """
    if target.module is not None:
        top = target.module.partition(".")[0]
        if not (Path(f"{top}.py").exists() or Path(top).is_dir()) and not _installed(top):
            raise UsageError(f"no module named {target.module}; check the name after -m")
    elif not Path(target.path or "").exists():
        raise UsageError(f"no such script: {target.path}; check the path after `goodput run`")


def _installed(top: str) -> bool:
    return top in sys.modules or importlib.util.find_spec(top) is not None


def clash(target: ScriptTarget) -> str:
    """A sentence where the script's directory holds a module that one of ours hides; else ""."""
    folder = Path(target.path).resolve().parent if target.path is not None else Path.cwd()
    return namesakes.clash(folder)


def run(target: ScriptTarget, *, ends_early: Callable[[BaseException], bool] | None = None) -> int:
    """Runs `target` as `__main__` and returns its exit status.

    Its uncaught exceptions are printed as plain python prints them, without our frames. Its
    threads are waited for. Our import path, arguments and working directory are put back, and the
    script's given to its exit handlers once more when the process ends.

    Args:
        target: what to run.
        ends_early: whether an exception is one that ends the script with status 0.
    """
    ours = _Surroundings.now()
    try:
        status = _status_of(lambda: _execute(target), ends_early)
        _wait_for_threads()
    finally:
        # Exit handlers run last in, first out: this one runs before all of the script's.
        atexit.register(_Surroundings.now().restore)
        ours.restore()
    return status


@dataclass(frozen=True, slots=True)
class _Surroundings:
    """What a script may change of the interpreter, and we must not report under."""

    argv: list[str]
    path: list[str]
    folder: str

    @classmethod
    def now(cls) -> _Surroundings:
        return cls(sys.argv[:], sys.path[:], str(Path.cwd()))

    def restore(self) -> None:
        sys.argv[:], sys.path[:] = self.argv, self.path
        if Path(self.folder).is_dir():
            os.chdir(self.folder)


def _status_of(
    execute: Callable[[], None], ends_early: Callable[[BaseException], bool] | None
) -> int:
    try:
        execute()
    except SystemExit as end:
        return _exit_status(end)
    except BaseException as error:  # noqa: BLE001 - the border with the user's program
        if ends_early is not None and ends_early(error):
            return 0
        _report(error)
        return INTERRUPTED if isinstance(error, KeyboardInterrupt) else 1
    return 0


def _exit_status(end: SystemExit) -> int:
    if end.code is None:
        return 0
    if isinstance(end.code, int):
        return end.code
    print(end.code, file=sys.stderr)  # noqa: T201 - what plain python does
    return 1


def _report(error: BaseException) -> None:
    """Hands an uncaught exception to `sys.excepthook`, with our frames taken out of it."""
    error.__traceback__ = without_ours(error.__traceback__)
    for linked in _chain(error):
        linked.__traceback__ = without_ours(linked.__traceback__)
    sys.excepthook(type(error), error, error.__traceback__)


def _chain(error: BaseException) -> list[BaseException]:
    """The exceptions behind `error`: its causes and contexts."""
    found: list[BaseException] = []
    waiting = [error.__cause__, error.__context__]
    while waiting:
        item = waiting.pop()
        if item is not None and item not in found and item is not error:
            found.append(item)
            waiting += [item.__cause__, item.__context__]
    return found


def without_ours(trace: types.TracebackType | None) -> types.TracebackType | None:
    """The traceback without the frames of goodput's own code."""
    frames: list[types.TracebackType] = []
    while trace is not None:
        if not trace.tb_frame.f_code.co_filename.startswith(_PACKAGE):
            frames.append(trace)
        trace = trace.tb_next
    kept: types.TracebackType | None = None
    for entry in reversed(frames):
        entry.tb_next = kept
        kept = entry
    return kept


def _execute(target: ScriptTarget) -> None:
    """Runs the target's code in a fresh `__main__`; the interpreter's own start-up, once more."""
    main = sys.modules["__main__"] = types.ModuleType("__main__")
    main.__dict__.update(__builtins__=builtins, __annotations__={})
    if target.module is not None:
        _set_first_path(str(Path.cwd()))
        sys.argv[:] = ["-m", *target.argv]
        _run_module_as_main(target.module)
        return
    path = target.path or ""
    sys.argv[:] = [path, *target.argv]
    if _is_importable(path):
        _set_first_path(str(Path(path).absolute()), always=True)
        _run_module_as_main("__main__", alter_argv=False)
        return
    _set_first_path(str(Path(path).resolve().parent))
    _execute_file(str(Path(path).absolute()), main)


def _execute_file(file: str, main: types.ModuleType) -> None:
    main.__dict__.update(
        __file__=file,
        __cached__=None,
        __loader__=SourceFileLoader("__main__", file),
    )
    with io.open_code(file) as source:
        code = compile(source.read(), file, "exec", dont_inherit=True)
    exec(code, main.__dict__)  # noqa: S102 - running the user's script is what this is for


def _is_importable(path: str) -> bool:
    """Whether `path` is a directory or zip file, which python runs by the `__main__` inside."""
    return pkgutil.get_importer(path) is not None


def _set_first_path(folder: str, *, always: bool = False) -> None:
    """Puts `folder` where the interpreter puts the script's: in the place of our own."""
    if sys.flags.safe_path:
        if always:
            sys.path.insert(0, folder)
        return
    sys.path[0] = folder


_IDLE_TWICE = 2
"""Looks that find a thread idle: one alone may fall between taking a piece of work and doing it."""
_BETWEEN_LOOKS = 0.02


def _wait_for_threads() -> None:
    """The interpreter waits for these at its end, so what they do belongs to the program.

    Those of an executor wait for more work until the interpreter itself ends, so for them only
    what they were given is waited for. (inductor has one, as soon as it compiles C++.)
    """
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and not thread.daemon:
            idle = 0
            while thread.is_alive() and idle < _IDLE_TWICE:
                thread.join(_BETWEEN_LOOKS)
                idle = idle + 1 if _waits_for_work(thread) else 0


def _waits_for_work(thread: threading.Thread) -> bool:
    """Whether a thread of an executor has nothing to do: it is in its loop, and its queue empty."""
    pool = sys.modules.get("concurrent.futures.thread")
    queue = getattr(pool, "_threads_queues", {}).get(thread)
    frame = sys._current_frames().get(thread.ident or 0)  # noqa: SLF001 - the only way to see it
    loop = getattr(pool, "_worker", None)
    return (queue is not None and frame is not None and loop is not None) and bool(
        frame.f_code is loop.__code__ and queue.empty()
    )
