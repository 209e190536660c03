"""What one execution of an HLO instruction does, through fusions and loops; and a whole program.

This is executed work: after XLA has removed what is dead or computed twice, and has fused the rest.
Bytes are what the instruction really takes from memory and puts there: of an operand that is only
sliced the slices, of a result that is updated in place the update.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

import goodput.formulas.lax  # noqa: F401 - registers the formulas of JAX's primitives
from goodput.errors import FormulaError
from goodput.formulas.modes import mode_of
from goodput.formulas.registry import work_of
from goodput.readers.hlo import Computation, Instruction, Program
from goodput.readers.hlo_calls import COLLECTIVES, CONTAINERS, FUSIONS, NOTHING, call_of
from goodput.trace.words import shapes_text
from goodput.work import Work

_SLICES = frozenset({"dynamic-slice", "slice", "gather"})
_UPDATES = {"dynamic-update-slice": 1, "scatter": 2}
_VIEWS = frozenset({"bitcast", "reshape", "tuple", "get-tuple-element", "copy", "convert"})
# Libraries whose further results are memory that they work in.
_SCRATCH = ("gemm", "matmul", "conv")
_MOST_NAMED = 4


@dataclass(frozen=True, slots=True)
class Executed:
    """One execution of an instruction.

    Attributes:
        operator: its opcode, or library; of a fusion what computes in it, heaviest first.
        work: None where something in it has no formula.
        unknown: what has none, "" where all have.
        mode: the math mode of its heaviest part.
        shapes: of what it takes.
        op_name: JAX's path of its heaviest part.
        source: `file.py:line` of that part.
        is_communication: whether it talks to other devices.
    """

    operator: str
    work: Work | None
    unknown: str = ""
    mode: str = ""
    shapes: str = ""
    op_name: str = ""
    source: str = ""
    is_communication: bool = False


@dataclass(frozen=True, slots=True)
class _Part:
    """One instruction of a fusion or of what a container calls, and how often it runs."""

    instruction: Instruction
    work: Work | None
    mode: str
    times: int = 1

    @property
    def weight(self) -> tuple[int, int, int]:
        """Products first, then other arithmetic, then bytes."""
        work = self.work or Work()
        return work.flops, work.vector_flops + work.special, work.bytes


def executed(instruction: Instruction, program: Program, *, tf32: bool = False) -> Executed:
    """What one execution of `instruction` does; of a container, what all that it calls does."""
    place = program.places[instruction.name]
    inputs = tuple(
        spec for name in instruction.operands for spec in place.instructions[name].outputs
    )
    if _is_communication(instruction):
        return Executed(
            operator=instruction.opcode,
            work=replace(_traffic(instruction, place, program), flops=0, dense_flops=0),
            shapes=shapes_text(inputs),
            op_name=instruction.op_name,
            source=instruction.source,
            is_communication=True,
        )
    parts = list(_parts(instruction, place, program, 1, tf32=tf32))
    unknown = sorted({_name(part.instruction) for part in parts if part.work is None})
    heaviest = max(parts, key=lambda part: part.weight, default=None)
    chosen = heaviest.instruction if heaviest else instruction
    return Executed(
        operator=_operator(instruction, parts),
        work=None if unknown else _total(instruction, parts, place, program),
        unknown=", ".join(unknown),
        mode=heaviest.mode if heaviest else "",
        shapes=shapes_text(inputs),
        op_name=chosen.op_name or instruction.op_name,
        source=chosen.source or instruction.source,
    )


def total(program: Program, *, tf32: bool = False) -> tuple[Work, dict[str, int]]:
    """The work of one run of the whole program, and how often each part without a formula runs.

    A loop counts as often as the compiler knows that it runs; one of which it does not know stands
    among the second, and its body counts once.
    """
    work, unknown = Work(), Counter[str]()
    for instruction, place, times in _all(program.computations[program.entry], program, 1, unknown):
        if _is_communication(instruction):
            continue
        parts = list(_parts(instruction, place, program, 1, tf32=tf32))
        lacking = [_name(part.instruction) for part in parts if part.work is None]
        unknown.update(dict.fromkeys(lacking, times))
        if not lacking:
            work += _total(instruction, parts, place, program) * times
    return work, dict(unknown)


def _all(
    computation: Computation, program: Program, times: int, unknown: Counter[str]
) -> Iterator[tuple[Instruction, Computation, int]]:
    """Every instruction outside of fusions that runs, the computation it is in, and how often."""
    for instruction in computation.instructions.values():
        if instruction.opcode not in CONTAINERS:
            yield instruction, computation, times
            continue
        trips = instruction.trips if instruction.opcode == "while" else 1
        if trips is None:
            unknown["while of unknown length"] += times
        for called in _bodies(instruction, program):
            yield from _all(called, program, times * (trips or 1), unknown)


def _bodies(instruction: Instruction, program: Program) -> list[Computation]:
    """What a container runs: of a loop body and condition, of a choice the heaviest branch."""
    called = list(program.called(instruction))
    if instruction.opcode != "conditional":
        return called
    return [max(called, key=lambda branch: _weight(branch, program))] if called else []


def _weight(computation: Computation, program: Program) -> tuple[int, int, int]:
    parts = [
        part.weight
        for instruction in computation.instructions.values()
        for part in _parts(instruction, computation, program, 1, tf32=False)
    ]
    return (sum(p[0] for p in parts), sum(p[1] for p in parts), sum(p[2] for p in parts))


def _parts(
    instruction: Instruction, place: Computation, program: Program, times: int, *, tf32: bool
) -> Iterator[_Part]:
    """What is counted one by one: the instruction itself, or those that it calls."""
    if instruction.opcode in NOTHING:
        return
    if instruction.opcode in CONTAINERS or instruction.opcode in FUSIONS:
        trips = (instruction.trips or 1) if instruction.opcode == "while" else 1
        for called in _bodies(instruction, program):
            for inner in called.instructions.values():
                yield from _parts(inner, called, program, times * trips, tf32=tf32)
        return
    call = call_of(instruction, place, program, tf32=tf32)
    if call is None:
        yield _Part(instruction, None, "", times)
        return
    try:
        work = work_of(call)
    except FormulaError:
        work = None
    yield _Part(instruction, None if work is None else work * times, mode_of(call), times)


def _total(
    instruction: Instruction, parts: list[_Part], place: Computation, program: Program
) -> Work:
    """The arithmetic of all parts, and the traffic of the instruction as a whole."""
    summed = sum((part.work for part in parts if part.work is not None), start=Work())
    if instruction.opcode in CONTAINERS:
        return summed
    traffic = _traffic(instruction, place, program)
    return replace(summed, bytes_read=traffic.bytes_read, bytes_written=traffic.bytes_written)


def _traffic(instruction: Instruction, place: Computation, program: Program) -> Work:
    """The bytes that one execution really reads and writes."""
    if instruction.opcode in NOTHING:
        return Work()
    if instruction.opcode in FUSIONS and instruction.calls:
        fused = next(iter(program.called(instruction)))
        return Work(bytes_read=_read_by(fused), bytes_written=_written_by(fused))
    sizes = [
        sum(spec.bytes for spec in place.instructions[n].outputs) for n in instruction.operands
    ]
    outputs = instruction.outputs
    if instruction.opcode == "custom-call" and any(part in instruction.target for part in _SCRATCH):
        outputs = outputs[:1]
    whole = sum(spec.bytes for spec in outputs)
    if instruction.opcode in _SLICES:
        return Work(bytes_read=whole + sum(sizes[1:]), bytes_written=whole)
    if instruction.opcode in _UPDATES:
        updates = sizes[_UPDATES[instruction.opcode]]
        return Work(bytes_read=sum(sizes[1:]), bytes_written=updates)
    return Work(bytes_read=sum(sizes), bytes_written=whole)


def _read_by(fused: Computation) -> int:
    """Bytes that a fusion reads of its parameters."""
    users: dict[str, list[Instruction]] = {}
    for inner in fused.instructions.values():
        for operand in inner.operands:
            users.setdefault(operand, []).append(inner)
    read = 0
    for inner in fused.instructions.values():
        if inner.opcode != "parameter":
            continue
        size = sum(spec.bytes for spec in inner.outputs)
        read += min(size, sum(_taken(inner.name, user, size) for user in users.get(inner.name, [])))
    return read


def _taken(name: str, user: Instruction, size: int) -> int:
    """Bytes that `user` needs of a value of `size` bytes."""
    if user.opcode in _SLICES and user.operands[0] == name:
        return sum(spec.bytes for spec in user.outputs)
    if user.opcode in _UPDATES and user.operands[0] == name:
        return 0
    return size


def _written_by(fused: Computation) -> int:
    """Bytes that a fusion writes: of a result that is updated in place, the update."""
    root = fused.result
    results = [fused.instructions[n] for n in root.operands] if root.opcode == "tuple" else [root]
    return sum(_update(result, fused) for result in results)


def _update(result: Instruction, fused: Computation) -> int:
    while result.opcode in _VIEWS and result.operands:
        behind = fused.instructions[result.operands[0]]
        if behind.opcode not in _UPDATES and behind.opcode not in _VIEWS:
            break
        result = behind
    if result.opcode in _UPDATES:
        updates = fused.instructions[result.operands[_UPDATES[result.opcode]]]
        return sum(spec.bytes for spec in updates.outputs)
    return sum(spec.bytes for spec in result.outputs)


def _is_communication(instruction: Instruction) -> bool:
    return instruction.opcode.removesuffix("-start") in COLLECTIVES


def _name(instruction: Instruction) -> str:
    return instruction.target or instruction.opcode


def _operator(instruction: Instruction, parts: list[_Part]) -> str:
    """The opcode; of a fusion the opcodes in it that compute, heaviest first."""
    if instruction.opcode not in FUSIONS:
        return _name(instruction)
    weights = Counter[str]()
    for part in sorted(parts, key=lambda part: part.weight, reverse=True):
        flops, other, _ = part.weight
        if flops or other or part.work is None:
            weights[_name(part.instruction)] += 1
    names = list(weights) or sorted({_name(part.instruction) for part in parts} - _VIEWS)
    rest = f"+{len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return ("+".join(names[:_MOST_NAMED]) or "copy") + rest
