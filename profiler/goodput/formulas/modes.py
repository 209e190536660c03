"""The math mode of an operator: which roof its arithmetic is held against. Counts nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from goodput.formulas.registry import Formula
from goodput.work import Call, TensorSpec

_OPERANDS: dict[str, int] = {}
_MODES: dict[str, str] = {}
_STORED: dict[str, Mapping[str, str]] = {}
_FLOATING = ("float", "bfloat", "complex")
_REAL_PART = {"complex64": "float32", "complex128": "float64"}


def matrix_operator(
    *names: str, operand: int = 0, mode: str = "", stored: Mapping[str, str] | None = None
) -> Callable[[Formula], Formula]:
    """A decorator that declares operators `names` as matrix-class.

    Args:
        names: qualified operator names.
        operand: place of the first matrix operand, whose dtype is the operator's mode.
        mode: the mode where it is not the operand's dtype: the operator converts what it is given.
        stored: the mode of dtypes in which the operator's library stores other numbers.
    """

    def decorate(formula: Formula) -> Formula:
        _OPERANDS.update(dict.fromkeys(names, operand))
        _MODES.update(dict.fromkeys(names, mode) if mode else {})
        _STORED.update(dict.fromkeys(names, stored) if stored else {})
        return formula

    return decorate


def is_matrix_class(name: str) -> bool:
    """Whether the operator `name` multiplies matrices (needs `goodput.formulas.aten` imported)."""
    return name in _OPERANDS


def mode_of(call: Call) -> str:
    """The math mode of a call: `float32`, `tf32`, `bfloat16`, `int8`...; "" without one.

    A matrix-class operator has the dtype of its first matrix operand, `tf32` where that is float32
    and the attribute `tf32` is true. Any other has the dtype of its first floating tensor; 0-dim
    tensors count only where no other is there, since they do not promote (bfloat16 times a 0-dim
    float64 is bfloat16). A complex dtype stands for its real part: its FLOPs are counted as real
    ones.
    """
    if call.name in _OPERANDS:
        return _matrix_mode(call)
    floating = [spec for spec in call.tensors if spec.dtype.startswith(_FLOATING)]
    dimensioned = [spec for spec in floating if spec.shape]
    return next((_real(spec) for spec in dimensioned or floating), "")


def _matrix_mode(call: Call) -> str:
    place = _OPERANDS[call.name]
    operand = call.inputs[place] if place < len(call.inputs) else None
    if not isinstance(operand, TensorSpec):
        return ""
    if call.name in _MODES:
        return _MODES[call.name]
    mode = _STORED.get(call.name, {}).get(operand.dtype, _real(operand))
    return "tf32" if mode == "float32" and call.attributes.get("tf32") is True else mode


def _real(spec: TensorSpec) -> str:
    return _REAL_PART.get(spec.dtype, spec.dtype)
