"""Translates one equation of a jaxpr into goodput's neutral `Call`. Counts nothing."""

from __future__ import annotations

import enum
import numbers
from collections.abc import Callable, Mapping
from typing import Any

from goodput.frontends.jax_private import function_name, literal
from goodput.work import Argument, Call, TensorSpec

_DTYPES = {
    "float8_e4m3fn": "float8_e4m3",
    "float8_e4m3fnuz": "float8_e4m3",
    "float8_e4m3b11fnuz": "float8_e4m3",
    "float8_e5m2fnuz": "float8_e5m2",
}
_TF32 = "TF32"


def call_of(eqn: Any, **attributes: object) -> Call:
    """The call that an equation is; `attributes` stand beside its parameters."""
    name = name_of(eqn)
    parameters = _TRANSLATED.get(name, _plain)(eqn.params)
    if _TF32 in str(eqn.params.get("precision") or ""):
        parameters["tf32"] = True
    return Call(
        name=name,
        inputs=tuple(_argument(atom) for atom in eqn.invars),
        outputs=tuple(spec(atom.aval) for atom in eqn.outvars),
        attributes={**parameters, **attributes},
    )


def name_of(eqn: Any) -> str:
    """`lax::` and the primitive's name; a foreign function and a kernel have their own names."""
    primitive: str = eqn.primitive.name
    if primitive == "ffi_call":
        return f"ffi::{eqn.params.get('target_name', primitive)}"
    if primitive == "pallas_call":
        return f"pallas::{_kernel_name(eqn.params)}"
    return f"lax::{primitive}"


def _kernel_name(parameters: Mapping[str, Any]) -> str:
    return parameters.get("name") or function_name(parameters["jaxpr"])


def spec(aval: Any) -> TensorSpec:
    """Shape and dtype of an abstract value; what has none is an empty tensor."""
    aval = getattr(aval, "inner_aval", aval)  # of a reference, what it refers to
    shape = getattr(aval, "shape", (0,))
    return TensorSpec(tuple(map(int, shape)), dtype_name(getattr(aval, "dtype", "")))


def dtype_name(dtype: Any) -> str:
    """The neutral name of a dtype, e.g. `bfloat16`; a random key's is `key<fry>`."""
    name = str(getattr(dtype, "name", dtype))
    return _DTYPES.get(name, name)


def _argument(atom: Any) -> Argument:
    """A tensor; a literal scalar is part of the code, and so its number."""
    known, value = literal(atom)
    if known and not atom.aval.shape:
        item = value.item() if hasattr(value, "item") else value
        return item if isinstance(item, bool | int | float | complex) else None
    return spec(atom.aval)


def _plain(parameters: Mapping[str, Any]) -> dict[str, object]:
    """The parameters that are numbers and words, or tuples of them."""
    return {name: _neutral(value) for name, value in parameters.items() if not _is_foreign(value)}


def _is_foreign(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return any(_is_foreign(item) for item in value)
    return not (value is None or isinstance(value, str | numbers.Number | enum.Enum))


def _neutral(value: Any) -> object:
    if isinstance(value, list | tuple):
        return tuple(_neutral(item) for item in value)
    if isinstance(value, enum.Enum):
        return value.name
    if isinstance(value, numbers.Integral) and not isinstance(value, bool):
        return int(value)
    return value


def _ragged(parameters: Mapping[str, Any]) -> dict[str, object]:
    of = parameters["ragged_dot_dimension_numbers"]
    return {
        "dot_dimension_numbers": _neutral(of.dot_dimension_numbers),
        "rhs_group_dimensions": _neutral(of.rhs_group_dimensions),
    }


def _dimensioned(parameters: Mapping[str, Any]) -> dict[str, object]:
    return {**_plain(parameters), "dimension_numbers": _neutral(parameters["dimension_numbers"])}


def _fft(parameters: Mapping[str, Any]) -> dict[str, object]:
    kind = parameters["fft_type"]
    return {
        "fft_type": str(getattr(kind, "name", kind)).upper(),
        "fft_lengths": _neutral(parameters["fft_lengths"]),
    }


_TRANSLATED: Mapping[str, Callable[[Mapping[str, Any]], dict[str, object]]] = {
    "lax::conv_general_dilated": _dimensioned,
    "lax::bcoo_dot_general": _dimensioned,
    "lax::bcoo_dot_general_sampled": _dimensioned,
    "lax::bcoo_rdot_general": _dimensioned,
    "lax::dot_general": _dimensioned,
    "lax::scaled_dot": _dimensioned,
    "lax::ragged_dot_general": _ragged,
    "lax::fft": _fft,
}
"""The primitives whose parameters are types of jax's own."""
