"""Names modules and marks when they run, for the counted and the profiled steps only.

Names come from a scan of living objects, so that models built before goodput looked have theirs.
"""

from __future__ import annotations

import gc
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

import torch
from torch.nn.modules.module import (
    register_module_forward_hook,
    register_module_forward_pre_hook,
)

from goodput.frontends.torch_private import compile_is_used, never_compile

# Where a compiled module keeps the one that it was made of.
_COMPILED = "_orig_mod"
# What torch says to the user about the hooks below, once for each compiled module.
_HOOK_WARNING = r"Using `torch\.compile\(module\)` when there are global hooks"


def module_names() -> dict[int, str]:
    """The fully qualified name of every living module, by its id; "" for the root.

    With several models in one program the names of all but the largest start with its class.
    """
    modules = living_modules()
    owned = {id(part) for module in modules for part in module.children()}
    roots = [module for module in modules if id(module) not in owned]
    roots.sort(key=parameter_count, reverse=True)
    names: dict[int, str] = {}
    taken: set[str] = set()
    for place, root in enumerate(roots):
        prefix = _free(type(root).__name__, taken) if place else ""
        for name, module in root.named_modules():
            words = (prefix, *_as_written(name))
            names.setdefault(id(module), ".".join(word for word in words if word))
    return names


def _names_in(root: torch.nn.Module) -> dict[int, str]:
    return {id(module): ".".join(_as_written(name)) for name, module in root.named_modules()}


def _as_written(name: str) -> tuple[str, ...]:
    """The words of a name without what torch.compile wraps modules in."""
    return tuple(word for word in name.split(".") if word != _COMPILED)


def living_modules() -> list[torch.nn.Module]:
    """Every module that there is."""
    return [item for item in gc.get_objects() if _is_module(item)]


def _is_module(item: object) -> bool:
    # type(), not isinstance(): a lazy proxy's __class__ may import half a library when asked.
    return issubclass(type(item), torch.nn.Module) and "_modules" in item.__dict__


def parameter_count(module: torch.nn.Module) -> int:
    """The elements of all parameters of a module."""
    return element_count(module.parameters())


def element_count(parameters: Iterable[torch.Tensor]) -> int:
    """The elements of all `parameters`; those without a shape yet have none."""
    return sum(p.numel() for p in parameters if not torch.nn.parameter.is_lazy(p))


def _free(name: str, taken: set[str]) -> str:
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name}#{number}"
    taken.add(free)
    return free


ModuleCall: TypeAlias = Callable[["torch.nn.Module", tuple[Any, ...], dict[str, Any]], None]


@contextmanager
def root_calls(told: ModuleCall) -> Iterator[None]:
    """Inside, `told` hears of each call of a module that no other module made."""
    cls: Any = torch.nn.Module
    original, depth = cls.__call__, [0]

    def call(module: torch.nn.Module, *args: Any, **kwargs: Any) -> Any:
        if not depth[0]:
            told(module, args, kwargs)
        depth[0] += 1
        try:
            return original(module, *args, **kwargs)
        finally:
            depth[0] -= 1

    cls.__call__ = call
    try:
        yield
    finally:
        cls.__call__ = original


class ModuleWatch:
    """Follows which module runs, by global hooks between `start` and `stop`.

    Args:
        mark: makes a context that is open while the named module runs.
        root: the only module that runs, with what is inside it; without one all living modules
            are named, which takes a scan of all objects.
    """

    def __init__(
        self, mark: Callable[[str], Any] | None = None, root: torch.nn.Module | None = None
    ) -> None:
        self._mark = mark
        self._root = root
        self._names: dict[int, str] = {}
        self._handles: list[Any] = []
        self._local = threading.local()

    @property
    def current(self) -> str | None:
        """The innermost module that runs in this thread; None outside every module."""
        stack = getattr(self._local, "stack", None)
        return stack[-1][0] if stack else None

    def name_of(self, identity: int) -> str | None:
        """The name of the module with this id, where it was there when the watch started."""
        return self._names.get(identity)

    def start(self) -> None:
        """Scans for names and installs the hooks."""
        self._names = module_names() if self._root is None else _names_in(self._root)
        self._local = threading.local()
        if compile_is_used():
            warnings.filterwarnings("ignore", message=_HOOK_WARNING)
            never_compile(self._enter, self._leave)
        self._handles = [
            register_module_forward_pre_hook(self._enter),
            register_module_forward_hook(self._leave, always_call=True),
        ]

    def stop(self) -> None:
        """Takes the hooks off and closes every open mark of this thread."""
        for handle in self._handles:
            handle.remove()
        self._handles = []
        while self._stack():
            self._close()
        if compile_is_used():
            filters: Any = warnings.filters
            filters[:] = [entry for entry in filters if not _is_ours(entry)]

    def _stack(self) -> list[tuple[str, Any]]:
        stack: list[tuple[str, Any]] | None = getattr(self._local, "stack", None)
        if stack is None:
            stack = self._local.stack = []
        return stack

    def _enter(self, module: torch.nn.Module, _args: Any) -> None:
        name = self._names.get(id(module))
        if name is None:
            name = self._names[id(module)] = type(module).__name__
        mark = self._mark(name) if self._mark else None
        self._stack().append((name, mark))
        if mark is not None:
            mark.__enter__()

    def _leave(self, _module: torch.nn.Module, _args: Any, _result: Any) -> None:
        if self._stack():
            self._close()

    def _close(self) -> None:
        _, mark = self._stack().pop()
        if mark is not None:
            mark.__exit__(None, None, None)


def _is_ours(entry: tuple[Any, ...]) -> bool:
    return getattr(entry[1], "pattern", None) == _HOOK_WARNING
