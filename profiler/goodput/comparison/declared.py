"""What a user declares: a reference, variants and cases of an operator. Runs none of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any, TypeVar

from goodput.errors import UsageError

_Function = TypeVar("_Function", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Case:
    """One problem: the arguments of the inputs function, and how its variants are called.

    Attributes:
        parameters: arguments of `inputs` by name.
        inputs: makes the positional arguments of a call; seeded by us before every call, and told
            the seed where it has a parameter of that name.
        backward: whether a call is the forward and the backward pass.
        tolerance: relative and absolute error that the user allows; None is by the precision.
    """

    parameters: Mapping[str, Any]
    inputs: Callable[..., Any] | None = None
    backward: bool = False
    tolerance: tuple[float, float] | None = None

    @property
    def name(self) -> str:
        """The case in words, e.g. `M=512 dtype=bfloat16`."""
        words = [f"{key}={value}" for key, value in self.parameters.items()]
        return " ".join([*words, *(["backward"] if self.backward else [])]) or "the one case"


@dataclass(slots=True)
class Study:
    """Everything that is declared of one operator.

    Attributes:
        operator: its name.
        reference: the name of the reference among `calls`; "" without one.
        calls: reference and variants by name, in order.
        cases: the problems.
        faults: names that cannot be measured, with the reason.
    """

    operator: str
    reference: str = ""
    calls: dict[str, Callable[..., Any]] = field(default_factory=dict)
    cases: list[Case] = field(default_factory=list)
    faults: dict[str, str] = field(default_factory=dict)

    def add(self, name: str, call: Callable[..., Any]) -> None:
        """Takes in a variant; one whose name is taken is a fault of its own row."""
        if name in self.calls:
            again = sum(fault.startswith(f"{name} ") for fault in self.faults) + 2
            self.faults[f"{name} ({again})"] = (
                f"another variant is called {name}: give it a name of its own with name="
            )
            return
        self.calls[name] = call

    def refer(self, name: str, call: Callable[..., Any]) -> None:
        """Takes in the reference; a second one is a fault of its own row."""
        if self.reference:
            self.faults[name] = f"{self.reference} is the reference already; there is one"
            return
        self.add(name, call)
        self.reference = name


_studies: dict[str, Study] = {}


def studies() -> dict[str, Study]:
    """All that has been declared in this process, by operator."""
    return _studies


def _study(operator: str) -> Study:
    return _studies.setdefault(operator, Study(operator))


def named(call: Callable[..., Any], name: str | None = None) -> str:
    """What a callable is called in tables."""
    return name or str(getattr(call, "__name__", type(call).__name__))


def reference(operator: str, *, name: str | None = None) -> Callable[[_Function], _Function]:
    """A decorator: this function says what `operator` is, and all variants are held against it.

    Its useful FLOPs are those of every variant, and its results in float64 are the truth.

    Args:
        operator: the name that variants and cases share.
        name: in tables; the function's own without it.
    """

    def declare(call: _Function) -> _Function:
        _study(operator).refer(named(call, name), call)
        return call

    return declare


def variant(operator: str, *, name: str | None = None) -> Callable[[_Function], _Function]:
    """A decorator: this function does what the reference of `operator` does, another way.

    Args:
        operator: the name that the reference and the cases share.
        name: in tables; the function's own without it.
    """

    def declare(call: _Function) -> _Function:
        _study(operator).add(named(call, name), call)
        return call

    return declare


def cases(
    operator: str = "",
    /,
    *,
    inputs: Callable[..., Any] | None = None,
    backward: bool = False,
    tolerance: float | tuple[float, float] | None = None,
    **axes: Sequence[Any],
) -> tuple[Case, ...]:
    """The problems that variants are compared on: every combination of the values of `axes`.

    Args:
        operator: whose cases they are; without it they are only returned.
        inputs: a function of the axes that makes the arguments of a call.
        backward: a call is the forward pass and the backward pass of what it returns.
        tolerance: relative, or (relative, absolute), error that is allowed; without it, it follows
            from the precision of the reference. It is refused where nonsense passes it.
        axes: values of each parameter.

    Returns:
        The cases.

    Raises:
        UsageError: an axis is no list of values.
    """
    for name, values in axes.items():
        if isinstance(values, str) or not isinstance(values, Sequence) or not values:
            raise UsageError(f"cases: {name}={values!r} is no list of values; write {name}=[...]")
    allowed = (tolerance, 0.0) if isinstance(tolerance, int | float) else tolerance
    made = tuple(
        Case(dict(zip(axes, values, strict=True)), inputs, backward, allowed)
        for values in product(*axes.values())
    )
    if operator:
        _study(operator).cases.extend(made)
    return made
