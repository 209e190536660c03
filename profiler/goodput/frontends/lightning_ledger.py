"""A callback of Lightning that says what its Trainer does to a ledger."""

from __future__ import annotations

import functools
from importlib import import_module
from typing import Any

from goodput.events import wire
from goodput.events.recorder import Recorder, Span
from goodput.events.wire import Entry


def callback(recorder: Recorder) -> Any:
    """A callback for `Trainer(callbacks=[...])` of whichever Lightning is installed.

    Raises:
        ImportError: none is.
    """
    try:
        module = import_module("lightning.pytorch")
    except ImportError:
        module = import_module("pytorch_lightning")
    return type("LedgerCallback", (_Hooks, module.Callback), {})(recorder)


class _Hooks:
    """The hooks; the class that Lightning wants is mixed in where it is known which one that is."""

    def __init__(self, recorder: Recorder) -> None:
        super().__init__()
        self._recorder = recorder
        self._step: Span | None = None
        self._evaluation: Span | None = None
        self._last = recorder.opened

    def setup(self, trainer: Any, _module: Any, stage: str) -> None:  # noqa: ARG002  # Lightning's
        """Watches this trainer's saves: Lightning's own hook comes before anything is written."""
        save = trainer.save_checkpoint

        @functools.wraps(save)
        def save_checkpoint(*args: Any, **kwargs: Any) -> Any:
            with self._recorder.checkpoint_save(trainer.global_step):
                return save(*args, **kwargs)

        trainer.save_checkpoint = save_checkpoint

    def on_train_start(self, trainer: Any, _module: Any) -> None:
        """All before was starting up; a state beyond step 0 was loaded."""
        self._since(wire.INITIALISATION)
        if trainer.global_step:
            self._since(wire.CHECKPOINT_LOAD, trainer.global_step)

    def on_train_batch_start(self, trainer: Any, _module: Any, _batch: Any, _index: int) -> None:
        """The batch is there; the first of the batches that a step accumulates begins it."""
        self._since(wire.DATA_WAIT)
        if self._step is None:
            self._step = self._recorder.step(trainer.global_step + 1).begin()

    def on_train_batch_end(
        self, trainer: Any, _module: Any, _outputs: Any, _batch: Any, _index: int
    ) -> None:
        """The step is done where the optimizer stepped."""
        if self._step is not None and trainer.global_step >= (self._step.step or 0):
            self._step.finish()
            self._step = None
        self._last = self._recorder.now()

    def on_validation_start(self, trainer: Any, _module: Any) -> None:
        """An evaluation begins; the check before training is part of starting up."""
        if not getattr(trainer, "sanity_checking", False):
            self._evaluation = self._recorder.evaluation().begin()

    def on_validation_end(self, _trainer: Any, _module: Any) -> None:
        """It is over."""
        if self._evaluation is not None:
            self._evaluation.finish()
            self._evaluation = None
            self._last = self._recorder.now()

    def _since(self, event: str, step: int | None = None) -> None:
        now = self._recorder.now()
        self._recorder.say(Entry(event, start_ns=self._last, end_ns=now, step=step))
        self._last = now
