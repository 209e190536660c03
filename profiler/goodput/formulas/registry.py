"""Which formula counts which operator: one table, keyed by the operator's qualified name."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from goodput.errors import FormulaError
from goodput.work import Call, Work

Formula: TypeAlias = Callable[[Call], "Work | None"]

_FORMULAS: dict[str, Formula] = {}
_UNSEEN: set[str] = set()
_changes = [0]


def register(*names: str, replace: bool = False) -> Callable[[Formula], Formula]:
    """A decorator that makes a function the formula of the operators `names`.

    The function gets the `Call` and returns its `Work`, or None when this call's shapes do not say
    (the operator is then listed as unmodelled, by its time).

    Raises:
        FormulaError: a name has a formula already and `replace` is False.
    """

    def decorate(formula: Formula) -> Formula:
        for name in names:
            if name in _FORMULAS and not replace:
                raise FormulaError(
                    f"{name} has a formula already; pass replace=True to use yours instead"
                )
            _FORMULAS[name] = formula
            _changes[0] += 1
            _UNSEEN.discard(name)
        return formula

    return decorate


def has_formula(name: str) -> bool:
    """Whether the operator `name` is counted as a whole (what runs inside it is part of it)."""
    return name in _FORMULAS


def state() -> object:
    """What is equal as long as every operator has the same formula."""
    return _changes[0], len(_FORMULAS)


def work_of(call: Call) -> Work | None:
    """The work of one call; None where no formula knows it.

    Raises:
        FormulaError: the formula failed on this call.
    """
    formula = _FORMULAS.get(call.name)
    if formula is None:
        return None
    try:
        return formula(call)
    except (IndexError, TypeError, ValueError, AttributeError, ZeroDivisionError) as error:
        raise FormulaError(f"the formula of {call.name} failed on {call}: {error}") from error


def mark_unseen(*names: str) -> None:
    """Notes that the formulas of the operators `names` were never held against a run of them."""
    _UNSEEN.update(names)


def is_unseen(name: str) -> bool:
    """Whether the formula of `name` stands on the operator's documentation alone."""
    return name in _UNSEEN


def registered() -> tuple[str, ...]:
    """The names of all operators with a formula, sorted."""
    return tuple(sorted(_FORMULAS))
