"""Formulas of other people's operators: what the decorator `goodput.formula` does."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import TypeAlias, TypeVar

import goodput.formulas.aten
import goodput.formulas.lax  # noqa: F401 - so that a name which goodput knows is found taken
from goodput.errors import FormulaError
from goodput.formulas.registry import register
from goodput.work import Call, Work

Count: TypeAlias = "Work | int | None"
_Function = TypeVar("_Function", bound=Callable[[Call], Count])


def formula(name: str, *, replace: bool = False) -> Callable[[_Function], _Function]:
    """A decorator that makes a function the formula of the operator `name`: `mylib::attention`.

    The function gets the `Call` and returns its `Work`; or an integer, its useful FLOPs (the bytes
    are then those of its tensors, each moved once); or None where the shapes do not say.

    Raises:
        FormulaError: `name` has a formula already and `replace` is False.
    """

    def decorate(count: _Function) -> _Function:
        register(name, replace=replace)(lambda call: _work(call, count(call)))
        return count

    return decorate


def _work(call: Call, counted: Count) -> Work | None:
    if counted is None or isinstance(counted, Work):
        return counted
    try:
        flops = operator.index(counted)
    except TypeError as error:
        raise FormulaError(
            f"the formula of {call.name} returned {counted!r}; return a goodput.Work or an integer"
        ) from error
    return Work.of_products(flops, call)
