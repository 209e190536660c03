"""One fresh process of `goodput compare`: `python -m goodput.commands.sample DESCRIPTOR`.

Reads a request from stdin and answers on the descriptor. It is started by goodput alone.
"""

from __future__ import annotations

import sys
from collections import Counter
from functools import partial
from typing import Any

import msgspec

from goodput.comparison.faults import said
from goodput.comparison.problem import Frameworks, Problem
from goodput.comparison.trees import leaves
from goodput.comparison.tuning import first_call, say_kernel
from goodput.comparison.wire import Chosen, Counted, Memory, Request, Wire, opened
from goodput.comparison.worker import Worker
from goodput.measure.statistics import median
from goodput.recording.counting import of_call
from goodput.recording.frameworks import framework_of
from goodput.trace.recording import WorkPass

_RECOMPUTE = "recompute"
_WATCHED_CALLS = 5


def count(
    choices: tuple[Chosen, ...], wire: Wire, place: int, entry: str, problem: Problem
) -> None:
    """Counts one call of `entry`, and says what it needs; it is the first one, which tunes."""
    try:
        values = problem.values(1)
        arguments = problem.arguments(entry, values)
        first_call(wire, place, entry, choices, partial(problem.run, entry, values, arguments))
        outputs = _peak(wire, place, entry, problem, values)
        arguments = problem.arguments(entry, values)
        recording = of_call(problem.call(entry, values), arguments)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - the user's own code
        wire.note(f"{entry} is not counted: {said(error)}")
        return
    if recording.work is None or recording.work.failure:
        wire.note(f"{entry} is not counted: {recording.work.failure if recording.work else ''}")
        return
    moved = sum(int(getattr(leaf, "nbytes", 0)) for leaf in leaves([arguments, outputs]))
    wire.say(counted(wire.nonce, place, entry, recording.work, moved))


def _peak(
    wire: Wire, place: int, entry: str, problem: Problem, values: tuple[Any, ...]
) -> list[Any]:
    """Says what memory a call takes at most, and returns what it gave.

    All of it is held: what an earlier call frees while a later one runs would be missed. That of
    the first call may still be, and what else the process does adds to some: hence the median.
    """
    home = problem.home(entry, values)
    held: list[Any] = []
    peaks = []
    for _ in range(_WATCHED_CALLS):
        arguments = problem.arguments(entry, values)
        home.wait(arguments)
        held.append(arguments)
        home.forget_peak()
        held.append(problem.run(entry, values, arguments))
        peaks.append(home.peak_bytes())
    known = [peak for peak in peaks if peak is not None]
    if known:
        peak = round(median(known))
        wire.say(Memory(nonce=wire.nonce, case=place, entry=entry, peak_bytes=peak))
    return held[-1:]


def counted(nonce: str, place: int, entry: str, work: WorkPass, moved: int) -> Counted:
    """The sums of a counted call; `moved` are the bytes of its arguments and results."""
    useful: Counter[str] = Counter()
    executed = vector = special = traffic = 0
    operators: Counter[str] = Counter()
    missing: dict[str, None] = {}
    for one in work.entries:
        operators[one.operator] += one.calls
        if one.work is None:
            missing[one.operator] = None
            continue
        executed += one.work.executed_flops
        vector += one.work.vector_flops
        special += one.work.special
        traffic += one.work.bytes
        if one.phase != _RECOMPUTE:
            useful[one.mode] += one.work.flops
    return Counted(
        nonce=nonce,
        case=place,
        entry=entry,
        useful_flops={mode: flops for mode, flops in useful.items() if flops},
        executed_flops=executed,
        vector_flops=vector,
        special=special,
        moved_bytes=traffic,
        operators=dict(sorted(operators.items())),
        products=tuple((c.batch, c.m, c.n, c.k, c.mode) for c in work.contractions),
        tensor_bytes=moved,
        missing=tuple(missing),
    )


def compile_for(
    architectures: tuple[str, ...], wire: Wire, place: int, entry: str, problem: Problem
) -> None:
    """Compiles the Triton kernels of `entry` for the chips that are asked for."""
    try:
        values = problem.values(1)
        arguments = problem.arguments(entry, values)
        call = problem.call(entry, values)
        # Imported here: only a program that has Triton has kernels.
        from goodput.frontends.triton_targets import compiled_for

        found = compiled_for(lambda: call(*arguments), architectures)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - the user's own code
        _not_compiled(wire, place, entry, f"is not compiled: {said(error)}")
        return
    for one in found:
        say_kernel(wire, place, entry, one)
    if not found:
        _not_compiled(wire, place, entry, "launches no Triton kernel")


def _not_compiled(wire: Wire, place: int, entry: str, text: str) -> None:
    """Says it in the row, and among the warnings: `--target` shows no rows of times."""
    wire.note(f"{entry} {text}")
    wire.trouble(f"it {text}", place, entry)


def main() -> None:
    """Answers one request."""
    stream = opened(int(sys.argv[1]))
    request = msgspec.json.decode(sys.stdin.buffer.read(), type=Request)
    frameworks = Frameworks(framework_of)
    compiling = partial(compile_for, request.architectures)
    counting = partial(count, request.choices)
    Worker(request, Wire(stream, request.nonce), frameworks, counting, compiling).run()


if __name__ == "__main__":
    main()
