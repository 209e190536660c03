"""Reading the arguments of a `Call` by their place in the operator's schema. Counts nothing.

A trace file may lack an argument or hold None for it: then the schema's default stands, and where
the schema has none the answer is None, so that the formula can say that it does not know.
"""

from __future__ import annotations

from goodput.work import Argument, Call, TensorSpec

SCALAR_TYPES = {
    0: "uint8",
    1: "int8",
    2: "int16",
    3: "int32",
    4: "int64",
    5: "float16",
    6: "float32",
    7: "float64",
    9: "complex64",
    10: "complex128",
    11: "bool",
    15: "bfloat16",
    23: "float8_e5m2",
    24: "float8_e4m3",
    25: "float8_e5m2",
    26: "float8_e4m3",
}
"""Neutral dtype of torch's ScalarType numbers (c10/core/ScalarType.h), as traces write them."""


def argument(call: Call, place: int) -> Argument:
    """The argument at `place`, or None where the call does not have it."""
    return call.inputs[place] if place < len(call.inputs) else None


def tensor(call: Call, place: int) -> TensorSpec | None:
    """The tensor at `place`, or None."""
    found = argument(call, place)
    return found if isinstance(found, TensorSpec) else None


def tensors(call: Call, place: int) -> tuple[TensorSpec, ...]:
    """The tensors of the list at `place`; empty where there is none or it was dropped."""
    found = argument(call, place)
    parts = found if isinstance(found, tuple) else ()
    return tuple(part for part in parts if isinstance(part, TensorSpec))


def integer(call: Call, place: int) -> int | None:
    """The integer at `place`, or None."""
    found = argument(call, place)
    return found if isinstance(found, int) and not isinstance(found, bool) else None


def integers(call: Call, place: int) -> tuple[int, ...] | None:
    """The list of integers at `place`, or None; a single integer is a list of one."""
    found = argument(call, place)
    parts = found if isinstance(found, tuple) else (found,)
    whole = tuple(part for part in parts if isinstance(part, int) and not isinstance(part, bool))
    return whole if len(whole) == len(parts) else None


def flag(call: Call, place: int) -> bool | None:
    """The bool at `place`, or None."""
    found = argument(call, place)
    return found if isinstance(found, bool) else None


def flags(call: Call, place: int) -> tuple[bool, ...] | None:
    """The list of bools at `place` (an output mask), or None."""
    found = argument(call, place)
    if not isinstance(found, tuple) or not found:
        return None
    parts = tuple(part for part in found if isinstance(part, bool))
    return parts if len(parts) == len(found) else None


def number(call: Call, place: int, default: complex) -> complex:
    """The scalar at `place`, or `default`."""
    found = argument(call, place)
    return found if isinstance(found, int | float | complex) else default


def text(call: Call, place: int, default: str = "") -> str:
    """The string at `place`, or `default`."""
    found = argument(call, place)
    return found if isinstance(found, str) else default


def dtype(call: Call, place: int, default: str) -> str:
    """The dtype that the argument at `place` asks for, or `default`.

    The argument may be torch's ScalarType number (a trace), a name, or the `out` tensor that an
    out-variant has there.
    """
    found = argument(call, place)
    if isinstance(found, TensorSpec):
        return found.dtype
    if isinstance(found, str) and found:
        return found.removeprefix("torch.").replace("e4m3fn", "e4m3")
    if isinstance(found, int) and not isinstance(found, bool):
        return SCALAR_TYPES.get(found, default)
    return default
