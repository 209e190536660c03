"""Sees calls of top-level modules without a hook on any module: wraps `__call__` of their classes.

A global module hook would fire on every submodule, put torch's slow path (and its frames in a
traceback) under each of them, and an instance hook would travel with `torch.save(model)`. While
`RootCalls` watches, classes are learnt as their parameters and submodules are registered; after
`narrow` only the classes of modules that were really called from outside stay wrapped.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Container, Hashable
from typing import Any, TypeAlias

import torch
from torch.nn.modules.module import (
    register_module_module_registration_hook,
    register_module_parameter_registration_hook,
)

from goodput.frontends.step_kinds import Signature, signature
from goodput.frontends.torch_private import (
    NO_TASK,
    backward_task,
    compile_is_used,
    is_compiled,
    plain_tensors,
)

is_traced = torch.compiler.is_dynamo_compiling
Tensor = torch.Tensor

ModuleCall: TypeAlias = Callable[["torch.nn.Module", tuple[Any, ...], dict[str, Any]], None]


class RootCalls:
    """Calls `on_call(module, args, kwargs)` before each module call that no other module made.

    `on_return()` is called after it, in the same frame. Modules recomputed in a backward pass
    are not told. What `on_call` raises reaches the program.

    Attributes:
        brief: whether calls are only noted in `calls`, and nothing is called.
        calls: for the owner to keep: the input signatures of the calls since the last step.
        recomputes: whether a call was seen inside a backward pass.
    """

    def __init__(self, on_call: ModuleCall, on_return: Callable[[], None]) -> None:
        self._on_call = self._told = on_call
        self.on_return = on_return
        self.inside = False
        self.brief = False
        self.recomputes = False
        self.calls: list[Hashable] = []
        self._learning = False
        self._wrapped: dict[type, tuple[Any, Any]] = {}
        self._children: weakref.WeakSet[torch.nn.Module] = weakref.WeakSet()
        self._known: set[type] = set()
        self._kept: set[type] | None = None
        self._called: set[type] = set()
        self._handles: list[Any] = []
        self._setstate: Any = None

    def watch(self) -> None:
        """Starts to learn module classes and to tell their calls; known ones too."""
        if self._learning:
            return
        self._told = self._on_call
        for cls in tuple(self._known if self._kept is None else self._kept):
            self._wrap(cls)
        if self._kept is not None:
            return  # a wrapper that is taken off again would have code compiled again
        self._learning = True
        self._handles = [
            register_module_module_registration_hook(self._on_submodule),
            register_module_parameter_registration_hook(self._on_parameter),
        ]
        self._watch_unpickling()

    def is_root(self, module: torch.nn.Module) -> bool:
        """Whether no other module owns `module`, as far as was seen."""
        return module not in self._children

    def narrow(self) -> None:
        """Stops learning; only classes that were called from outside any module stay wrapped."""
        self._stop_learning()
        if not compile_is_used():
            self._unwrap_all_but(self._called)

    def silence(self) -> None:
        """Tells nothing more; what compiled code was traced through stays: it would recompile."""
        self._told = _ignore
        self._stop_learning()
        if not compile_is_used():
            self._unwrap_all_but(())

    def remove(self) -> None:
        """Leaves no trace of itself on any class."""
        self._told = _ignore
        self._stop_learning()
        self._unwrap_all_but(())

    def _unwrap_all_but(self, kept: Container[type]) -> None:
        for cls in [cls for cls in self._wrapped if cls not in kept]:
            self._unwrap(cls)

    def _leave_compiled_alone(self, module: torch.nn.Module) -> None:
        """Takes off, before the first compilation, all wrappers that it would be traced through."""
        self._stop_learning()
        self._kept = {cls for cls in self._wrapped if is_compiled(cls, module)}
        self._unwrap_all_but(self._kept)

    def _stop_learning(self) -> None:
        self._learning = False
        for handle in self._handles:
            handle.remove()
        self._handles = []
        if self._setstate is not None:
            torch.nn.Module.__setstate__ = self._setstate  # type: ignore[method-assign]
            self._setstate = None

    def _watch_unpickling(self) -> None:
        """Copied and unpickled modules register nothing; `__setstate__` is where they appear."""
        original: Any = torch.nn.Module.__setstate__
        self._setstate = original

        def setstate(module: torch.nn.Module, state: dict[str, Any]) -> None:
            original(module, state)
            self._wrap(type(module))
            self._children.update(module.children())

        torch.nn.Module.__setstate__ = setstate  # type: ignore[method-assign]

    def _on_submodule(self, module: torch.nn.Module, _name: str, part: Any) -> None:
        self._wrap(type(module))
        if part is not None:
            self._children.add(part)

    def _on_parameter(self, module: torch.nn.Module, _name: str, _parameter: Any) -> None:
        self._wrap(type(module))

    def _wrap(self, cls: Any) -> None:
        if cls not in self._wrapped:
            self._known.add(cls)
            own = cls.__dict__.get("__call__")
            wrapper = _wrapper(cls, own, self)
            self._wrapped[cls] = (own, wrapper)
            cls.__call__ = wrapper

    def _unwrap(self, cls: Any) -> None:
        own, wrapper = self._wrapped.pop(cls)
        if cls.__dict__.get("__call__") is not wrapper:
            return  # somebody wrapped it after us: what is theirs stays
        if own is None:
            del cls.__call__
        else:
            cls.__call__ = own

    def tell(self, module: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """What a wrapper says of a call from outside any module."""
        if backward_task() != NO_TASK:
            self.recomputes = True
            return
        if torch.compiler.is_compiling():
            return  # exported
        if self._learning:
            self._called.add(type(module))
            if compile_is_used():
                self._leave_compiled_alone(module)
        self._told(module, args, kwargs)


def signature_of(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Signature:
    """The input signature of a call; no code of a tensor subclass runs for it."""
    # Most calls have tensors only: undisturbed steps pay for every line.
    if len(args) == 1 and not kwargs and type(args[0]) is Tensor:
        return ((args[0].shape, args[0].dtype),)
    words = []
    for item in (*args, *kwargs.values()) if kwargs else args:
        if type(item) is not Tensor:
            break
        words.append((item.shape, item.dtype))
    else:
        return tuple(words)
    with plain_tensors():
        return signature(args, kwargs)


def _wrapper(cls: Any, own: Any, watch: RootCalls) -> Any:
    """A `__call__` for `cls` that tells `watch`, then does what `cls` did before.

    Under torch.compile it is traced through as if it were not there.
    """

    def __call__(self: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: N807 - it is one
        call = super(cls, self).__call__ if own is None else own.__get__(self)
        if is_traced() or watch.inside:
            return call(*args, **kwargs)
        watch.inside = True
        if watch.brief:
            if not watch.recomputes or backward_task() == NO_TASK:
                watch.calls.append(signature_of(args, kwargs))
            try:
                return call(*args, **kwargs)
            finally:
                watch.inside = False
        try:
            watch.tell(self, args, kwargs)
            return call(*args, **kwargs)
        finally:
            watch.inside = False
            watch.on_return()

    return __call__


def _ignore(_module: torch.nn.Module, _args: tuple[Any, ...], _kwargs: dict[str, Any]) -> None:
    """What a wrapper that could not be taken off tells."""
