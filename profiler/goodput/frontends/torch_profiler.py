"""The attribution pass by torch.profiler, and the watch over the program's own use of it.

Two profilers cannot run at once: one started inside another leaves the first with no events.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from goodput.frontends.torch_compiled import CompiledCounter
from goodput.frontends.torch_modules import ModuleWatch
from goodput.frontends.torch_passes import uses_device
from goodput.frontends.torch_private import profiler_class, profiler_query, range_of
from goodput.readers.kineto_names import BOUNDARY_MARKER, MODULE_MARKER


def quiet_kineto() -> None:
    """Stops Kineto from writing to stderr at every start, unless the user chose a level."""
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")


class TorchProfiler:
    """Records steps with module and boundary markers into `path`.

    Args:
        path: the trace file.
        guard: learns which profiler is ours.
        compiled: shows the kernels of compiled code.
    """

    def __init__(self, path: Path, guard: ProfilerGuard, compiled: CompiledCounter) -> None:
        self._path = path
        self._guard = guard
        self._compiled = compiled
        self._modules = ModuleWatch(_module_mark)
        self._profile: Any = None
        self.written = False

    @property
    def on_device(self) -> bool:
        """Whether the program computes on a device that the host runs ahead of."""
        return uses_device()

    def start(self) -> None:
        """Begins to record."""
        activities = [torch.profiler.ProfilerActivity.CPU]
        if self.on_device:
            activities.append(torch.profiler.ProfilerActivity.CUDA)
        self._profile = torch.profiler.profile(activities=activities, record_shapes=True)
        with self._guard.ours():
            self._profile.start()
        self._modules.start()
        self._compiled.mark()

    def mark(self, number: int) -> None:
        """Marks boundary `number`."""
        with range_of(f"{BOUNDARY_MARKER}{number}"):
            pass

    def stop(self, *, keep: bool) -> None:
        """Ends recording; writes the trace file where `keep`."""
        if self.on_device:
            torch.cuda.synchronize()
        self._compiled.unmark()
        self._modules.stop()
        with self._guard.ours():
            self._profile.stop()
        if keep:
            self._profile.export_chrome_trace(str(self._path))
            self.written = True
        self._profile = None


def _module_mark(name: str) -> Any:
    return range_of(MODULE_MARKER, fqn=name)


class ProfilerGuard:
    """Sees the program's own profilers, and ends ours before one of them starts.

    Args:
        interrupt: called before a profiler of the program starts.

    Attributes:
        elsewhere: says whether a profiler of the program's is prepared or runs.
    """

    def __init__(self, interrupt: Callable[[], None]) -> None:
        self.interrupt = interrupt
        self._originals: tuple[Any, Any] | None = None
        self.theirs: set[int] = set()
        self.elsewhere = profiler_query(self.theirs)
        self.is_ours = False

    def install(self) -> None:
        """Begins to watch torch's profiler class."""
        if self._originals is not None:
            return
        cls = profiler_class()
        prepare, leave = self._originals = (cls._prepare_trace, cls.__exit__)
        guard = self

        def _prepare_trace(profile: Any) -> Any:
            if not guard.is_ours:
                guard.theirs.add(id(profile))
                guard.interrupt()
            return prepare(profile)

        def __exit__(profile: Any, *exception: Any) -> Any:  # noqa: N807 - it is one
            guard.theirs.discard(id(profile))
            return leave(profile, *exception)

        cls._prepare_trace, cls.__exit__ = _prepare_trace, __exit__

    def remove(self) -> None:
        """Gives torch's profiler class its own methods back."""
        if self._originals is not None:
            cls = profiler_class()
            cls._prepare_trace, cls.__exit__ = self._originals
            self._originals = None
        self.theirs.clear()

    def ours(self) -> _Ours:
        """A context in which what starts and stops is our own profiler."""
        return _Ours(self)


class _Ours:
    def __init__(self, guard: ProfilerGuard) -> None:
        self._guard = guard

    def __enter__(self) -> None:
        self._guard.is_ours = True

    def __exit__(self, *_exception: object) -> None:
        self._guard.is_ours = False
