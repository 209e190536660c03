"""Makes a recording of counts alone: what a step needs, from its shapes. Times nothing."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from goodput.errors import NotMeasuredError, UsageError
from goodput.recording import targets
from goodput.recording.assemble import hand_written, tokens_of
from goodput.recording.targets import Target
from goodput.trace.recording import COUNTED, Recording
from goodput.trace.table import Invocations, Trace
from goodput.units import si

if TYPE_CHECKING:
    from goodput.frontends.torch_count import Count, Step, Unshaped

_REAL_BYTES = 4 * 2**30
"""Bytes of tensors up to which a program is run for real where shapes do not do."""


def of_target(
    text: str, batch: int | None = None, seq: int | None = None, *, train: bool | None = None
) -> Recording:
    """The counts of what `text` names, as `goodput count` takes it.

    Args:
        text: `file.py:function`, `package.module:function` or `hf:config.json`.
        batch: sequences, for a config or a function with that parameter.
        seq: tokens of each, likewise.
        train: with a backward pass, without gradients, or (None) as the target does by itself;
            a config is then counted forward.

    Raises:
        UsageError: it names nothing that can be counted.
        NotMeasuredError: it could not be counted.
    """
    target = targets.parsed(text)
    _check_torch()
    if target.kind == "hf":
        from goodput.frontends.torch_count_models import count_config

        count = count_config(target.place, batch or 1, seq, train=bool(train))
    else:
        count = _of_function(target, {"batch": batch, "seq": seq}, train=train)
    return _recording(target.title, count)


def of_call(
    call: Callable[..., Any], inputs: tuple[Any, ...], *, train: bool | None = None
) -> Recording:
    """The counts of `call(*inputs)`; see `Step` for `train`.

    Raises:
        UsageError: the call failed by itself.
        NotMeasuredError: it could not be counted.
    """
    _check_torch()
    from goodput.frontends.torch_count import Step, count_step

    name = getattr(call, "__qualname__", type(call).__qualname__)
    return _recording(name, count_step(Step(call, inputs, train)))


def _check_torch() -> None:
    if importlib.util.find_spec("torch") is None:
        raise UsageError(
            "PyTorch is not installed here, and it is PyTorch programs that are counted: "
            "pip install 'goodput-profiler[torch]'"
        )


def _of_function(target: Target, sizes: dict[str, int | None], *, train: bool | None) -> Count:
    from goodput.frontends.torch_count import Count, Step, on_shapes, on_values

    def make() -> Step:
        function = targets.function_of(target)
        return Step(*targets.call(target, function, sizes), train)

    found = on_shapes(make)
    if isinstance(found, Count):
        return found
    _check_size(target, found)
    return on_values(make, found)


def _check_size(target: Target, found: Unshaped) -> None:
    """A program that was to be counted on a laptop must not fill its memory.

    Raises:
        NotMeasuredError: it is too large to be run.
    """
    if found.bytes > _REAL_BYTES:
        raise NotMeasuredError(
            f"{target.title} does not run on shapes alone ({found.operator}: {found.reason}), and "
            f"its tensors of more than {si(_REAL_BYTES, 'B')} are too large to run it for real; "
            "count a smaller batch or model, give what decides by values fixed numbers, or give a "
            "custom operator a rule for its shapes with register_fake"
        )


def _recording(title: str, count: Count) -> Recording:
    from goodput.frontends.torch_device import environment

    tokens = tokens_of(count.work) if count.tokens is None else float(count.tokens)
    return Recording(
        program=title,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        trace=Trace(None, "torch", (), Invocations.of({}), ("",)),
        wall_seconds=(),
        basis=COUNTED,
        tokens_per_step=tokens,
        work=count.work,
        warnings=(
            *count.warnings,
            *hand_written(count.work.hand_written),
            *count.work.told,
        ),
        environment={name: text for name, text in environment().items() if name != "threads"},
        count_only=True,
    )
