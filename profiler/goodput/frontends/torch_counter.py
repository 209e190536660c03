"""Counts the work of one step, operator call by operator call, under a torch dispatch mode.

The mode only looks: every operator runs as it would without it. When counting fails, the program
goes on uncounted and the reason is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Any

import torch
from torch._ops import HigherOrderOperator
from torch.utils._python_dispatch import TorchDispatchMode

import goodput.formulas.aten  # noqa: F401 - registers the formulas
from goodput.errors import typed_line
from goodput.formulas.modes import mode_of
from goodput.formulas.registry import has_formula, work_of
from goodput.frontends.torch_attention import AttentionWatch
from goodput.frontends.torch_calls import call_key, on_a_part, part_of, spec, tensors_in
from goodput.frontends.torch_counted import Counted, torch_formulas
from goodput.frontends.torch_higher_order import body_by_body, flex_call
from goodput.frontends.torch_places import Surroundings
from goodput.frontends.torch_private import (
    body_of,
    close_function_mode,
    compile_is_used,
    composite_key,
    facts_of,
    hidden_modes,
    is_fake,
    mode_is_open,
    name_of,
    open_function_modes,
    open_modes,
    packet_of,
    plain_functions,
    pop_mode,
    push_mode,
)
from goodput.frontends.torch_tally import Tally, described, entry_of
from goodput.frontends.torch_told import Reading
from goodput.frontends.triton_launches import Launched, LaunchWatch
from goodput.trace.recording import WorkEntry, WorkPass
from goodput.trace.table import Phase
from goodput.trace.words import shapes_text
from goodput.work import Call

_SILENT = frozenset({"profiler", "prim"})
_PLAIN = frozenset({torch.Tensor, torch.nn.Parameter})


class WorkCounter(TorchDispatchMode):  # type: ignore[no-untyped-call]  # its own base hook
    """Counts every operator call between `enter` and `leave`.

    Args:
        surroundings: what runs around an operator.
        watch: knows the attention call that runs; without one, the counter's own does.

    Attributes:
        on_shapes: whether nothing is computed, so that operators of the program's own are run as
            their bodies are written and Triton kernels are not launched.
    """

    supports_higher_order_operators = True
    on_shapes = False

    def __init__(self, surroundings: Surroundings, watch: AttentionWatch | None = None) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._watch = watch or AttentionWatch()
        self._tally = Tally(surroundings, self._watch)
        self._composites: dict[int, bool] = {}
        self._whole_ones: set[int] = set()
        self.failure = ""
        self._own_error: Exception | None = None
        self._launches = LaunchWatch(launching=not self.on_shapes)
        self._launched_kernels = 0
        self._remarks: dict[str, None] = {}

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
        self._launches.open(self._launched)
        # Compiled code is compiled for the function modes that are on: with ours, once more.
        if not open_function_modes() and not compile_is_used():
            self._watch.__enter__()  # type: ignore[no-untyped-call]  # its own base hook
        return True

    @contextmanager
    def seeing_launches(self) -> Iterator[None]:
        """Inside, launches of Triton kernels are counted too, as they are from `enter` on."""
        self._launches.open(self._launched)
        try:
            yield
        finally:
            self._launches.close()
            self._own_error = None  # its traceback would keep the program's objects alive

    def leave(self) -> None:
        """Stops counting, wherever in the stacks of modes it stands by now."""
        self._own_error = None
        self._launches.close()
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
        return self._tally.translator.unread_masks

    @property
    def bounded_packings(self) -> int:
        """Attention calls over packed sequences whose lengths are not known."""
        return self._tally.translator.bounded_packings

    @property
    def warnings(self) -> tuple[str, ...]:
        """Sentences on Triton kernels, each once."""
        return tuple(self._remarks)

    @property
    def calls(self) -> int:
        """Operator calls counted until now."""
        return len(self._tally.entries)

    @property
    def is_counting(self) -> bool:
        """Whether it stands among the open modes of this thread and has not failed."""
        return not self.failure and mode_is_open(self)

    def place(self) -> tuple[Phase, str]:
        """The phase and the module of what runs now."""
        return self._tally.places.now()

    def entry_of(
        self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any
    ) -> WorkEntry:
        """What a call of `func` does, without a phase and a module; nothing is noted or run."""
        with plain_functions():
            counted = self._tally.counted(func, args, kwargs, result)
        return entry_of(counted, counted.work, "", "", counted.told_flops)

    def reading(self) -> Reading | None:
        """What the program told of the tokens of what runs now; None where nothing was."""
        return self._tally.reading()

    def add(self, entries: Iterable[WorkEntry]) -> None:
        """Notes calls that it did not see itself."""
        self._tally.entries.extend(entries)

    def set_aside(self) -> AbstractContextManager[list[WorkEntry]]:
        """Inside, what it sees goes into the list that this gives, and not into the result."""
        return self._tally.set_aside()

    def result(self) -> WorkPass:
        """What was counted."""
        return self._tally.result(self.failure)

    def called(
        self, module: torch.nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> None:
        """A module that no other contains is called: it may be told which tokens are padding."""
        self._tally.told.called(module, args, kwargs)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Runs `func` and counts it."""
        return self._dispatched(func, types, args, kwargs or {})

    def _dispatched(
        self, func: Any, types: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        if self.failure:
            with hidden_modes():
                return func(*args, **kwargs)
        if isinstance(func, HigherOrderOperator):
            return self._higher_order(func, args, kwargs)
        for kind in types:
            if kind not in _PLAIN:
                # Torch asks itself for shapes, so nothing runs; or a tensor subclass, where what
                # it does inside comes back here.
                return func(*args, **kwargs) if is_fake(kind) else NotImplemented
        if facts_of(func).namespace in _SILENT:
            return self._run(self._below(func), func, args, kwargs)
        result = self._in_parts(func, args, kwargs)
        return self._whole(func, args, kwargs) if result is NotImplemented else result

    def _whole(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Runs `func` and counts it as one call."""
        launched = self._launched_kernels
        result = self._run(self._below(func), func, args, kwargs)
        if self.failure or (launched != self._launched_kernels and not self._has_formula(func)):
            return result  # what it launched is counted
        try:
            self._count(func, args, kwargs, result)
        except Exception as error:  # noqa: BLE001 - a formula may be the user's own code
            self.failure = f"counting {name_of(func)} failed: {typed_line(error)}"
        return result

    def _below(self, func: Any) -> Callable[..., Any]:
        """What runs `func` as it would run without this mode."""
        found: Callable[..., Any] = func
        return found

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
            told = typed_line(error)
        # Not in the handler: the program's own error must not carry the first as its context.
        try:
            with hidden_modes():
                result = func(*args, **kwargs)
        except Exception as error:
            self._own_error = error
            raise
        self.failure = f"{name_of(func)} does not run while it is counted: {told}"
        return result

    def _decomposed(self, func: Any, *args: Any, **kwargs: Any) -> Any:
        """The operators that `func` is made of, counted."""
        with self:
            return func.decompose(*args, **kwargs)

    def _in_parts(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """What an operator gives whose parts are counted; NotImplemented for any other."""
        if id(func) in self._whole_ones:
            return NotImplemented
        composite = self._is_composite(func)
        if composite and not any(tensor.is_nested for tensor in tensors_in(args)):
            result = self._run(partial(self._decomposed, func), func, args, kwargs)
            if result is not NotImplemented:
                return result
        body = body_of(func) if self.on_shapes and not self._has_formula(func) else None
        if body is not None:
            return self._as_written(body, args, kwargs)
        if not composite:
            self._whole_ones.add(id(func))
        return NotImplemented

    def _as_written(
        self, body: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """An operator of the program's own as the Triton kernels and operators in its body.

        NotImplemented where it launches none, or its body does not run on shapes.
        """
        entries, launched = len(self._tally.entries), self._launched_kernels
        try:
            with self:
                result = body(*args, **kwargs)
        except Exception:  # noqa: BLE001 - the user's own code, which then runs as it does anyway
            result = NotImplemented
        if launched == self._launched_kernels or self.failure:
            result = NotImplemented
        if result is NotImplemented:
            del self._tally.entries[entries:]
            self._launched_kernels, self.failure = launched, ""
        return result

    def _has_formula(self, func: Any) -> bool:
        return has_formula(facts_of(func).name) or packet_of(func) in torch_formulas()

    def _launched(self, launched: Launched) -> None:
        """Notes one launch of a Triton kernel."""
        self._launched_kernels += 1
        call = Call(f"triton::{launched.name}", launched.inputs)
        work = launched.work
        if has_formula(call.name):
            try:
                work = work_of(call)
            except Exception as error:  # noqa: BLE001 - the formula is the user's own code
                self.failure = f"counting {call.name} failed: {typed_line(error)}"
                return
        else:
            self._remarks.update(dict.fromkeys(launched.warnings))
        mode = launched.mode or mode_of(call)
        shapes = shapes_text(call.inputs)
        self._tally.note(Counted(call.name, (), shapes, mode, work, None, None, 0, launched.stated))

    def _is_composite(self, func: Any) -> bool:
        """Inference mode and control flow hand over composites whole."""
        composite = self._composites.get(id(func))
        if composite is None:
            composite = self._composites[id(func)] = not self._has_formula(
                func
            ) and func.has_kernel_for_dispatch_key(composite_key)
        return composite

    def _higher_order(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Loops and branches run body by body, counted; of others only the name is known."""
        name = func.name() if callable(func.name) else str(func)
        bodies = body_by_body(name, args, kwargs)
        if bodies is not None:
            with self:
                return bodies()
        launched = self._launched_kernels
        result = self._run(func, func, args, kwargs)
        if launched != self._launched_kernels:
            return result  # it was told of a Triton kernel, which is counted by itself
        try:
            call, work = flex_call(name, args) or (Call(f"higher_order::{name}"), None)
        except Exception as error:  # noqa: BLE001 - a mask is the user's own code
            self.failure = f"counting {name} failed: {typed_line(error)}"
            return result
        self._tally.note(described(call, work))
        return result

    def _count(self, func: Any, args: tuple[Any, ...], kwargs: Any, result: Any) -> None:
        """Notes one call; what equal calls do is worked out once."""
        with plain_functions():
            key = self._key(func, args, kwargs, result)
            if key is None and any(tensor.is_nested for tensor in tensors_in(args)):
                self._count_parts(func, args, kwargs, result)
                return
            counted = self._tally.call(func, args, kwargs, result, key)
        self._tally.note(counted)

    def _key(self, func: Any, args: tuple[Any, ...], kwargs: Any, result: Any) -> Any:
        """What equal calls are looked up by; None where shapes do not say all."""
        return call_key(func, args, kwargs, result)

    def _count_parts(self, func: Any, args: tuple[Any, ...], kwargs: Any, result: Any) -> None:
        """Counts an operator on nested tensors as the ones that it does on each of their parts."""
        nested = next(tensor for tensor in tensors_in(args) if tensor.is_nested)
        for place in range(nested.size(0)):
            parts = tuple(part_of(value, place) for value in args)
            named = {name: part_of(value, place) for name, value in kwargs.items()}
            try:
                with self:
                    on_a_part(func)(*parts, **named)
            except RuntimeError:  # it takes nested tensors apart or together, and a part is none
                plain = isinstance(result, torch.Tensor) and not result.is_nested
                shapes = ((spec(nested),), (spec(result),)) if plain else ()
                call = Call(name_of(func), *shapes)
                self._tally.note(described(call, work_of(call)))
                return
