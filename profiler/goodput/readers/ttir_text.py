"""Triton's intermediate representation (TTIR) as plain operations, from its text. Knows no meaning.

The grammar is what Triton 3.6 to 3.9 print: one operation a line, regions in braces, and MLIR's
generic form (`"tt.reduce"(...)`) where an operation has no form of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache

from goodput.errors import UsageError

ITEM_BITS = {"f64": 64, "f32": 32, "tf32": 32, "f16": 16, "bf16": 16, "f6": 6, "f4": 4}
"""Bits of an element; others are told by the digits of their names (`i8`, `f8E4M3FN`)."""

_NAME = r"%[\w$.\-]+"
_OPERAND = re.compile(rf"{_NAME}(?:#\d+)?")
_RESULTS = re.compile(rf"({_NAME}(?::\d+)?(?:, {_NAME}(?::\d+)?)*) = ")
_LABEL = re.compile(r"(\^\w+)(?:\((.*)\))?:$")
_COMMENT = re.compile(r"\s*//[^\"]*$")
_TENSOR = re.compile(r"tensor<((?:\d+x)*)(.+?)(?:, [^<>]*)?>$")
_LAST = (".yield", ".return", ".condition", ".br", ".cond_br", ".switch", ".unreachable")
_OPEN, _CLOSE = "([{<", ")]}>"


class GrammarError(UsageError):
    """The text is not TTIR as Triton prints it."""


@dataclass(frozen=True, slots=True)
class Type:
    """The type of a value: the shape of a tile, () for a scalar, and what its elements are.

    `element` is e.g. `f16`, `i32`, `!tt.ptr<f16>` or `!tt.tensordesc<...>`.
    """

    shape: tuple[int, ...]
    element: str

    @property
    def is_float(self) -> bool:
        """Whether its elements are floating-point numbers."""
        return self.element.startswith(("f", "bf", "tf"))

    @property
    def pointee(self) -> str:
        """What its elements point to; "" where they are no pointers."""
        found = re.match(r"!tt\.ptr<([^,]+?)(?:, \d+)?>$", self.element)
        return found[1] if found else ""


@dataclass(frozen=True, slots=True)
class Block:
    """Operations in a row, begun with the values that a jump hands over."""

    label: str
    arguments: tuple[str, ...]
    operations: tuple[Operation, ...]


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation.

    Attributes:
        name: e.g. `tt.load`.
        results, operands: names of values.
        text: all of it but for regions, to read attributes from.
        takes, gives: types as written; one that is written once stands for operands and results.
        regions: bodies of loops, branches, reductions.
    """

    name: str
    results: tuple[str, ...]
    operands: tuple[str, ...]
    text: str
    takes: tuple[Type, ...]
    gives: tuple[Type, ...]
    regions: tuple[tuple[Block, ...], ...] = ()

    @property
    def type(self) -> Type:
        """The type of its first result, or of what it takes."""
        return (self.gives or self.takes)[0]

    def number(self, attribute: str) -> int:
        """An attribute that is an integer.

        Raises:
            GrammarError: it has none of this name.
        """
        found = re.search(rf"\b{attribute} = (-?\d+)", self.text)
        if found is None:
            raise GrammarError(f"{self.name} has no {attribute}: {self.text}")
        return int(found[1])


@dataclass(frozen=True, slots=True)
class Function:
    """One function: its arguments, their types, and its blocks."""

    name: str
    arguments: tuple[str, ...]
    types: tuple[Type, ...]
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Module:
    """What one kernel is compiled from: the kernel itself, and the functions that it calls."""

    kernel: Function
    functions: dict[str, Function] = field(default_factory=dict)


def parse(text: str) -> Module:
    """The functions in `text`.

    Raises:
        GrammarError: the text is no TTIR, or cut off.
    """
    lines = _Lines(list(_plain_lines(text)))
    found: dict[str, Function] = {}
    kernel: Function | None = None
    while not lines.at_end:
        line = lines.take()
        if not line.startswith("tt.func"):
            continue
        function = _function(line, lines)
        found[function.name] = function
        if " private " not in line.split("(", 1)[0] and kernel is None:
            kernel = function
    if kernel is None:
        raise GrammarError("the text holds no kernel: no tt.func public")
    return Module(kernel, found)


@cache
def item_bits(element: str) -> int:
    """Bits that an element takes in memory; a boolean takes a byte.

    Raises:
        GrammarError: no such element is known.
    """
    if element in ITEM_BITS:
        return ITEM_BITS[element]
    if element == "i1":
        return 8
    if element.startswith("!tt.ptr"):
        return 64
    digits = re.match(r"[a-z]+(\d+)", element)
    if digits is None:
        raise GrammarError(f"{element} has no known size")
    return int(digits[1])


class _Lines:
    """The lines that are still to be read."""

    def __init__(self, lines: list[str]) -> None:
        self._lines = lines
        self._place = 0

    @property
    def at_end(self) -> bool:
        return self._place >= len(self._lines)

    def peek(self) -> str:
        if self.at_end:
            raise GrammarError("the text ends inside a function")
        return self._lines[self._place]

    def take(self) -> str:
        line = self.peek()
        self._place += 1
        return line


def _plain_lines(text: str) -> Iterator[str]:
    """Lines without locations, comments and empty ones."""
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        plain = _COMMENT.sub("", _without_locations(line)).strip()
        if plain:
            yield plain


def _without_locations(line: str) -> str:
    while (start := line.find(" loc(")) >= 0:
        depth, place = 0, start + 4
        quoted = False
        while place < len(line):
            sign = line[place]
            if sign == '"' and line[place - 1] != "\\":
                quoted = not quoted
            elif not quoted:
                depth += (sign == "(") - (sign == ")")
            if not depth:
                break
            place += 1
        line = line[:start] + line[place + 1 :]
    return line


def _function(line: str, lines: _Lines) -> Function:
    head = re.search(r"@\"?([\w.$\-]+)\"?\(", line)
    if head is None:
        raise GrammarError(f"a function without a name: {line}")
    inside = line[head.end() : _closing(line, head.end() - 1)]
    pairs = [part.split(": ", 1) for part in _split(inside)]
    types = tuple(type_of(re.sub(r" \{.*\}$", "", kind)) for _, kind in pairs)
    blocks = _region(lines) if line.endswith("{") else ()
    if blocks:
        lines.take()
    return Function(head[1], tuple(name for name, _ in pairs), types, blocks)


def _region(lines: _Lines) -> tuple[Block, ...]:
    """The blocks up to the brace that closes them, which is left."""
    blocks: list[Block] = []
    label = ""
    arguments: tuple[str, ...] = ()
    operations: list[Operation] = []
    while not lines.peek().startswith("}"):
        line = lines.take()
        begun = _LABEL.match(line)
        if begun is None:
            operations.append(_operation(line, lines))
            continue
        if operations or label:
            blocks.append(_block(label, arguments, operations))
        operations = []
        label = begun[1]
        arguments = tuple(part.split(":")[0] for part in _split(begun[2] or ""))
    blocks.append(_block(label, arguments, operations))
    return tuple(blocks)


def _block(label: str, arguments: tuple[str, ...], operations: list[Operation]) -> Block:
    """A block with its last operation, which is not printed where it hands nothing back."""
    if not operations or not operations[-1].name.endswith(_LAST):
        operations = [*operations, Operation("scf.yield", (), (), "scf.yield", (), ())]
    return Block(label, arguments, tuple(operations))


def _operation(line: str, lines: _Lines) -> Operation:
    regions = []
    head = line
    if line.endswith("{"):
        head = line[:-2] if line.endswith("({") else line[:-1]
        while True:
            regions.append(_region(lines))
            closing = lines.take()
            if not closing.endswith("{"):
                head += closing.removeprefix("}").removeprefix(")")
                break
    results, body = _results(head)
    name = body.split('"')[1] if body.startswith('"') else re.split(r"[ (<]", body, maxsplit=1)[0]
    takes, gives = _types(body)
    operands = tuple(_OPERAND.findall(re.sub(r'"(?:[^"\\]|\\.)*"', "", body)))
    return Operation(name, results, operands, body, takes, gives, tuple(regions))


def _results(head: str) -> tuple[tuple[str, ...], str]:
    found = _RESULTS.match(head)
    if found is None:
        return (), head
    names: list[str] = []
    for one in found[1].split(", "):
        name, _, count = one.partition(":")
        names += [f"{name}#{place}" for place in range(int(count))] if count else [name]
    return tuple(names), head[found.end() :]


def _types(body: str) -> tuple[tuple[Type, ...], tuple[Type, ...]]:
    """The types after the last colon that stands in no bracket."""
    place = _last_at_top(body, " : ")
    if place < 0:
        return (), ()
    text = body[place + 3 :]
    for arrow in (" -> ", " to "):
        cut = _last_at_top(text, arrow)
        if cut >= 0:
            return _type_list(text[:cut]), _type_list(text[cut + len(arrow) :])
    return _type_list(text), ()


def _type_list(text: str) -> tuple[Type, ...]:
    text = text.strip()
    if text.startswith("(") and _closing(text, 0) == len(text) - 1:
        text = text[1:-1]
    parts = [piece for part in _split(text) for piece in part.split(" * ")]
    return tuple(type_of(part.strip()) for part in parts if part.strip())


@cache
def type_of(text: str) -> Type:
    """The type that `text` tells."""
    tensor = _TENSOR.match(text)
    if tensor is None:
        return Type((), text)
    return Type(tuple(int(size) for size in tensor[1].split("x") if size), tensor[2])


def _split(text: str) -> list[str]:
    """Parts between commas that stand in no bracket."""
    parts, depth, start = [], 0, 0
    for place, sign in enumerate(text):
        depth += _depth(text, place)
        if sign == "," and not depth:
            parts.append(text[start:place].strip())
            start = place + 1
    last = text[start:].strip()
    return [*parts, last] if last else parts


def _depth(text: str, place: int) -> int:
    """What the sign at `place` adds to the depth of brackets; an arrow is none."""
    sign = text[place]
    if sign in _OPEN:
        return 1
    return -1 if sign in _CLOSE and text[place - 1 : place + 1] != "->" else 0


def _last_at_top(text: str, sought: str) -> int:
    """Where `sought` begins for the last time outside of all brackets and strings; -1 nowhere."""
    depth, found, quoted = 0, -1, False
    for place, sign in enumerate(text):
        if sign == '"' and text[place - 1] != "\\":
            quoted = not quoted
        if quoted:
            continue
        depth += _depth(text, place)
        if not depth and text.startswith(sought, place):
            found = place
    return found


def _closing(text: str, start: int) -> int:
    """Where the bracket that opens at `start` is closed."""
    depth = 0
    for place in range(start, len(text)):
        depth += _depth(text, place)
        if not depth:
            return place
    raise GrammarError(f"a bracket is never closed: {text}")
