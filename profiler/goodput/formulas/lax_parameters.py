"""Reading the parameters of a JAX primitive from a `Call`'s attributes. Counts nothing.

The front end hands them over in plain terms, under JAX's own names: numbers, words, tuples of them.
"""

from __future__ import annotations

from goodput.work import Call, TensorSpec, Work


def integers(call: Call, name: str) -> tuple[int, ...]:
    """The tuple of integers under `name`.

    Raises:
        ValueError: there is none.
    """
    return whole(call.attributes.get(name), f"{call.name} has no integers under {name}")


def whole(value: object, otherwise: str) -> tuple[int, ...]:
    """`value` itself, where it is a tuple of integers.

    Raises:
        ValueError: it is not; `otherwise` says so.
    """
    if not isinstance(value, tuple):
        raise ValueError(otherwise)  # noqa: TRY004 - a formula that does not know its call
    found = tuple(item for item in value if isinstance(item, int))
    if len(found) != len(value):
        raise ValueError(otherwise)
    return found


def integer(call: Call, name: str, default: int) -> int:
    """The integer under `name`, or `default`."""
    found = call.attributes.get(name)
    return found if isinstance(found, int) else default


def flag(call: Call, name: str, *, default: bool) -> bool:
    """The bool under `name`, or `default`."""
    found = call.attributes.get(name)
    return found if isinstance(found, bool) else default


def text(call: Call, name: str) -> str:
    """The word under `name`, or ""."""
    found = call.attributes.get(name)
    return found if isinstance(found, str) else ""


def tensor(call: Call, place: int) -> TensorSpec:
    """The tensor at `place`.

    Raises:
        ValueError: there is none.
    """
    found = call.inputs[place] if place < len(call.inputs) else None
    if not isinstance(found, TensorSpec):
        raise ValueError(f"{call.name} has no tensor at {place}")  # noqa: TRY004 - see `whole`
    return found


def moved(call: Call) -> Work:
    """The bytes of a call: every input read once, every output written once."""
    return Work.of_products(0, call)
