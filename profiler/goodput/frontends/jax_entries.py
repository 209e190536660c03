"""Keeps what a walk over a jaxpr counts: an entry for each equation that does anything."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import goodput.formulas.lax  # noqa: F401 - registers the formulas
from goodput.formulas.hand_written import HandWrittenExponential
from goodput.formulas.lax_contraction import contraction_of, multiplies_many
from goodput.formulas.modes import mode_of
from goodput.formulas.registry import work_of
from goodput.frontends.jax_calls import call_of
from goodput.trace.recording import WorkEntry, WorkPass
from goodput.trace.scopes import Name, place_of
from goodput.trace.table import Phase
from goodput.trace.words import shapes_text
from goodput.work import Call, Contraction, TensorSpec, Work

_LARGEST = 8
"""Contractions kept of each math mode: enough for whoever measures roofs to choose from."""

_EXPONENTIAL = "lax::exp"
_NO_WORK = Work()


class Entries:
    """What was counted, in order.

    `tokens` is how many were looked up in the first table of embeddings, None without one.
    """

    def __init__(self) -> None:
        self.entries: list[WorkEntry] = []
        self.tokens: int | None = None
        self._contractions: dict[str, set[Contraction]] = {}
        self._hand_written = HandWrittenExponential()

    def note(self, eqn: Any, names: tuple[Name, ...], times: int, gradient: str) -> Call:
        """Counts one equation that runs `times` times; a `gradient` is that of a convolution."""
        call = call_of(eqn, gradient=gradient) if gradient else call_of(eqn)
        self.add(call, work_of(call), names, times)
        return call

    def add(self, call: Call, work: Work | None, names: tuple[Name, ...], times: int) -> None:
        """Keeps a call of this work; what does nothing, such as a change of shape, is left out."""
        if not times or work == _NO_WORK:
            return
        phase, module = place_of(names)
        product = contraction_of(call)
        if product is not None:
            self._contractions.setdefault(product.mode, set()).add(product)
        if phase is Phase.FORWARD:
            self._attention(call, module)
            self._lookup(call)
        self.entries.append(
            WorkEntry(
                operator=call.name,
                phase=phase.name.lower(),
                module=module,
                shapes=shapes_text(call.inputs),
                mode=mode_of(call),
                work=None if work is None else work * times,
                product=product,
                calls=times,
            )
        )

    def result(self) -> WorkPass:
        """What was counted."""
        largest = tuple(
            problem
            for mode in self._contractions.values()
            for problem in sorted(mode, key=lambda p: -p.flops)[:_LARGEST]
        )
        return WorkPass(tuple(self.entries), largest, hand_written=self._hand_written.modules)

    def extend(self, others: Sequence[WorkEntry]) -> None:
        """Takes over entries that were counted apart."""
        self.entries.extend(others)

    def _attention(self, call: Call, module: str) -> None:
        if multiplies_many(call):
            left, right = call.tensors[:2]
            self._hand_written.product(left, right, call.outputs[0].numel, module)
        elif call.name == _EXPONENTIAL:
            self._hand_written.exponential(call.outputs[0], module)

    def _lookup(self, call: Call) -> None:
        """Rows of a table by `[batch, tokens]`; the indices have a dimension of their own, of 1."""
        if self.tokens is not None or call.name != "lax::gather":
            return
        match call.inputs:
            case (TensorSpec(shape=(_, width)), TensorSpec(shape=(batch, tokens, 1))):
                if call.attributes.get("slice_sizes") == (1, width):
                    self.tokens = batch * tokens
