"""What a fresh process of `goodput check` runs: one case, counted. The only part with a framework.

Started as `python -c`, with the request and the place of the answer as arguments. Never judges.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from goodput.commands.own_imports import imported_from
from goodput.errors import GoodputError, NotMeasuredError

if TYPE_CHECKING:
    from goodput.frontends.triton_resources import KernelResources
    from goodput.gates.observation import Observation, Place
    from goodput.recording.run import RunOutcome, ScriptTarget
    from goodput.trace.recording import Recording


class Request(msgspec.Struct, frozen=True):
    """What a fresh process is asked.

    Attributes:
        target: `file.py:function`, or "".
        script: a script and its arguments, or ().
        batch, seq, train: as `goodput count` takes them.
        targets: GPU architectures that Triton kernels are compiled for.
        anchor: `compute` or `memory`: the case is timed beside it; "": it is counted.
        mode: math mode of most of its products.
        seconds: measured time of one process, about.
        operators: whether its operators are timed too, under a profiler, after that.
        top, instead_of: of a tree of another commit, its top and that of the work tree; else "".
    """

    target: str = ""
    script: tuple[str, ...] = ()
    batch: int | None = None
    seq: int | None = None
    train: bool | None = None
    targets: tuple[str, ...] = ()
    anchor: str = ""
    mode: str = "float32"
    seconds: float = 3.0
    operators: bool = False
    top: str = ""
    instead_of: str = ""


@dataclass(frozen=True, slots=True)
class Counted:
    """A counted case: its observation, and the counts themselves for a prediction."""

    observation: Observation
    recording: Recording


def main() -> None:
    """Answers the request in argv[1] into the folder in argv[2]."""
    request = msgspec.json.decode(sys.argv[1], type=Request)
    folder = Path(sys.argv[2])
    try:
        with imported_from(request.top, request.instead_of):
            answer = _timed(request) if request.anchor else _counted(request, folder)
    except GoodputError as error:
        answer = {"error": str(error), "status": error.exit_code}
    (folder / "answer.json").write_bytes(msgspec.json.encode(answer))


def _counted(request: Request, folder: Path) -> dict[str, object]:
    counted = observe(request)
    from goodput.readers import recording_file

    recording_file.save(counted.recording, folder / "counts.goodput")
    return {"observation": counted.observation}


def _timed(request: Request) -> dict[str, object]:
    from goodput.commands.timing import timed_script, timed_target

    plan: dict[str, object] = {
        "anchor": request.anchor,
        "mode": request.mode,
        "seconds": request.seconds,
    }
    if request.script:
        return {"timed": timed_script(_script(request), **plan)}  # type: ignore[arg-type]  # by name
    sizes = request.batch, request.seq
    plan["operators"] = request.operators
    return {"timed": timed_target(request.target, sizes, request.train, **plan)}  # type: ignore[arg-type]  # by name


def observe(request: Request) -> Counted:
    """Counts a case in this process.

    Raises:
        UsageError: it names nothing that can be counted, or it failed by itself.
        NotMeasuredError: it could not be counted.
    """
    watch = Watch()
    if request.script:
        recording, made = _of_script(request), None
    else:
        recording, made = _of_target(request), _maker(request)
    return Counted(watch.observation(recording, made, request.targets, request.train), recording)


class Watch:
    """What torch.compile and Triton do from now on, beside what is counted."""

    def __init__(self) -> None:
        from goodput.frontends import triton_resources
        from goodput.frontends.torch_compile_events import CompileEvents

        triton_resources.forget()
        self._compiler = CompileEvents()

    def observation(
        self,
        recording: Recording,
        make: Callable[[], tuple[Callable[..., Any], Any]] | None,
        targets: tuple[str, ...],
        train: bool | None,
    ) -> Observation:
        """The exact figures of a counted program: its work, its graphs, its Triton kernels.

        Args:
            recording: its counts.
            make: makes the callable and its inputs again; None where it ran for real.
            targets: GPU architectures that its Triton kernels are compiled for.
            train: whether its output is taken backward.

        Raises:
            UsageError: a target is no architecture that is known.
        """
        from goodput.frontends.triton_resources import resources
        from goodput.gates.figures import observed

        fault = _graphs_fault(recording, make, train=train) if make is not None else ""
        figures = {} if fault else self._compiler.figures()
        found = resources(targets)
        for one in found:
            figures |= _of_kernel(one)
        notes = [f"{one.title} does not compile: {one.fault}" for one in found if one.fault]
        seen = observed(recording, figures, (*self._breaks(), *map(_spill_place, found)))
        if make is not None and recording.trace.framework == "torch":
            from goodput.frontends.torch_graphs import forget

            forget()
        return replace(
            seen,
            toolchain={**seen.toolchain, **_triton()},
            notes=(*seen.notes, *filter(None, [fault]), *notes),
        )

    def _breaks(self) -> Iterator[Place]:
        from goodput.gates.observation import Place

        for one in self._compiler.breaks():
            yield Place("graph_breaks", one.file, one.line, one.reason)


def _of_kernel(one: KernelResources) -> dict[str, float]:
    """A kernel's figures; none where it did not compile."""
    if one.fault:
        return {}
    return {
        f"registers.{one.title}": one.registers,
        f"spills.{one.title}": one.spilled_bytes,
        f"shared_bytes.{one.title}": one.shared_bytes,
    }


def _spill_place(one: KernelResources) -> Place:
    from goodput.gates.observation import Place

    return Place(f"spills.{one.title}", one.file, one.line, "for want of registers")


def _maker(request: Request) -> Callable[[], tuple[Callable[..., Any], Any]] | None:
    from goodput.recording import targets

    target = targets.parsed(request.target)
    if target.kind == "hf":
        return None
    sizes = {"batch": request.batch, "seq": request.seq}
    return lambda: targets.call(target, targets.function_of(target), sizes)


def _graphs_fault(
    recording: Recording,
    make: Callable[[], tuple[Callable[..., Any], Any]],
    *,
    train: bool | None,
) -> str:
    """Takes a program of torch through torch.compile; why that cannot be, else ""."""
    from goodput.recording.frameworks import TORCH

    if recording.trace.framework != TORCH:
        return ""
    from goodput.frontends.torch_count import Step
    from goodput.frontends.torch_graphs import graphs_fault

    return graphs_fault(lambda: Step(*make(), train))


def _triton() -> dict[str, str]:
    """Triton's version, where the program used it."""
    return {"triton": version("triton")} if "triton" in sys.modules else {}


def _of_target(request: Request) -> Recording:
    from goodput.recording.counting import of_target

    return of_target(request.target, request.batch, request.seq, train=request.train)


def _of_script(request: Request) -> Recording:
    """The counts of one step of a script, which runs as under `goodput run --count-only`.

    Raises:
        NotMeasuredError: it failed, or no whole step was seen.
    """
    from goodput.recording.run import RunOptions, record_script

    target = _script(request)
    outcome = record_script(target, RunOptions(steps=1, stop_after=True, count_only=True))
    return whole(outcome, target)


def _script(request: Request) -> ScriptTarget:
    from goodput.recording.run import ScriptTarget

    path, *arguments = request.script
    return ScriptTarget(path=path, module=None, argv=tuple(arguments))


def whole(outcome: RunOutcome, target: ScriptTarget) -> Recording:
    """The recording of a script that ended well.

    Raises:
        NotMeasuredError: it failed, or no whole step was seen.
    """
    if outcome.exit_status:
        raise NotMeasuredError(f"{target.title} ended with status {outcome.exit_status}")
    if outcome.recording is None:
        raise NotMeasuredError(outcome.reason)
    return outcome.recording
