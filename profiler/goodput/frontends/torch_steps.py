"""Finds where one step of a program ends, with no change to it: optimizer steps, else root calls.

It only says where boundaries are; it measures nothing and keeps no times.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Hashable
from typing import Any, Protocol, TypeAlias

import torch
from torch.optim.optimizer import (
    Optimizer,
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
)

from goodput.frontends.torch_modules import element_count, parameter_count
from goodput.frontends.torch_private import NO_TASK, backward_task
from goodput.frontends.torch_roots import RootCalls, signature_of

OnBoundary: TypeAlias = Callable[[Hashable], None]
"""Called at each boundary with the key of the interval that it ends."""

_TRAINING_PATIENCE = 16
"""Root calls with gradients and no optimizer step, after which they are steps of their own: more
micro-batches than that are rarely accumulated, and a later optimizer step still wins."""


class AroundCalls(Protocol):
    """What wants to know of root calls: they are the only code sure to end as it began."""

    def resume(
        self, module: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        """A root call begins."""

    def suspend(self) -> None:
        """It ends."""


class StepFinder:
    """Finds the boundaries between the steps of the running program.

    A training step ends with the first `step()` of the optimizer that owns most parameters; the
    interval's key is the input signatures of the root module calls in it, so that another shape, a
    skipped optimizer step or an evaluation shows as another key. Without optimizer steps a step
    runs from one call of the largest root module to its next; the key is that call's signature.

    Args:
        on_boundary: called at each boundary.
        on_restart: called when what was taken for steps so far were none.
        on_fault: called with an error of ours, which must not reach the program.
        around: told before and after each root call.
        on_quick: as `on_boundary`, for a step in which nothing has to be switched: says whether it
            was one. None where there is no such step.

    Attributes:
        kind: `training`, `inference`, or "" while that is not known.
        optimizing_task: while an optimizer steps, the backward pass it steps in (-1: in none).
        forward_only: whether the step that begins is known to have no backward pass.
        retired: whether the search is over; an optimizer step after inference starts it again.
    """

    def __init__(
        self,
        on_boundary: OnBoundary,
        on_restart: Callable[[], None],
        on_fault: Callable[[Exception], None],
        around: AroundCalls,
        on_quick: Callable[[Hashable], bool] | None = None,
    ) -> None:
        self._on_boundary = on_boundary
        self._on_quick = on_quick
        self._on_restart = on_restart
        self._on_fault = on_fault
        self._around = around
        self._roots = RootCalls(self._root_called, around.suspend)
        self._before: Any = None
        self._after: Any = None
        self._sizes: weakref.WeakKeyDictionary[Any, int] = weakref.WeakKeyDictionary()
        self._reset()
        self.optimizing_task: int | None = None
        self.retired = False
        self._explicit = False

    def _reset(self) -> None:
        self.kind = ""
        self._main: weakref.ref[Any] | None = None
        self._main_size = -1
        self._roots.calls = []
        self._called = False
        self._kind_of_call: Hashable = None
        self._pending = self._in_backward = False
        self._roots.brief = False
        self._quick: Callable[[Hashable], bool] | None = None
        self.forward_only = False

    def install(self) -> None:
        """Starts to look for steps."""
        self._before = register_optimizer_step_pre_hook(self._optimizer_starts)
        self._after = register_optimizer_step_post_hook(self._optimizer_stepped)
        self._roots.watch()

    def narrow(self) -> None:
        """Leaves what undisturbed steps need: one optimizer hook, one wrapper on the root.

        In training both do no more than count and tell, as long as steps end outside of backward.
        """
        self._roots.narrow()
        training = self.kind == "training" and not self._in_backward
        self._roots.brief = self._explicit or training
        if training and not self._explicit:
            self._quick = self._on_quick
        # Boundaries are after an optimizer step or at a root call: torch does not iterate over
        # the hooks before a step then.
        self._before.remove()

    def widen(self) -> None:
        """The undisturbed steps are over: again all that a counted step needs."""
        self._roots.brief, self._quick = False, None
        self._before.remove()
        self._before = register_optimizer_step_pre_hook(self._optimizer_starts)

    def yield_to_explicit(self) -> None:
        """The program marks its steps itself: only which optimizer steps is still followed."""
        self._explicit = True
        self._roots.watch()

    def retire(self) -> None:
        """Ends all looking; the last hook goes when torch is not iterating over its hooks."""
        self._roots.silence()
        self.retired = True

    def remove(self) -> None:
        """Takes every hook off. Not to be called from inside an optimizer hook."""
        self.retired = True
        self._roots.remove()
        for handle in (self._before, self._after):
            if handle is not None:
                handle.remove()

    @property
    def next_key(self) -> Hashable:
        """The key of the interval that begins now, where that is known at its start."""
        return self._kind_of_call if self.kind == "inference" else None

    def take_kind(self) -> Hashable:
        """The key of a training step, or of one that the program ends itself, that ends here."""
        calls, self._roots.calls = self._roots.calls, []
        return tuple(calls)

    def _optimizer_starts(self, _optimizer: Any, _args: Any, _kwargs: Any) -> None:
        self.optimizing_task = backward_task()

    def _optimizer_stepped(self, optimizer: Optimizer, _args: Any, _kwargs: Any) -> None:
        try:
            quick = self._quick
            if quick is not None and self._main is not None and self._main() is optimizer:
                calls = self._roots.calls
                if not calls and self._called:
                    return  # a second step() of the same iteration
                if quick(tuple(calls)):
                    calls.clear()
                    return
            self.optimizing_task = None
            if self._explicit or (self.retired and self.kind == "training"):
                return
            self._step_ended(optimizer)
        except Exception as error:  # noqa: BLE001 - the border with the user's program
            self._on_fault(error)

    def _step_ended(self, optimizer: Optimizer) -> None:
        if self.kind != "training":
            self._become("training")
        if self._is_main(optimizer):
            if not self._roots.calls and self._called:
                return  # a second step() of the same iteration
        elif not self._is_larger(optimizer, _optimizer_size):
            return
        if backward_task() != NO_TASK:
            # Inside backward (an optimizer step in a gradient hook) no mode or profiler can be
            # switched: the engine puts its thread's state back. The next root call is the boundary.
            self._pending = self._in_backward = True
            self._roots.brief, self._quick = False, None
            return
        self._on_boundary(self.take_kind())

    def _root_called(
        self, module: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        try:
            self._count_call(module, args, kwargs)
            self._around.resume(module, args, kwargs)
        except Exception as error:  # noqa: BLE001 - the border with the user's program
            self._on_fault(error)

    def _count_call(
        self, module: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        if self._pending and not torch.is_inference_mode_enabled():
            self._pending = False
            self._on_boundary(self.take_kind())
        self._called = True
        self._roots.calls.append(signature_of(args, kwargs))
        if self._explicit:
            return
        if self.kind == "":
            self._judge(module)
        if self.kind == "inference":
            self._inference_call(module)

    def _judge(self, module: torch.nn.Module) -> None:
        training = module.training and torch.is_grad_enabled()
        if not training or len(self._roots.calls) > _TRAINING_PATIENCE:
            self._become("inference")

    def _inference_call(self, module: torch.nn.Module) -> None:
        if not self._roots.is_root(module):
            return
        if not self._is_main(module) and not self._is_larger(module, parameter_count):
            return
        self.forward_only = not (module.training and torch.is_grad_enabled())
        # The call that begins the step is the last one noted; it alone is the step's kind.
        ended, self._kind_of_call = self._kind_of_call, (self._roots.calls[-1],)
        self._roots.calls = []
        self._on_boundary(ended)

    def _become(self, kind: str) -> None:
        """Training wins over inference: what was measured so far was a warm-up or an evaluation."""
        calls = self._roots.calls
        self._reset()
        self.kind = kind
        self._roots.calls, self._called = calls, bool(calls)
        self.retired = False
        self._roots.watch()
        self._on_restart()

    def _is_main(self, owner: Any) -> bool:
        return self._main is not None and self._main() is owner

    def _is_larger(self, owner: Any, measure: Callable[[Any], int]) -> bool:
        """Whether `owner` is larger than the main one, which it then is itself."""
        size = self._sizes.get(owner)
        if size is None:
            size = self._sizes[owner] = measure(owner)
        if size <= self._main_size:
            return False
        if self._main_size >= 0:
            self._on_restart()
        self._main = weakref.ref(owner)
        self._main_size = size
        return True


def _optimizer_size(optimizer: Optimizer) -> int:
    return element_count(p for group in optimizer.param_groups for p in group["params"])
