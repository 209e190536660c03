"""What a program says of its own job: spans and moments, for the price of a few microseconds."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable
from types import TracebackType
from typing import Self

from goodput.events import wire
from goodput.events.journal import Journal
from goodput.events.wire import Entry


class Span:
    """Something that takes time: `with` it, or `begin` and `finish` it.

    `finish(ok=False)` says that it did not do what it was for; a block that raises does.
    """

    __slots__ = ("__weakref__", "_entry", "_recorder")

    def __init__(self, recorder: Recorder, entry: Entry) -> None:
        self._recorder = recorder
        self._entry = entry

    @property
    def step(self) -> int | None:
        """The number of the step that it is of."""
        return self._entry.step

    def tell(self, *, tokens: int | None = None, flops: float | None = None) -> None:
        """What is known of a step only while it runs."""
        self._entry.tokens = tokens
        self._entry.flops = flops

    def begin(self) -> Self:
        """It starts now."""
        recorder, entry = self._recorder, self._entry
        entry.start_ns = recorder.now()
        recorder.running[id(self)] = entry
        return self

    def finish(self, *, ok: bool = True) -> None:
        """It ends now; a second time nothing happens."""
        recorder, entry = self._recorder, self._entry
        if recorder.running.pop(id(self), None) is None:
            return
        entry.end_ns = recorder.now()
        entry.ok = ok
        if entry.event == wire.STEP and ok and entry.step is not None:
            recorder.last_step = entry.step
        recorder.say(entry)

    __enter__ = begin

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """It ends; not well where the block raised."""
        self.finish(ok=kind is None)


class Recorder:
    """Says events to a journal.

    Args:
        opening: who speaks; its time is set here.
        now: nanoseconds since 1970, never backwards.
        journal: makes the journal, given what to add at each writing.

    Attributes:
        opened: when it began.
        running: the spans that have begun and not ended.
        last_step: the number of the last step that was done; None before one.
        saved_before: the last step that an earlier life of the job saved; None where it saved none.
    """

    def __init__(
        self,
        opening: Entry,
        now: Callable[[], int],
        journal: Callable[[Callable[[], list[Entry]]], Journal],
        saved_before: int | None = None,
    ) -> None:
        self.now = now
        self.running: dict[int, Entry] = {}
        self.last_step: int | None = None
        self.saved_before = saved_before
        self._told_open: set[tuple[str, int]] = set()
        self._ended = False
        self._journal = journal(self._beat)
        self.opened = opening.time_ns = now()
        self._journal.say(opening)
        self._journal.flush()
        self._journal.start()
        _watch_forks(self)

    def say(self, entry: Entry) -> None:
        """Appends one entry."""
        self._journal.say(entry)

    def step(self, number: int, *, tokens: int | None = None, flops: float | None = None) -> Span:
        """Step `number`, with the tokens and the useful FLOPs of this rank where they are known."""
        return Span(self, Entry(wire.STEP, step=number, tokens=tokens, flops=flops))

    def data_wait(self) -> Span:
        """Waiting for input."""
        return Span(self, Entry(wire.DATA_WAIT))

    def checkpoint_save(self, step: int | None = None, *, blocking: bool = True) -> Span:
        """Saving the state after `step`, the last one done where it is None.

        A save that is not `blocking` goes on beside the steps and owns no time; it must end before
        it keeps anything.
        """
        number = self.last_step if step is None else step
        return Span(self, Entry(wire.CHECKPOINT_SAVE, step=number, blocking=blocking))

    def checkpoint_load(self, step: int | None = None) -> Span:
        """Loading the state after `step`; what was done beyond it is lost from then on."""
        return Span(self, Entry(wire.CHECKPOINT_LOAD, step=step))

    def evaluation(self) -> Span:
        """Evaluating."""
        return Span(self, Entry(wire.EVALUATION))

    def compile(self) -> Span:
        """Compiling."""
        return Span(self, Entry(wire.COMPILE))

    def initialisation(self) -> Span:
        """Starting up."""
        return Span(self, Entry(wire.INITIALISATION))

    def event(self, name: str) -> Span:
        """Anything else that takes time, under a name of the program's own."""
        return Span(self, Entry(wire.CUSTOM, name=name))

    def window(self, start_ns: int | None = None, end_ns: int | None = None) -> None:
        """The time that is accounted for, instead of from the first event to the last."""
        self.say(Entry(wire.WINDOW, start_ns=start_ns, end_ns=end_ns))

    def queue(self, start_ns: int, end_ns: int) -> None:
        """The job waited in a queue."""
        self.say(Entry(wire.QUEUE, start_ns=start_ns, end_ns=end_ns))

    def allocation(self, start_ns: int, end_ns: int, devices: int | None = None) -> None:
        """Machines were being made ready; `devices` is how many are paid for from then on."""
        self.say(Entry(wire.ALLOCATION, start_ns=start_ns, end_ns=end_ns, devices=devices))

    def size(self, devices: int) -> None:
        """So many devices are at work from now on."""
        self.say(Entry(wire.SIZE, time_ns=self.now(), devices=devices))

    def failure(self, cause: str) -> None:
        """Something broke: why, in a word or a sentence."""
        self.say(Entry(wire.FAILURE, time_ns=self.now(), cause=cause))

    @property
    def is_closed(self) -> bool:
        """Whether the end was said."""
        return self._ended

    def close(self, *, clean: bool = True) -> None:
        """The program ends here; after a `clean` end every step that was done is kept."""
        if self._ended:
            return
        self._ended = True
        self.say(Entry(wire.JOB_END, time_ns=self.now(), clean=clean))
        self._journal.close()

    def _beat(self) -> list[Entry]:
        """That the process lives, and what it is at: a span is told once while it is open."""
        beats = []
        for entry in tuple(self.running.values()):
            key = (entry.event, entry.start_ns or 0)
            if key not in self._told_open:
                self._told_open.add(key)
                beats.append(_still_open(entry))
        if len(self._told_open) > 1000:
            self._told_open = {(e.event, e.start_ns or 0) for e in tuple(self.running.values())}
        beats.append(Entry(wire.ALIVE, time_ns=self.now()))
        return beats

    def abandon(self) -> None:
        """In a forked child: it is another program."""
        self._ended = True
        self._journal.abandon()


def _still_open(entry: Entry) -> Entry:
    """A copy without its end, which the training thread may set meanwhile."""
    return Entry(
        entry.event,
        start_ns=entry.start_ns,
        step=entry.step,
        blocking=entry.blocking,
        name=entry.name,
    )


def _watch_forks(recorder: Recorder) -> None:
    """Lets a forked child (a loader's worker) be silent; keeps no recorder alive."""
    reference = weakref.ref(recorder)

    def forked() -> None:
        live = reference()
        if live is not None:
            live.abandon()

    os.register_at_fork(after_in_child=forked)
