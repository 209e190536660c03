"""Counts a callable, a module or a training step without running it: on tensors without memory.

Where the program needs a value that only real data has, it is run once for real, and that is said.
"""

from __future__ import annotations

import gc
import re
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import torch
from torch.optim.optimizer import (
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
)

from goodput.errors import GoodputError, NotMeasuredError, UsageError, typed_line
from goodput.formulas.told import forget, listen
from goodput.frontends.counted_step import Count
from goodput.frontends.torch_attention import AttentionWatch
from goodput.frontends.torch_count_devices import (
    AutocastHere,
    HollowDevices,
    OnCpu,
    flexible_backward,
    open_functions,
    uncompiled,
)
from goodput.frontends.torch_count_modules import hollow, hollow_modules
from goodput.frontends.torch_count_tensors import HollowTensors
from goodput.frontends.torch_counter import WorkCounter
from goodput.frontends.torch_hollow_counter import HollowCounter
from goodput.frontends.torch_modules import ModuleWatch, root_calls
from goodput.frontends.torch_places import Surroundings
from goodput.frontends.torch_private import backward_task

_OURS = str(Path(__file__).parent.parent)
_TORCH = str(Path(torch.__file__).parent)

_NEEDS_GPU = re.compile(
    "CUDA enabled|NVIDIA driver|CUDA GPUs|HIP GPUs|requires CUDA|CUDA support|"
    "dummy base class (?:Stream|Event)|0 active drivers"
)
_NO_RULE = "no fake impl"
"""How torch says that a custom operator does not tell the shape of its result."""

Inputs: TypeAlias = "tuple[Any, ...] | list[Any] | Mapping[str, Any]"


@dataclass(frozen=True, slots=True)
class Step:
    """What is to be counted.

    Attributes:
        call: a module, a function, or a training step.
        inputs: its arguments, by position or by name.
        train: True: its output is also taken backward; False: without gradients, modules in
            evaluation; None: it is called as it is.
    """

    call: Callable[..., Any]
    inputs: Inputs = ()
    train: bool | None = None

    @property
    def root(self) -> torch.nn.Module | None:
        """The module that is called, which holds all that runs; None for a function."""
        return self.call if isinstance(self.call, torch.nn.Module) else None


@dataclass(frozen=True, slots=True)
class Unshaped:
    """Why a program does not run on shapes alone.

    Attributes:
        operator: the operator that could not, "" where it was none.
        reason: what torch, or the program, said.
        bytes: of the tensors that it had asked for until then.
    """

    operator: str
    reason: str
    bytes: int


def count_step(step: Step) -> Count:
    """Counts `step` on shapes; where values decide, on the real data that it holds.

    Raises:
        NotMeasuredError: it could not be counted.
        UsageError: the program failed by itself.
    """
    # A module that is there is made hollow first: under the modes that would take longer.
    if step.root is None:
        found = on_shapes(lambda: Step(step.call, hollow(step.inputs), step.train))
    else:
        with hollow_modules(step.root):
            made = Step(step.call, hollow(step.inputs), step.train)
            found = on_shapes(lambda: made, is_hollow=True)
    return found if isinstance(found, Count) else on_values(lambda: step, found)


def on_shapes(make: Callable[[], Step], *, is_hollow: bool = False) -> Count | Unshaped:
    """Counts the step that `make` makes, both on shapes; or why that cannot be.

    `is_hollow` is whether its module, if it is one, was made so already.
    """
    tensors, watch = HollowTensors(), HollowDevices()
    try:
        with _as_written(), AutocastHere(), OnCpu(lambda: tensors.inside), tensors, watch:
            step = make()
            watch.forward_only = step.root is not None and not step.train
            made_hollow = nullcontext() if is_hollow else hollow_modules(step.root)
            with made_hollow, flexible_backward():
                counter = _settled(step, watch, tensors)
    except GoodputError:
        raise
    except Exception as error:  # noqa: BLE001 - the border with the user's program
        return _unshaped(tensors, error)
    return Count(counter.result(), (*_told(tensors, counter), *counter.warnings))


def on_values(make: Callable[[], Step], why: Unshaped) -> Count:
    """Counts the step that `make` makes by running it.

    Raises:
        UsageError: the program failed by itself.
        NotMeasuredError: it could not be counted.
    """
    watch = AttentionWatch(opens_loops=True)
    try:
        with _as_written(), watch:
            counter = _counted(make(), watch, _Optimizers())
    except GoodputError:
        raise
    except Exception as error:  # the border with the user's program
        raise UsageError(_failed(why, error)) from error
    return Count(counter.result(), (_ran(why), *counter.warnings))


def _unshaped(tensors: HollowTensors, error: Exception) -> Unshaped:
    """Why the program does not run on shapes.

    Raises:
        UsageError: because it does not run at all.
    """
    operator, reason = tensors.fault[0], typed_line(error)
    if isinstance(error, AssertionError | RuntimeError) and _NEEDS_GPU.search(reason):
        raise UsageError(
            f"the program asks for a GPU that is not here ({reason}){_place(error)}; moving its "
            "tensors to one would do, but not to ask torch.cuda or a driver: leave that out of "
            "what is counted, or count it with goodput run --count-only where a GPU is"
        ) from error
    # A number that was given as NaN is no size: the program needs its value.
    asked = tensors.scalars and isinstance(error, ValueError) and "NaN to integer" in reason
    if not operator and "meta" not in reason and not asked:
        raise UsageError(f"the program failed: {reason}{_place(error)}") from error
    return Unshaped(operator, reason, tensors.bytes)


def _place(error: BaseException) -> str:
    """Where in the program an error was raised, outside of goodput and of torch; else ""."""
    frames = traceback.extract_tb(error.__traceback__)
    theirs = [frame for frame in frames if not _is_library(frame.filename)]
    return f" ({theirs[-1].filename}:{theirs[-1].lineno})" if theirs else ""


def _is_library(file: str) -> bool:
    return file.startswith((_OURS, _TORCH, "<"))


def _settled(step: Step, watch: AttentionWatch, tensors: HollowTensors) -> WorkCounter:
    """One step as those in a long run are: after optimizers have made their state."""
    optimizers = _Optimizers()
    counter = _counted(step, watch, optimizers, tensors)
    return _counted(step, watch, optimizers, tensors) if optimizers.stepped else counter


def _counted(
    step: Step,
    watch: AttentionWatch,
    optimizers: _Optimizers,
    tensors: HollowTensors | None = None,
) -> WorkCounter:
    modules = ModuleWatch(root=step.root)
    around = Surroundings(lambda: modules.current, lambda: optimizers.task)
    if tensors is None:
        counter = WorkCounter(around, watch)
    else:
        counter = HollowCounter(tensors, around, watch)
    modules.start()
    listen()
    try:
        with (
            nullcontext() if step.train is None else mode_of(step),
            optimizers,
            NoCollection(),
            root_calls(counter.called) if step.root is None else _root_told(step, counter),
            counter,
            counter.seeing_launches(),
        ):
            take(step)
    finally:
        forget()
        modules.stop()
    if counter.failure:
        raise NotMeasuredError(counter.failure)
    if not counter.calls:
        raise UsageError("the callable ran no operator of torch, so there is nothing to count")
    return counter


def _root_told(step: Step, counter: WorkCounter) -> AbstractContextManager[None]:
    """Tells the counter what the one module that is called is called with."""
    if step.root is not None:
        named = step.inputs if isinstance(step.inputs, Mapping) else {}
        counter.called(step.root, () if named else tuple(step.inputs), named)
    return nullcontext()


def take(step: Step) -> None:
    """One step, backward too where that was asked for."""
    if isinstance(step.inputs, Mapping):
        result = step.call(**step.inputs)
    else:
        result = step.call(*step.inputs)
    if not step.train:
        return
    loss = getattr(result, "loss", None)
    roots = list(wanting(result if loss is None else loss))
    if not roots:
        raise UsageError(
            "nothing that the callable returns has a gradient, so there is no backward pass to "
            "count; return the loss, or leave --train out"
        )
    torch.autograd.backward(roots, [torch.empty_like(root) for root in roots])


def wanting(result: Any) -> Iterator[torch.Tensor]:
    """The tensors in a result that have a gradient."""
    if isinstance(result, torch.Tensor):
        if result.requires_grad:
            yield result
    elif isinstance(result, Mapping):
        for value in result.values():
            yield from wanting(value)
    elif isinstance(result, list | tuple):
        for value in result:
            yield from wanting(value)


@contextmanager
def mode_of(step: Step) -> Iterator[None]:
    """Training or evaluation, as asked for; a module is left in the mode it was in."""
    module = step.root
    if step.train is None:
        yield
        return
    was = {part: part.training for part in module.modules()} if module is not None else {}
    if module is not None:
        module.train(step.train)
    try:
        with nullcontext() if step.train else torch.no_grad():
            yield
    finally:
        for part, training in was.items():
            part.training = training


class _Optimizers:
    """Knows whether an optimizer steps, and in which backward pass."""

    def __init__(self) -> None:
        self.task: int | None = None
        self.stepped = False

    def __enter__(self) -> None:
        """Watches every optimizer."""
        self._handles = (
            register_optimizer_step_pre_hook(self._begin),
            register_optimizer_step_post_hook(self._end),
        )

    def __exit__(self, *_: object) -> None:
        for handle in self._handles:
            handle.remove()

    def _begin(self, *_: Any) -> None:
        self.task, self.stepped = backward_task(), True

    def _end(self, *_: Any) -> None:
        self.task = None


@contextmanager
def _as_written() -> Iterator[None]:
    """Inside, what the program compiled runs as it was written, down to torch's own functions."""
    with uncompiled(), open_functions():
        yield


class NoCollection:
    """Inside, no garbage is collected: that would walk through a large graph again and again."""

    def __enter__(self) -> None:
        """Stops the collection."""
        self._was = gc.isenabled()
        gc.disable()

    def __exit__(self, *_: object) -> None:
        """Goes on with it where it was on."""
        if self._was:
            gc.enable()


def _told(tensors: HollowTensors, counter: WorkCounter) -> tuple[str, ...]:
    """What the user must know of a count on shapes."""
    told, unread_masks = [], counter.unread_masks
    if tensors.scalars:
        told.append(
            f"the program asked for {tensors.scalars} numbers that nothing computed, such as a "
            "loss, and got NaN: what it decides by them may differ in a real run"
        )
    if unread_masks:
        told.append(
            f"{unread_masks} attention calls have a mask that was not computed: every pair of "
            "theirs is counted, which is the most that they can need"
        )
    if counter.bounded_packings:
        told.append(
            f"{counter.bounded_packings} attention calls over packed sequences have lengths that "
            "were not computed: counted is the most that sequences of the stated longest can need"
        )
    return tuple(told)


def _ran(why: Unshaped) -> str:
    once = "so the program was run once for real and counted on what it computed"
    if _NO_RULE in why.reason:
        return (
            f"{why.operator} has no rule for the shape of its result, {once}; its register_fake "
            "gives it one"
        )
    if why.operator:
        return f"{why.operator} depends on values, {once}"
    return f"the program asked for values ({why.reason.rstrip('.')}), {once}"


def _failed(why: Unshaped, error: Exception) -> str:
    again = f"{typed_line(error)}{_place(error)}"
    if again.startswith(why.reason):
        return f"the program failed: {again}"
    where = f"at {why.operator} " if why.operator else ""
    return f"the program failed: {again}; on shapes alone it failed {where}too: {why.reason}"
