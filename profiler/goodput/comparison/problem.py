"""One case in a process: its values, and calls of its entries on values of their own."""

from __future__ import annotations

import inspect
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from goodput.comparison.accuracy import Result
from goodput.comparison.declared import Case
from goodput.comparison.trees import leaves, mapped
from goodput.errors import UsageError
from goodput.frontends.compared import Values, float64_enabled, values_of

FrameworkOf = Callable[[object, object], str]
"""Which framework a callable is of, by itself and by inputs."""

_BITS = 2**31


@dataclass(slots=True)
class Frameworks:
    """The frameworks of one process, each brought up when it is first needed."""

    framework_of: FrameworkOf
    _known: dict[str, Values] = field(default_factory=dict)

    def named(self, framework: str) -> Values:
        """The values of one framework."""
        if framework not in self._known:
            self._known[framework] = values_of(framework)
        return self._known[framework]

    @property
    def in_use(self) -> tuple[Values, ...]:
        """Those that are up."""
        return tuple(self._known.values())

    def home(self, leaf: object) -> Values | None:
        """Whose a value is; None of a plain one."""
        found = self.framework_of(None, leaf)
        return self.named(found) if found else None


@dataclass(slots=True)
class Problem:
    """One case.

    Attributes:
        case: as declared.
        calls: the callables by name.
        frameworks: of this process.
    """

    case: Case
    calls: Mapping[str, Callable[..., Any]]
    frameworks: Frameworks
    _homes: dict[str, Values] = field(default_factory=dict)
    _wrapped: dict[str, Callable[..., Any]] = field(default_factory=dict)

    def values(self, seed: int) -> tuple[Any, ...]:
        """The arguments of a call, made by the user's function after seeding everything.

        Raises:
            UsageError: it returned no arguments.
        """
        known = len(self.frameworks.in_use)
        made = self._made(seed)
        for leaf in leaves(made):
            self.frameworks.home(leaf)
        # A framework that came up only now was not seeded.
        return made if len(self.frameworks.in_use) == known else self._made(seed)

    def _made(self, seed: int) -> tuple[Any, ...]:
        make = self.case.inputs
        if make is None:
            raise UsageError("the case has no inputs function; give one with inputs=")
        random.seed(seed)
        np.random.seed(seed % _BITS)  # noqa: NPY002 - the user's function may use it
        for values in self.frameworks.in_use:
            values.seed(seed % _BITS)
        given = dict(self.case.parameters)
        if _takes_a_seed(make):
            given["seed"] = seed % _BITS
        made = make(**given)
        if made is None or (isinstance(made, tuple | list) and not made):
            raise UsageError("the inputs function returned no arguments")
        return tuple(made) if isinstance(made, tuple | list) else (made,)

    def home(self, entry: str, values: tuple[Any, ...]) -> Values:
        """Whose tensors `entry` takes: by what it uses, else by what the values are."""
        if entry not in self._homes:
            found = self.frameworks.framework_of(self.calls[entry], ())
            found = found or self.frameworks.framework_of(None, values)
            self._homes[entry] = self.frameworks.named(found)
        return self._homes[entry]

    def arguments(self, entry: str, values: tuple[Any, ...]) -> tuple[Any, ...]:
        """Copies of `values` as `entry` takes them."""
        home = self.home(entry, values)

        def own(leaf: Any) -> Any:
            if home.owns(leaf):
                return home.copied(leaf)
            other = self.frameworks.home(leaf)
            if other is not None:
                return home.tensor(*other.array(leaf))
            if isinstance(leaf, np.ndarray):
                return home.tensor(leaf, str(leaf.dtype))
            return leaf

        made: tuple[Any, ...] = mapped(values, own)
        return made

    def call(self, entry: str, values: tuple[Any, ...]) -> Callable[..., Any]:
        """What is called: the entry itself, or with its backward pass."""
        if entry not in self._wrapped:
            home = self.home(entry, values)
            plain = self.calls[entry]
            self._wrapped[entry] = home.with_gradient(plain) if self.case.backward else plain
        return self._wrapped[entry]

    def run(self, entry: str, values: tuple[Any, ...], arguments: tuple[Any, ...]) -> Any:
        """One call on `arguments`, waited for."""
        outputs = self.call(entry, values)(*arguments)
        self.home(entry, values).wait(outputs)
        return outputs

    def result(self, entry: str, values: tuple[Any, ...], outputs: Any) -> Result:
        """The numbers in `outputs`, copied now.

        Raises:
            UsageError: something in it is no tensor.
        """
        home = self.home(entry, values)
        found = list(leaves(outputs))
        for leaf in found:
            if not home.owns(leaf):
                what = "nothing" if leaf is None else f"a {type(leaf).__name__}"
                raise UsageError(f"it returned {what}, no tensor of {home.framework}")
        return Result(
            tuple(home.float64(leaf) for leaf in found), tuple(home.dtype(leaf) for leaf in found)
        )

    def truth(self, reference: str, values: tuple[Any, ...]) -> Result:
        """The reference's result in float64."""
        home = self.home(reference, values)
        with float64_enabled(home.framework):
            doubled = mapped(self.arguments(reference, values), home.doubled)
            return self.result(reference, values, self.run(reference, values, doubled))


def _takes_a_seed(make: Callable[..., Any]) -> bool:
    try:
        return "seed" in inspect.signature(make).parameters
    except ValueError:  # a builtin, which does not say what it takes
        return False
