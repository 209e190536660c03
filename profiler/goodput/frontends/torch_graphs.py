"""Which graphs torch.compile makes of a program: found on tensors without memory, compiling none.

Dynamo traces the program as ever; what it would hand to inductor runs as it was written. Private
names, tried on torch 2.13.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from goodput.errors import first_line
from goodput.frontends.torch_count import Step, take
from goodput.frontends.torch_private import compile_is_used

_CALLS = 2
"""Calls of the step: what the second compiles is compiled again."""


def graphs_fault(make: Callable[[], Step]) -> str:
    """Takes the step that `make` makes through torch.compile; why that cannot be, "" where it can.

    What happened is in torch's own books, as after a real run. Nothing is done where the program
    compiles nothing.
    """
    if not compile_is_used():
        return ""
    try:
        with _as_traced(), _converted(), FakeTensorMode(allow_non_fake_inputs=True):
            forget()  # what was compiled before would not be traced
            step = make()
            for _ in range(_CALLS):
                take(step)
    except Exception as error:  # noqa: BLE001 - the border with the user's program
        return (
            f"graph breaks could not be found without running it ({first_line(error)}); declare "
            "the case as a script"
        )
    return ""


def forget() -> None:
    """Lets torch compile anew, as what was traced here is no code to run; clears its books."""
    if compile_is_used():
        torch._dynamo.reset()  # noqa: SLF001 - torch's own tests begin so


class _NoReferences:
    """Stands for the module `weakref` where torch asks whether a parameter may be replaced."""

    @staticmethod
    def getweakrefs(_: Any) -> list[Any]:
        """None that matter: those to tensors without memory are torch's own notes on them."""
        return []


@contextmanager
def _converted() -> Iterator[None]:
    """Inside, modules without memory can be moved and converted, as `model.to(...)` does."""
    tools: Any = torch.utils
    original = tools.weakref
    tools.weakref = _NoReferences
    try:
        yield
    finally:
        tools.weakref = original


@contextmanager
def _as_traced() -> Iterator[None]:
    """Inside, inductor gives back the graphs that it is handed."""
    import torch._inductor.compile_fx as inductor

    original: Any = inductor.compile_fx
    inductor.compile_fx = _as_written  # type: ignore[assignment]  # of a simpler signature
    try:
        yield
    finally:
        inductor.compile_fx = original


def _as_written(graph: Any, _: Any, **__: Any) -> Any:
    return graph.forward
