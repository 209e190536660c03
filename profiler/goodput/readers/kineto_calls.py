"""Operator calls from a trace's text: dtypes, shapes and scalars in neutral terms, and their work.

Each distinct (operator, shapes, dtypes, scalars) is built and counted once, however often it ran.
Text is parsed, never evaluated.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import msgspec
import numpy as np

from goodput.errors import FormulaError
from goodput.formulas.modes import mode_of
from goodput.formulas.registry import work_of
from goodput.readers.kineto_events import Signature
from goodput.readers.kineto_links import Strings
from goodput.readers.kineto_names import Names
from goodput.trace.table import WORK_COLUMNS, Flags, Integers
from goodput.trace.words import shapes_text
from goodput.work import Argument, Call, TensorSpec, Work

Json: TypeAlias = Any

DTYPES = {
    "float": "float32",
    "double": "float64",
    "c10::Half": "float16",
    "c10::BFloat16": "bfloat16",
    "c10::Float8_e4m3fn": "float8_e4m3",
    "c10::Float8_e4m3fnuz": "float8_e4m3",
    "c10::Float8_e5m2": "float8_e5m2",
    "c10::Float8_e5m2fnuz": "float8_e5m2",
    "c10::complex<float>": "complex64",
    "c10::complex<double>": "complex128",
    "long int": "int64",
    "long": "int64",
    "long long": "int64",
    "int": "int32",
    "short int": "int16",
    "short": "int16",
    "signed char": "int8",
    "unsigned char": "uint8",
    "bool": "bool",
}
"""Neutral name of each C++ element type that a trace writes."""

_LIST = "TensorList"
_NO_TENSOR = {"", "Scalar", "ScalarList", "GenericList", "String", "Device", "Generator"}
_FLOATING = {"float64", "float32", "bfloat16", "float16", "float8_e4m3", "float8_e5m2"}
# FLOPs or bytes of one call: 10^16 at 10^15 a second are 10 s, and sums must fit 63 bits.
_MOST = 2**53
_INTEGER = re.compile(r"[-+]?\d+")
_WORDS: dict[str, Argument] = {"True": True, "False": False, "None": None, "": None}


@dataclass(frozen=True, slots=True, eq=False)
class Calls:
    """One entry for each distinct call.

    Attributes:
        shapes, mode: string indices.
        modelled: whether a formula gave its work.
        work: the columns of `Work`, 0 where not modelled.
        is_nothing: modelled, and no work of any kind (a view).
        failures: sentences about formulas that failed, one an operator.
        untyped_lists: calls with a list of tensors, whose element type no trace holds; 0 where the
            file knows one floating type only, so that there is no doubt.
        list_dtype: what those were taken for: the floating type that most tensors have.
    """

    shapes: Integers
    mode: Integers
    modelled: Flags
    work: dict[str, Integers]
    is_nothing: Flags
    failures: tuple[str, ...]
    untyped_lists: int
    list_dtype: str


def distinct(name: Integers, signature: Integers) -> tuple[Integers, Integers]:
    """The distinct (name, signature) pairs as rows of two, and the row of each event."""
    width = int(signature.max(initial=-1)) + 2
    keys, rows = np.unique(name * width + signature + 1, return_inverse=True)
    return np.stack((keys // width, keys % width - 1), axis=1), rows.reshape(-1)


def count(
    pairs: Integers, signatures: Sequence[Signature], names: Names, strings: Strings
) -> Calls:
    """The shapes, modes and work of the distinct calls `pairs` (name, signature)."""
    used = {
        signature: Inputs(signatures[signature]) for signature in set(pairs[:, 1].tolist()) - {-1}
    }
    floats = Counter(kind for each in used.values() for kind in each.dtypes() if kind in _FLOATING)
    list_dtype = floats.most_common(1)[0][0] if floats else "float32"
    works: list[Work | None] = []
    shapes, modes, failures = [], [], {}
    for name, signature in pairs.tolist():
        inputs = used[signature].arguments(list_dtype) if signature >= 0 else ()
        call = Call(
            name=names.strings[names.bare[name]],
            inputs=inputs,
            attributes={"overload": names.overload[name]} if names.overload[name] else {},
        )
        work, failure = _work(call) if signature >= 0 else (None, "")
        if failure:
            failures[call.name] = failure
        works.append(work)
        shapes.append(strings.place(shapes_text(inputs)))
        modes.append(strings.place(mode_of(call) if inputs else ""))
    return Calls(
        shapes=np.asarray(shapes, dtype=np.int64),
        mode=np.asarray(modes, dtype=np.int64),
        modelled=np.fromiter((work is not None for work in works), np.bool_, len(works)),
        work={column: _column(works, column) for column in WORK_COLUMNS},
        is_nothing=np.fromiter((work == Work() for work in works), np.bool_, len(works)),
        failures=tuple(failures.values()),
        untyped_lists=(
            sum(1 for _, s in pairs.tolist() if s >= 0 and used[s].has_list)
            if len(floats) > 1
            else 0
        ),
        list_dtype=list_dtype,
    )


def _work(call: Call) -> tuple[Work | None, str]:
    """The work of a call; a formula that fails on it leaves it unmodelled, and says so."""
    try:
        work = work_of(call)
    except FormulaError as error:
        return None, f"{error}; its calls are listed as unmodelled"
    if work is not None and max(getattr(work, column) for column in WORK_COLUMNS) > _MOST:
        return None, (
            f"{call.name} would do more than any device can ({shapes_text(call.inputs)}), so its "
            "shapes are damaged; its calls are listed as unmodelled"
        )
    return work, ""


def _column(works: list[Work | None], column: str) -> Integers:
    values = (0 if work is None else getattr(work, column) for work in works)
    return np.fromiter(values, np.int64, len(works))


class Inputs:
    """The arguments of one signature."""

    def __init__(self, signature: Signature) -> None:
        dims, types, concrete, strides = (_json(text) for text in signature)
        self._types = [kind if isinstance(kind, str) else "" for kind in types]
        self._dims = _padded(dims, len(self._types))
        self._concrete = _padded(concrete, len(self._types))
        self._strides = _padded(strides, len(self._types))

    @property
    def has_list(self) -> bool:
        """Whether one of the arguments is a list of tensors that the trace kept."""
        pairs = zip(self._types, self._dims, strict=True)
        return any(kind == _LIST and dims for kind, dims in pairs)

    def dtypes(self) -> Iterator[str]:
        """The neutral dtype of each tensor that is not in a list."""
        return (DTYPES[kind] for kind in self._types if kind in DTYPES)

    def arguments(self, list_dtype: str) -> tuple[Argument, ...]:
        """The arguments in schema order; tensors in lists get `list_dtype`."""
        columns = zip(self._types, self._dims, self._strides, self._concrete, strict=True)
        return tuple(
            _argument(kind, dims, strides, text, list_dtype)
            for kind, dims, strides, text in columns
        )


def _json(text: bytes) -> list[Json]:
    """The list in `text`; empty where there is none, or what there is does not parse."""
    if not text:
        return []
    try:
        found = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return []
    return found if isinstance(found, list) else []


def _padded(values: list[Json], length: int) -> list[Json]:
    return (values + [[]] * length)[:length]


def _argument(kind: str, dims: Json, strides: Json, text: Json, list_dtype: str) -> Argument:
    if kind == _LIST:
        return _tensors(dims, strides, list_dtype)
    if kind in _NO_TENSOR:
        return literal(text) if isinstance(text, str) else None
    return _tensor(dims, strides, DTYPES.get(kind, kind))


def _tensors(dims: Json, strides: Json, dtype: str) -> Argument:
    """A list of tensors; None for the empty one that stands for a list too long to record."""
    if not isinstance(dims, list) or not dims:
        return None
    known = isinstance(strides, list) and len(strides) == len(dims)
    steps = strides if known else [[]] * len(dims)
    return tuple(_tensor(each, step, dtype) for each, step in zip(dims, steps, strict=True))


def _tensor(dims: Json, strides: Json, dtype: str) -> TensorSpec | None:
    """A tensor; None where its sizes are no sizes: the file is damaged, or another tool's."""
    if not _is_sizes(dims):
        return None
    known = _is_sizes(strides) and len(strides) == len(dims)
    return TensorSpec(tuple(dims), dtype, tuple(strides) if known else ())


def _is_sizes(found: Json) -> bool:
    return isinstance(found, list) and all(type(size) is int and size >= 0 for size in found)


def literal(text: str) -> Argument:
    """The scalar or list of scalars that a trace writes, e.g. `[1, -1]`; other text as it is."""
    word = text.strip()
    if word in _WORDS:
        return _WORDS[word]
    if word.startswith("[") and word.endswith("]"):
        inner = word[1:-1].strip()
        return tuple(literal(part) for part in inner.split(",")) if inner else ()
    if _INTEGER.fullmatch(word):
        return int(word)
    for kind in (float, complex):
        try:
            return kind(word)
        except ValueError:
            continue
    return text
