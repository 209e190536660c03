"""A callback of Hugging Face's Trainer that says what it does to a ledger."""

from __future__ import annotations

from typing import Any

from transformers import TrainerCallback

from goodput.events import wire
from goodput.events.recorder import Recorder, Span
from goodput.events.wire import Entry


class LedgerCallback(TrainerCallback):
    """Says steps, waits, saves and evaluations of a Trainer.

    The Trainer tells of saves and evaluations when they are over: each is taken to have begun at
    the event before. What passes between a step's end and the next one's start is waiting for data.

    Args:
        recorder: the ledger.
    """

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._step: Span | None = None
        self._last = recorder.opened
        self._tokens = 0

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:  # noqa: ARG002  # its
        """All before was starting up; a state beyond step 0 was loaded."""
        self._since(wire.INITIALISATION)
        if state.global_step:
            self._since(wire.CHECKPOINT_LOAD, state.global_step)

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:  # noqa: ARG002  # its
        """The batch is there, and a step begins."""
        self._since(wire.DATA_WAIT)
        self._step = self._recorder.step(state.global_step + 1).begin()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:  # noqa: ARG002  # its
        """The step is done."""
        seen = int(getattr(state, "num_input_tokens_seen", 0) or 0)
        if self._step is not None:
            if seen > self._tokens:
                self._step.tell(tokens=seen - self._tokens)
            self._step.finish()
        self._tokens, self._step = seen, None
        self._last = self._recorder.now()

    def on_evaluate(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:  # noqa: ARG002  # its
        """An evaluation is over."""
        self._since(wire.EVALUATION)

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:  # noqa: ARG002  # its
        """A checkpoint is on disk."""
        self._since(wire.CHECKPOINT_SAVE, state.global_step)

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:  # noqa: ARG002  # its
        """Training is over; the ledger stays open for what follows."""
        self._last = self._recorder.now()

    def _since(self, event: str, step: int | None = None) -> None:
        """Something lasted from the last event until now."""
        now = self._recorder.now()
        self._recorder.say(Entry(event, start_ns=self._last, end_ns=now, step=step))
        self._last = now
