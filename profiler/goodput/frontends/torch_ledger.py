"""Says a torch program's steps, data waits and saves to a ledger, with no change to the program.

A step ends with `step()` of the optimizer that owns most parameters, on the host's clock, and
begins where the one before ended; the first begins with the first batch or the first forward call.
What runs between optimizer steps and is no wait and no save (an evaluation) is in the step's time.

A `torch.save` is a checkpoint where it holds at least half as many elements as the optimizer owns;
less is an event of its own, and keeps nothing. Reads no tensor but an optimizer's step counter.
"""

from __future__ import annotations

import functools
import sys
import weakref
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch.optim.optimizer import Optimizer, register_optimizer_step_post_hook
from torch.utils.data import dataloader

from goodput.events import wire
from goodput.events.recorder import Recorder, Span
from goodput.events.wire import Entry
from goodput.frontends.torch_modules import element_count

DISTRIBUTED = "torch.distributed.checkpoint"
_CHECKPOINT_SHARE = 0.5
_DEPTH = 6
_loader_iterator: Any = dataloader._BaseDataLoaderIter  # noqa: SLF001 - what every loader's iterator is


class TorchLedger:
    """Watches the torch program in this process from `attach` to `remove`.

    Args:
        recorder: what the events are said to.
    """

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._main: weakref.ref[Any] | None = None
        self._elements = 0
        self._sizes: weakref.WeakKeyDictionary[Any, int] = weakref.WeakKeyDictionary()
        self._number: int | None = None
        self._began: int | None = None
        self._loaded = False
        self._undo: list[Callable[[], None]] = []

    @property
    def late_imports(self) -> Mapping[str, Callable[[], None]]:
        """Distributed checkpoints are watched once the program has imported them."""
        return {DISTRIBUTED: self._watch_distributed}

    def attach(self) -> None:
        """Starts to watch. Torch must be imported."""
        handle = register_optimizer_step_post_hook(self._stepped)
        first = torch.nn.modules.module.register_module_forward_pre_hook(self._forward)
        self._undo += [handle.remove, first.remove]
        self._forward_handle = first
        self._replace(_loader_iterator, "__next__", self._waiting)
        self._replace(torch, "save", self._saving)
        self._replace(torch, "load", self._loading)

    def remove(self) -> None:
        """Takes everything off."""
        while self._undo:
            self._undo.pop()()

    def _replace(self, owner: Any, name: str, wrap: Callable[[Any], Any]) -> None:
        original = getattr(owner, name)
        wrapped = functools.wraps(original)(wrap(original))
        setattr(owner, name, wrapped)

        def restore() -> None:
            # Another patch on top of ours stays, and still ends in the original.
            if getattr(owner, name) is wrapped:
                setattr(owner, name, original)

        self._undo.append(restore)

    # Steps.

    def _forward(self, _module: Any, _args: Any) -> None:
        self._forward_handle.remove()  # a hook on all modules costs each of their calls
        if torch.is_grad_enabled():
            self._begin()

    def _begin(self) -> None:
        """The first step begins: all before it was starting up."""
        if self._began is None:
            self._began = self._recorder.now()
            self._recorder.say(
                Entry(wire.INITIALISATION, start_ns=self._recorder.opened, end_ns=self._began)
            )

    def _stepped(self, optimizer: Optimizer, _args: Any, _kwargs: Any) -> None:
        if not self._is_main(optimizer):
            return
        self._begin()
        now = self._recorder.now()
        if self._number is None:
            self._number = self._first_number(optimizer)
            if self._number > 0:
                loaded = Entry(
                    wire.CHECKPOINT_LOAD,
                    start_ns=self._began,
                    end_ns=self._began,
                    step=self._number - 1,
                )
                self._recorder.say(loaded)
        entry = Entry(wire.STEP, start_ns=self._began, end_ns=now, step=self._number)
        self._recorder.say(entry)
        self._recorder.last_step = self._number
        self._number += 1
        self._began = now

    def _is_main(self, optimizer: Optimizer) -> bool:
        if self._main is not None and self._main() is optimizer:
            return True
        size = self._sizes.get(optimizer)
        if size is None:
            size = element_count(p for group in optimizer.param_groups for p in group["params"])
            self._sizes[optimizer] = size
        gone = self._main is None or self._main() is None
        if size <= self._elements and not gone:
            return False
        self._main, self._elements = weakref.ref(optimizer), size
        return True

    def _first_number(self, optimizer: Optimizer) -> int:
        """The number of the first step of this process: what the optimizer's own counter says.

        An optimizer without a counter goes on from the last checkpoint, where one was loaded.
        """
        for state in optimizer.state.values():
            step = state.get("step") if isinstance(state, dict) else None
            if step is not None:
                return max(int(step) - 1, 0)
        if self._loaded and self._recorder.saved_before is not None:
            return self._recorder.saved_before + 1
        return 0

    # Waits.

    def _waiting(self, original: Any) -> Any:
        recorder, ledger = self._recorder, self

        def __next__(iterator: Any) -> Any:  # noqa: N807 - it stands for that method
            ledger._begin()
            with Wait(recorder):
                return original(iterator)

        return __next__

    # Checkpoints.

    def _saving(self, original: Any) -> Any:
        def save(obj: Any, *args: Any, **kwargs: Any) -> Any:
            if self._recorder.running:  # inside of a save that is told already
                return original(obj, *args, **kwargs)
            is_checkpoint = self._is_checkpoint(obj)
            span = (
                self._recorder.checkpoint_save()
                if is_checkpoint and self._recorder.last_step is not None
                else self._recorder.event("torch.save")
            )
            with span:
                return original(obj, *args, **kwargs)

        return save

    def _is_checkpoint(self, obj: Any) -> bool:
        if isinstance(obj, torch.nn.Module):
            held = element_count(obj.parameters())
        else:
            held = sum(_elements(obj, _DEPTH))
        return self._elements > 0 and held >= _CHECKPOINT_SHARE * self._elements

    def _loading(self, original: Any) -> Any:
        def load(*args: Any, **kwargs: Any) -> Any:
            self._loaded = True
            with self._recorder.checkpoint_load():
                return original(*args, **kwargs)

        return load

    def _watch_distributed(self) -> None:
        module = sys.modules[DISTRIBUTED]
        for name, wrap in (
            ("save", self._saving_shards),
            ("async_save", self._saving_beside),
            ("load", self._loading),
        ):
            if hasattr(module, name):
                self._replace(module, name, wrap)

    def _saving_shards(self, original: Any) -> Any:
        def save(*args: Any, **kwargs: Any) -> Any:
            if self._recorder.running:
                return original(*args, **kwargs)
            with self._recorder.checkpoint_save():
                return original(*args, **kwargs)

        return save

    def _saving_beside(self, original: Any) -> Any:
        """An asynchronous save: training waits for the call, and the rest goes on beside it."""

        def async_save(*args: Any, **kwargs: Any) -> Any:
            beside = self._recorder.checkpoint_save(blocking=False).begin()
            call = self._recorder.event("torch.distributed.checkpoint.async_save")
            try:
                with call:
                    future = original(*args, **kwargs)
            except BaseException:
                beside.finish(ok=False)
                raise
            _when_done(future, beside)
            return future

        return async_save


class Wait(Span):
    """A wait for data; the end of the data is an end of the wait like any other."""

    def __init__(self, recorder: Recorder) -> None:
        super().__init__(recorder, Entry(wire.DATA_WAIT))

    def __exit__(self, *_error: object) -> None:
        """It ends."""
        self.finish()


def _when_done(future: Any, span: Span) -> None:
    """Ends `span` when the asynchronous save is done, in whichever thread that is."""
    # torch 2.9 and later answer with a response that holds the future of the upload.
    upload = getattr(future, "upload_completion", future)
    if hasattr(upload, "add_done_callback"):
        upload.add_done_callback(lambda done: span.finish(ok=done.exception() is None))


def _elements(obj: Any, depth: int) -> Iterator[int]:
    """The elements of each tensor in containers, as deep as checkpoints are."""
    if isinstance(obj, torch.Tensor):
        yield obj.numel()
    elif depth and isinstance(obj, Mapping):
        for value in list(obj.values()):
            yield from _elements(value, depth - 1)
    elif depth and isinstance(obj, list | tuple):
        for value in obj:
            yield from _elements(value, depth - 1)
