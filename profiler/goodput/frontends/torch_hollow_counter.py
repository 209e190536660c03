"""Counts on shapes: the counter beside tensors without memory, which asks them what it can."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from goodput.frontends.torch_attention import AttentionWatch
from goodput.frontends.torch_calls import reads_values
from goodput.frontends.torch_count_tensors import HollowTensors, hollow_key
from goodput.frontends.torch_counter import WorkCounter
from goodput.frontends.torch_places import Surroundings
from goodput.frontends.torch_private import (
    facts_of,
    innermost_mode,
    is_higher_order,
    plain_functions,
    pop_mode,
    push_mode,
)

_PLAIN = frozenset({torch.Tensor, torch.nn.Parameter})


class HollowCounter(WorkCounter):  # type: ignore[no-untyped-call]  # torch's own base hook
    """Counts a program on shapes, where nothing is compiled.

    Args:
        tensors: knows what equal calls are looked up by, and looked it up already.
        surroundings, watch: as for `WorkCounter`.
    """

    on_shapes = True

    def __init__(
        self, tensors: HollowTensors, surroundings: Surroundings, watch: AttentionWatch
    ) -> None:
        super().__init__(surroundings, watch)
        self._tensors = tensors

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Runs `func` and counts it; a method of its own, so that torch does not guard it."""
        kwargs = kwargs or {}
        with plain_functions():
            key = hollow_key(func, args, kwargs) if self._may_be_known(func, types) else None
            known = None if key is None else self._tally.known(key)
            if known is not None:
                below = pop_mode()
                try:
                    result = self._tensors.again(key, func, args, kwargs)
                finally:
                    push_mode(below)
                self._tally.note(known)
                return result
        return self._dispatched(func, types, args, kwargs)

    def _may_be_known(self, func: Any, types: Any) -> bool:
        """Whether calls of equal keys do the same: operators of the program's own may not."""
        return (
            not self.failure
            and not is_higher_order(type(func))
            and facts_of(func).namespace == "aten"
            and innermost_mode() is self._tensors
            and _PLAIN.issuperset(types)
        )

    def _below(self, func: Any) -> Callable[..., Any]:
        return partial(self._on_shapes, func)

    def _on_shapes(self, func: Any, *args: Any, **kwargs: Any) -> Any:
        """`func` under the mode below, called straight: torch would take as long to find it."""
        below = pop_mode()
        try:
            if below is self._tensors:
                return below.__torch_dispatch__(func, (), args, kwargs)
        finally:
            push_mode(below)
        return func(*args, **kwargs)

    def _key(self, func: Any, args: tuple[Any, ...], kwargs: Any, result: Any) -> Any:
        known = self._tensors.key
        if known is None or known[0] != id(func):
            return super()._key(func, args, kwargs, result)
        return None if reads_values(facts_of(func).name) else known

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """It needs no guard against being compiled, a costly one."""
        return False
