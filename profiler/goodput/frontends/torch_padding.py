"""What of a product is useful: not the pairs that a mask closes, nor what is told as padding."""

from __future__ import annotations

import torch

from goodput.formulas.hand_written import PRODUCTS
from goodput.frontends.torch_attention import Attended, AttentionWatch, Share, share_of
from goodput.frontends.torch_calls import CallTranslator
from goodput.frontends.torch_counted import Counted
from goodput.frontends.torch_private import last_sequence, node_sequence, plain_functions
from goodput.frontends.torch_told import Reading, ToldReader
from goodput.trace.table import Phase
from goodput.work import Work


class Padding:
    """Tells the padding of each product; what a backward one has is that of its forward one.

    Args:
        told: what the program told.
        watch: knows the attention call that runs.
        translator: knows what masks leave open.
    """

    def __init__(self, told: ToldReader, watch: AttentionWatch, translator: CallTranslator) -> None:
        self._told = told
        self._watch = watch
        self._translator = translator
        self._attended: Attended | None = None
        self._share_of_node: dict[int, Share] = {}
        self._reading_of_node: dict[int | None, Reading | None] = {}

    def apart(self, counted: Counted, work: Work, phase: Phase) -> tuple[Work, int]:
        """The work of a product with what is masked or told to be useless as padding, and the told.

        What is told of a backward product was told before its forward one.
        """
        reading = self.reading(phase)
        if counted.operator in PRODUCTS:
            share = self._attention_share(reading)
            if share is not None:
                return share.of(work), share.told_of(work)
        if reading is None:
            return work, counted.told_flops
        kept = reading.of(work, counted.product, backward=phase is Phase.BACKWARD)
        return kept, counted.told_flops + work.flops - kept.flops

    def reading(self, phase: Phase) -> Reading | None:
        """What was told of the operator that runs now, in this phase; None where nothing was."""
        if phase is Phase.FORWARD:
            reading = self._told.current()
            if self._told.has_read:
                self._reading_of_node[last_sequence()] = reading
            return reading
        if not self._reading_of_node:
            return None
        sequence = node_sequence()
        if sequence in self._reading_of_node:
            return self._reading_of_node[sequence]
        return self._told.current()

    def _attention_share(self, reading: Reading | None) -> Share | None:
        """The open share of the attention that the product at hand belongs to, if any.

        A forward product is told by the call around it, a backward one by its forward product.
        """
        attended = self._watch.current
        if attended is None:
            sequence = node_sequence()
            return self._share_of_node.get(sequence) if sequence is not None else None
        mask = attended.mask
        with plain_functions():
            again, self._attended = attended is self._attended, attended
            entries = None if mask is None else self._translator.open_entries(mask, again=again)
        share = share_of(attended, entries, reading)
        if share is not None and torch.is_grad_enabled():
            self._share_of_node[last_sequence()] = share
        return share
