"""Counts the work of one step, operator call by operator call, under a torch dispatch mode.

The mode only looks: every operator runs as it would without it. When counting fails, the program
goes on uncounted and the reason is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import torch
from torch._ops import HigherOrderOperator
from torch.utils._python_dispatch import TorchDispatchMode

import goodput.formulas.aten  # noqa: F401 - registers the formulas
from goodput.errors import typed_line
from goodput.formulas.aten_matrix import contraction_of
from goodput.formulas.hand_written import PRODUCTS, SOFTMAXES, HandWritten
from goodput.formulas.modes import mode_of
from goodput.formulas.registry import has_formula, work_of
from goodput.frontends.problems import convolution_of
from goodput.frontends.torch_attention import (
    AttentionWatch,
    Share,
    share_of,
)
from goodput.frontends.torch_calls import CallTranslator, call_key, part_of, tensors_in
from goodput.frontends.torch_formulas import torch_formulas, torch_work
from goodput.frontends.torch_higher_order import body_by_body, flex_call
from goodput.frontends.torch_private import (
    NO_TASK,
    backward_task,
    close_function_mode,
    compile_is_used,
    composite_key,
    hidden_modes,
    is_zero,
    last_sequence,
    mode_is_open,
    name_of,
    node_sequence,
    open_function_modes,
    open_modes,
    packet_of,
    plain_functions,
    pop_mode,
    push_mode,
)
from goodput.trace.recording import WorkEntry, WorkPass
from goodput.trace.table import Phase
from goodput.trace.words import shapes_text
from goodput.work import Call, Contraction, TensorSpec, Work
from goodput_kernels.convolution import Convolution

_LARGEST = 8
_Problem = TypeVar("_Problem", Contraction, Convolution)
"""Contractions kept of each math mode: enough for whoever measures roofs to choose from."""

_WATCHED = PRODUCTS | SOFTMAXES
_SILENT = frozenset({"profiler", "prim"})


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Where the counter learns what runs around an operator.

    Args:
        module: the innermost module that runs in this thread; None outside every module.
        optimizing_task: while an optimizer steps, the backward pass it steps in (-1: in none).
    """

    module: Callable[[], str | None]
    optimizing_task: Callable[[], int | None]


@dataclass(frozen=True, slots=True)
class _Counted:
    """What calls with one signature are and do, but for where they stand.

    `tensors` are those of the operators that attention written by hand is told by; else ().
    """

    operator: str
    tensors: tuple[TensorSpec, ...]
    shapes: str
    mode: str
    work: Work | None
    product: Contraction | None
    convolution: Convolution | None


def _largest(found: Mapping[str, set[_Problem]]) -> tuple[_Problem, ...]:
    """The problems with most FLOPs, some of each math mode."""
    return tuple(
        problem
        for mode in found.values()
        for problem in sorted(mode, key=lambda p: -p.flops)[:_LARGEST]
    )


class WorkCounter(TorchDispatchMode):  # type: ignore[no-untyped-call]  # its own base hook
    """Counts every operator call between `enter` and `leave`.

    Args:
        surroundings: what runs around an operator.
        watch: knows the attention call that runs; without one, the counter's own does.
    """

    supports_higher_order_operators = True

    def __init__(self, surroundings: Surroundings, watch: AttentionWatch | None = None) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._around = surroundings
        self._translator = CallTranslator()
        self._entries: list[WorkEntry] = []
        self._composites: dict[Any, bool] = {}
        self._known: dict[Any, _Counted] = {}
        self._contractions: dict[str, set[Contraction]] = {}
        self._convolutions: dict[str, set[Convolution]] = {}
        self._watch = watch or AttentionWatch()
        self._share_of_node: dict[int, Share] = {}
        self._hand_written = HandWritten()
        self._module_of_node: dict[int, str] = {}
        self._creates_graph: dict[int, bool] = {}
        self.failure = ""
        self._own_error: Exception | None = None

    @classmethod
    def ignore_compile_internals(cls) -> bool:
        """Compiled code must stay compiled: under another mode it would fall back to eager."""
        return True

    def enter(self) -> bool:
        """Starts to count in this thread; False where the program has a mode of its own open.

        A mode of the program's that closes before ours would take ours off in its place.
        """
        if open_modes():
            return False
        self.__enter__()  # type: ignore[no-untyped-call]
        # Compiled code is compiled for the function modes that are on: with ours, once more.
        if not open_function_modes() and not compile_is_used():
            self._watch.__enter__()  # type: ignore[no-untyped-call]  # its own base hook
        return True

    def leave(self) -> None:
        """Stops counting, wherever in the stacks of modes it stands by now."""
        self._own_error = None
        close_function_mode(self._watch)
        above: list[Any] = []
        while open_modes():
            mode = pop_mode()
            if mode is self:
                # Back on top, so that its own exit finds it and puts torch's flags back.
                push_mode(self)
                self.__exit__(None, None, None)
                break
            above.append(mode)
        for mode in reversed(above):
            push_mode(mode)

    @property
    def unread_masks(self) -> int:
        """Attention masks whose values are not known, so that every pair counts as open."""
        return self._translator.unread_masks

    @property
    def is_counting(self) -> bool:
        """Whether it stands among the open modes of this thread and has not failed."""
        return not self.failure and mode_is_open(self)

    def entry_of(
        self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any
    ) -> WorkEntry:
        """What a call of `func` does, without a phase and a module; nothing is noted or run."""
        with plain_functions():
            counted = self._counted(func, args, kwargs, result)
        return _entry(counted, counted.work, "", "")

    def add(self, entries: Iterable[WorkEntry]) -> None:
        """Notes calls that it did not see itself."""
        self._entries.extend(entries)

    @contextmanager
    def set_aside(self) -> Iterator[list[WorkEntry]]:
        """Inside, what it sees goes into the list that this gives, and not into the result."""
        kept, self._entries = self._entries, []
        seen = self._entries
        try:
            yield seen
        finally:
            self._entries = kept

    def result(self) -> WorkPass:
        """What was counted."""
        return WorkPass(
            tuple(self._entries),
            _largest(self._contractions),
            _largest(self._convolutions),
            self.failure,
            self._hand_written.modules,
        )

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Runs `func` and counts it."""
        kwargs = kwargs or {}
        if self.failure:
            with hidden_modes():
                return func(*args, **kwargs)
        if isinstance(func, HigherOrderOperator):
            return self._higher_order(func, args, kwargs)
        if any(kind not in (torch.Tensor, torch.nn.Parameter) for kind in types):
            return NotImplemented  # a tensor subclass: what it does inside comes back here
        if func.namespace not in _SILENT and self._is_composite(func, args):
            result = self._run(partial(self._decomposed, func), func, args, kwargs)
            if result is not NotImplemented:
                return result
        result = self._run(func, func, args, kwargs)
        if func.namespace not in _SILENT and not self.failure:
            try:
                self._count(func, args, kwargs, result)
            except Exception as error:  # noqa: BLE001 - a formula may be the user's own code
                self.failure = f"counting {name_of(func)} failed: {typed_line(error)}"
        return result

    def _run(
        self, attempt: Callable[..., Any], func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """What `attempt` gives; where it fails, `func` once more as in a plain program.

        An error of the program's own comes again and is raised; one that only a mode makes ends
        the counting.
        """
        try:
            return attempt(*args, **kwargs)
        except Exception as error:
            if error is self._own_error:
                raise
            first = error
        # Not in the handler: the program's own error must not carry the first as its context.
        try:
            with hidden_modes():
                result = func(*args, **kwargs)
        except Exception as error:
            self._own_error = error
            raise
        self.failure = f"{name_of(func)} does not run while it is counted: {typed_line(first)}"
        return result

    def _decomposed(self, func: Any, *args: Any, **kwargs: Any) -> Any:
        """The operators that `func` is made of, counted."""
        with self:
            return func.decompose(*args, **kwargs)

    def _is_composite(self, func: Any, args: tuple[Any, ...]) -> bool:
        """Inference mode and control flow hand over composites whole."""
        composite = self._composites.get(func)
        if composite is None:
            composite = self._composites[func] = (
                not has_formula(name_of(func))
                and packet_of(func) not in torch_formulas()
                and func.has_kernel_for_dispatch_key(composite_key)
            )
        return composite and not any(tensor.is_nested for tensor in tensors_in(args))

    def _higher_order(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Loops and branches run body by body, counted; of others only the name is known."""
        name = func.name() if callable(func.name) else str(func)
        bodies = body_by_body(name, args, kwargs)
        if bodies is not None:
            with self:
                return bodies()
        result = self._run(func, func, args, kwargs)
        try:
            call, work = flex_call(name, args) or (Call(f"higher_order::{name}"), None)
        except Exception as error:  # noqa: BLE001 - a mask is the user's own code
            self.failure = f"counting {name} failed: {typed_line(error)}"
            return result
        self._note(self._described(call, work))
        return result

    def _count(self, func: Any, args: tuple[Any, ...], kwargs: Any, result: Any) -> None:
        """Notes one call; what equal calls do is worked out once."""
        with plain_functions():
            key = call_key(func, args, kwargs, result)
            if key is None and any(tensor.is_nested for tensor in tensors_in(args)):
                self._count_parts(func, args, kwargs)
                return
            counted = None if key is None else self._known.get(key)
            if counted is None:
                counted = self._counted(func, args, kwargs, result)
                if key is not None:
                    self._known[key] = counted
        self._note(counted)

    def _count_parts(self, func: Any, args: tuple[Any, ...], kwargs: Any) -> None:
        """Counts an operator on nested tensors as the ones that it does on each of their parts."""
        nested = next(tensor for tensor in tensors_in(args) if tensor.is_nested)
        for place in range(nested.size(0)):
            parts = tuple(part_of(value, place) for value in args)
            named = {name: part_of(value, place) for name, value in kwargs.items()}
            try:
                with self:
                    func(*parts, **named)
            except RuntimeError:  # it takes nested tensors apart or together, and a part is none
                self._note(self._described(Call(name_of(func)), work_of(Call(name_of(func)))))
                return

    def _counted(self, func: Any, args: tuple[Any, ...], kwargs: Any, result: Any) -> _Counted:
        call = self._translator.call(func, args, kwargs, result)
        work = work_of(call)
        if work is None and not has_formula(call.name):
            work = torch_work(func, args, kwargs, result, call)
        if work is not None and any(is_zero(t) for t in tensors_in(args)):
            work = Work()  # a forward-mode tangent that is known to be zero is never computed
        return self._described(call, work)

    def _described(self, call: Call, work: Work | None) -> _Counted:
        contraction = contraction_of(call)
        if contraction is not None:
            self._contractions.setdefault(contraction.mode, set()).add(contraction)
        convolution = convolution_of(call)
        if convolution is not None:
            self._convolutions.setdefault(convolution.mode, set()).add(convolution)
        return _Counted(
            call.name,
            call.tensors if call.name in _WATCHED else (),
            shapes_text(call.inputs),
            mode_of(call),
            work,
            contraction,
            convolution,
        )

    def _attention_share(self) -> Share | None:
        """The open share of the attention that the product at hand belongs to, if any.

        A forward product is told by the call around it, a backward one by its forward product.
        """
        attended = self._watch.current
        if attended is None:
            sequence = node_sequence()
            return self._share_of_node.get(sequence) if sequence is not None else None
        mask = attended.mask
        with plain_functions():
            entries = None if mask is None else self._translator.open_entries(mask)
        share = share_of(attended, entries)
        if share is not None and torch.is_grad_enabled():
            self._share_of_node[last_sequence()] = share
        return share

    def _note(self, counted: _Counted) -> None:
        work = counted.work
        if work is not None and counted.operator in PRODUCTS:
            share = self._attention_share()
            work = share.of(work) if share is not None else work
        phase, module = self.place()
        if counted.tensors and phase is Phase.FORWARD and self._watch.current is None:
            self._hand_written.note(counted.operator, counted.tensors, module)
        self._entries.append(_entry(counted, work, phase.name.lower(), module))

    def place(self) -> tuple[Phase, str]:
        """The phase and the module of what runs now."""
        task = backward_task()
        module = self._around.module()
        optimizing = self._around.optimizing_task() == task and not torch.is_grad_enabled()
        if module is None and optimizing:
            return Phase.OPTIMIZER, ""
        if task == NO_TASK:
            # The autograd node of this operator took the last number given out.
            self._module_of_node[last_sequence()] = module or ""
            return Phase.FORWARD, module or ""
        creates_graph = self._creates_graph.setdefault(task, torch.is_grad_enabled())
        if module is not None or (torch.is_grad_enabled() and not creates_graph):
            return Phase.RECOMPUTE, module or self._module_of_current_node()
        return Phase.BACKWARD, self._module_of_current_node()

    def _module_of_current_node(self) -> str:
        sequence = node_sequence()
        return self._module_of_node.get(sequence, "") if sequence is not None else ""


def _entry(counted: _Counted, work: Work | None, phase: str, module: str) -> WorkEntry:
    return WorkEntry(
        operator=counted.operator,
        phase=phase,
        module=module,
        shapes=counted.shapes,
        mode=counted.mode,
        work=work,
        product=counted.product,
        convolution=counted.convolution,
    )
