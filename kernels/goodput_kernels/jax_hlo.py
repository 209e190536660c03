"""What XLA left inside the loops of a compiled program. Reads HLO text, never runs or times it.

XLA moves work that every pass would repeat out of a loop, and drops what nobody reads: a rate
counted from such a loop would be that of nothing. So each program is read before it is timed.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

_COMPUTATION = re.compile(r"^(?:ENTRY )?%?([\w.\-]+) .*\{$")
_INSTRUCTION = re.compile(r"^\s+(?:ROOT )?%?[\w.\-]+ = (.*)$")
_BODY = re.compile(r"\bbody=%?([\w.\-]+)")
_WORD = re.compile(r"[\w.\-]+")
_TARGET = re.compile(r'custom_call_target="([^"]*)"')
_SHAPE = re.compile(r"\w+\[([\d,]*)\]")

# They name, pick, order, repeat or copy values, or stand for the instructions of a computation of
# their own, which are read one by one.
_NO_ARITHMETIC = frozenset(
    {
        "parameter",
        "constant",
        "tuple",
        "get-tuple-element",
        "bitcast",
        "copy",
        "copy-start",
        "copy-done",
        "slice",
        "dynamic-slice",
        "dynamic-update-slice",
        "broadcast",
        "fusion",
        "call",
        "while",
    }
)
_PRODUCTS = frozenset({"dot", "convolution"})
# cuBLAS, oneDNN and friends; kernels written in Pallas, for a GPU and for a TPU.
_PRODUCT_TARGET = re.compile(r"gemm|matmul|triton|tpu_custom_call|mosaic", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction of optimised HLO.

    Attributes:
        opcode: e.g. `dot`, `fusion`, `custom-call`.
        elements: of its result; of the largest part where that is a tuple.
        target: of a custom call, else "".
    """

    opcode: str
    elements: int
    target: str = ""

    @property
    def is_product(self) -> bool:
        """Whether it is a matrix product, or a library's or a custom kernel that may be one."""
        if self.opcode == "custom-call":
            return bool(_PRODUCT_TARGET.search(self.target))
        return self.opcode in _PRODUCTS

    @property
    def computes(self) -> bool:
        """Whether it makes values that were not there before."""
        return self.opcode not in _NO_ARITHMETIC


def in_loops(hlo: str) -> tuple[Instruction, ...]:
    """Every instruction of the `while` bodies in `hlo`, and of what those call."""
    computations = _computations(hlo)
    waiting = [name for name in _BODY.findall(hlo) if name in computations]
    reached: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            words = _WORD.findall("\n".join(computations[name]))
            waiting.extend(word for word in words if word in computations)
    return tuple(_instruction(line) for name in sorted(reached) for line in computations[name])


def _computations(hlo: str) -> dict[str, list[str]]:
    """The right-hand sides of the instructions of each computation, by its name."""
    found: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in hlo.splitlines():
        head = _COMPUTATION.match(line)
        if head:
            lines = found.setdefault(head[1], [])
        elif instruction := _INSTRUCTION.match(line):
            lines.append(instruction[1])
    return found


def _instruction(text: str) -> Instruction:
    shape, rest = _split_shape(text)
    target = _TARGET.search(rest)
    sizes = (map(int, filter(None, dims.split(","))) for dims in _SHAPE.findall(shape))
    return Instruction(
        opcode=rest.partition("(")[0].strip(),
        elements=max(map(math.prod, sizes), default=0),
        target=target[1] if target else "",
    )


def _split_shape(text: str) -> tuple[str, str]:
    """The result's shape and the rest; a tuple's shape has blanks and brackets of its own."""
    depth = 0
    for place, letter in enumerate(text):
        depth += (letter in "([{") - (letter in ")]}")
        if letter == " " and not depth:
            return text[:place], text[place + 1 :]
    return text, ""
