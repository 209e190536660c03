"""How shapes and dtypes are written, once, so that a live count and a trace file can be joined."""

from __future__ import annotations

from goodput.work import Argument, TensorSpec

_SHORT = {
    "float64": "f64",
    "float32": "f32",
    "bfloat16": "bf16",
    "float16": "f16",
    "float8_e4m3": "f8e4m3",
    "float8_e5m2": "f8e5m2",
    "complex128": "c128",
    "complex64": "c64",
    "int64": "i64",
    "int32": "i32",
    "int16": "i16",
    "int8": "i8",
    "uint64": "u64",
    "uint32": "u32",
    "uint16": "u16",
    "uint8": "u8",
    "bool": "bool",
}


def shapes_text(inputs: tuple[Argument, ...]) -> str:
    """The tensors among `inputs`, e.g. `f32[8,64] f32[64,64]`; a list is `(n tensors)`."""
    return " ".join(word for item in inputs if (word := _word(item)))


def _word(item: Argument) -> str:
    if isinstance(item, TensorSpec):
        dtype = _SHORT.get(item.dtype, item.dtype)
        return f"{dtype}[{','.join(str(size) for size in item.shape)}]"
    if isinstance(item, tuple) and any(isinstance(part, TensorSpec) for part in item):
        return f"({len(item)} tensors)"
    return ""
