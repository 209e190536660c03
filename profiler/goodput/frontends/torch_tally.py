"""What each operator call of a step does, where it stands, and what of it is padding.

Only keeps books: whoever runs the operators tells it of each. What equal calls do is worked out
once.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from goodput.formulas.aten_attention import row_of
from goodput.formulas.aten_matrix import contraction_of
from goodput.formulas.hand_written import PRODUCTS, SOFTMAXES, HandWritten
from goodput.formulas.modes import mode_of
from goodput.formulas.registry import has_formula, work_of
from goodput.frontends.problems import convolution_of
from goodput.frontends.torch_attention import AttentionWatch
from goodput.frontends.torch_calls import CallTranslator, tensors_in
from goodput.frontends.torch_counted import Counted, known_now, largest, torch_work
from goodput.frontends.torch_padding import Padding
from goodput.frontends.torch_places import Places, Surroundings
from goodput.frontends.torch_private import is_zero
from goodput.frontends.torch_tangents import TANGENT, ZERO_MAKERS, ZeroTangents, useless
from goodput.frontends.torch_told import Reading, ToldReader
from goodput.trace.recording import WorkEntry, WorkPass
from goodput.trace.table import Phase
from goodput.trace.words import shapes_text
from goodput.work import Call, Work

_WATCHED = PRODUCTS | SOFTMAXES
_NAMES = {phase: phase.name.lower() for phase in Phase}


class Tally:
    """The calls of one step, in order.

    Args:
        surroundings: what runs around an operator.
        watch: knows the attention call that runs.

    Attributes:
        entries: the calls until now.
        places: tells where the operator that runs now stands.
        translator: what it reads calls with.
        told: what the program told of its padding.
    """

    def __init__(self, surroundings: Surroundings, watch: AttentionWatch) -> None:
        self.entries: list[WorkEntry] = []
        self.places = Places(surroundings)
        self.translator = CallTranslator()
        self.told = ToldReader()
        self._watch = watch
        self._known = known_now()
        self._hand_written = HandWritten()
        self._zeros = ZeroTangents()
        self._padding = Padding(self.told, watch, self.translator)

    def known(self, key: Any) -> Counted | None:
        """What calls of this key do, where that was found out and depends on nothing else."""
        counted = None if self._zeros.expected else self._known.get(key)
        return None if counted is None or counted.operator == TANGENT else counted

    def call(
        self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any, key: Any
    ) -> Counted:
        """What one call does; looked up by `key` where calls of equal keys do equal work."""
        counted = None if key is None else self._known.get(key)
        if counted is None:
            counted = self.counted(func, args, kwargs, result)
            if key is not None:
                self._known[key] = counted
        if counted.operator in ZERO_MAKERS:
            self._zeros.made(counted.operator, result)
        elif self._zeros and counted.product is not None and self._zeros.among(args):
            counted = replace(counted, work=useless(counted.work))
        return counted

    def counted(
        self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any
    ) -> Counted:
        """What one call does, worked out."""
        call = self.translator.call(func, args, kwargs, result)
        work = work_of(call)
        if work is None and not has_formula(call.name):
            work = torch_work(func, args, kwargs, result, call)
        if work is not None and any(is_zero(tensor) for tensor in tensors_in(args)):
            work = Work()  # a forward-mode tangent that is known to be zero is never computed
        told_flops = 0
        phase = self.places.now()[0]
        reading = self._padding.reading(phase) if work and row_of(call.name) else None
        if work is not None and reading is not None:
            kept = reading.of_attention(work, call, self.translator.mask)
            work, told_flops = kept, work.flops - kept.flops
        return described(call, work, told_flops)

    def note(self, counted: Counted) -> None:
        """Adds a call that stands where the program is now."""
        phase, module = self.places.now()
        work, told_flops = counted.work, counted.told_flops
        if work is not None and work.flops and phase is not Phase.OPTIMIZER:
            work, told_flops = self._padding.apart(counted, work, phase)
        if counted.tensors and phase is Phase.FORWARD and self._watch.current is None:
            self._hand_written.note(counted.operator, counted.tensors, module)
        if work is not counted.work or told_flops != counted.told_flops:
            self.entries.append(entry_of(counted, work, _NAMES[phase], module, told_flops))
            return
        place = _NAMES[phase], module
        entry = counted.entries.get(place)
        if entry is None:
            entry = counted.entries[place] = entry_of(counted, work, *place, told_flops)
        self.entries.append(entry)

    def reading(self) -> Reading | None:
        """What was told of the tokens of what runs now; of an optimizer nothing is."""
        phase, _ = self.places.now()
        return None if phase is Phase.OPTIMIZER else self._padding.reading(phase)

    @contextmanager
    def set_aside(self) -> Iterator[list[WorkEntry]]:
        """Inside, calls go into the list that this gives, and not into the result."""
        kept, self.entries = self.entries, []
        seen = self.entries
        try:
            yield seen
        finally:
            self.entries = kept

    def result(self, failure: str) -> WorkPass:
        """What was counted, and why it was given up if it was."""
        return WorkPass(
            tuple(self.entries),
            largest(entry.product for entry in self.entries),
            largest(entry.convolution for entry in self.entries),
            failure,
            self._hand_written.modules,
            self.told.sentences,
        )


def described(call: Call, work: Work | None, told_flops: int = 0) -> Counted:
    """What is kept of a call that does `work`."""
    return Counted(
        call.name,
        call.tensors if call.name in _WATCHED else (),
        shapes_text(call.inputs),
        mode_of(call),
        work,
        contraction_of(call),
        convolution_of(call),
        told_flops,
    )


def entry_of(
    counted: Counted, work: Work | None, phase: str, module: str, told_flops: int = 0
) -> WorkEntry:
    """A counted call in its place."""
    return WorkEntry(
        counted.operator,
        phase,
        module,
        counted.shapes,
        counted.mode,
        work,
        counted.product,
        counted.convolution,
        told_flops=told_flops,
        stated_flops=counted.stated.flops if counted.stated else None,
        stated_bytes=counted.stated.bytes if counted.stated else None,
    )
