"""Arguments that a formula cannot do without: it answers None where one was not recorded.

A formula made with `formula` may call these readers freely; a missing tensor or number ends it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps

from goodput.formulas.aten_arguments import SCALAR_TYPES, argument
from goodput.formulas.registry import Formula, register
from goodput.work import ITEM_BYTES, Argument, Call, TensorSpec, Work

__all__ = [
    "UnrecordedError",
    "argument",
    "axes",
    "dtype",
    "flag",
    "formula",
    "integer",
    "integers",
    "optional_tensor",
    "output",
    "output_mask",
    "tensor",
    "tensor_list",
]


class UnrecordedError(Exception):
    """An argument that the formula needs is not in the call; the work is then unknown."""


def formula(*names: str) -> Callable[[Formula], Formula]:
    """As `register`, but the work is None where an argument that it needs was not recorded."""

    def decorate(function: Formula) -> Formula:
        def guarded(call: Call) -> Work | None:
            try:
                return function(call)
            except UnrecordedError:
                return None

        if hasattr(function, "__name__"):  # a functools.partial has none
            guarded = wraps(function)(guarded)
        register(*names)(guarded)
        return function

    return decorate


def optional_tensor(call: Call, place: int) -> TensorSpec | None:
    """The tensor at `place`, or None."""
    value = argument(call, place)
    return value if isinstance(value, TensorSpec) else None


def tensor(call: Call, place: int) -> TensorSpec:
    """The tensor at `place`.

    Raises:
        UnrecordedError: there is none.
    """
    value = optional_tensor(call, place)
    if value is None:
        raise UnrecordedError
    return value


def tensor_list(call: Call, place: int) -> tuple[TensorSpec, ...]:
    """The tensors of the list at `place`.

    Raises:
        UnrecordedError: it is empty, as Kineto writes every list of more than 30 tensors.
    """
    value = argument(call, place)
    items = value if isinstance(value, tuple) else ()
    tensors = tuple(item for item in items if isinstance(item, TensorSpec))
    if not tensors:
        raise UnrecordedError
    return tensors


def output(call: Call, place: int = 0) -> TensorSpec:
    """The output at `place`, for operators whose result size depends on the data.

    Raises:
        UnrecordedError: outputs were not recorded.
    """
    if place >= len(call.outputs):
        raise UnrecordedError
    return call.outputs[place]


def integers(call: Call, place: int) -> tuple[int, ...]:
    """The list of integers at `place`; a single one is a list of one.

    Raises:
        UnrecordedError: there is none.
    """
    value = argument(call, place)
    items = value if isinstance(value, tuple) else (value,)
    numbers = tuple(item for item in items if isinstance(item, int))
    if len(numbers) != len(items):
        raise UnrecordedError
    return numbers


def integer(call: Call, place: int) -> int:
    """The integer at `place`.

    Raises:
        UnrecordedError: there is none.
    """
    value = argument(call, place)
    if not isinstance(value, int):
        raise UnrecordedError
    return value


def flag(call: Call, place: int) -> bool:
    """Whether the argument at `place` was recorded as true."""
    return argument(call, place) is True


def output_mask(call: Call, place: int, outputs: int) -> tuple[bool, ...]:
    """Which of `outputs` gradients a backward makes.

    Raises:
        UnrecordedError: it was not recorded.
    """
    value = argument(call, place)
    if not isinstance(value, tuple) or len(value) != outputs:
        raise UnrecordedError
    return tuple(bool(item) for item in value)


def axes(value: Argument, rank: int) -> tuple[int, ...]:
    """Dimensions as non-negative numbers; an empty or missing list means all of them."""
    if isinstance(value, int):
        value = (value,)
    if not isinstance(value, tuple) or not value:
        return tuple(range(rank))
    size = max(rank, 1)
    return tuple(sorted({item % size for item in value if isinstance(item, int)}))[:rank]


def dtype(value: Argument, default: str) -> str:
    """A dtype argument by its neutral name: it is a ScalarType number in traces, text live."""
    if isinstance(value, int) and not isinstance(value, bool):
        return SCALAR_TYPES.get(value, default)
    name = value.removeprefix("torch.").replace("e4m3fn", "e4m3") if isinstance(value, str) else ""
    return name if name in ITEM_BYTES else default
