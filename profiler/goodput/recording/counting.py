"""Makes a recording of counts alone: what a step needs, from its shapes. Times nothing."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from goodput.errors import GoodputError, NotMeasuredError, UsageError
from goodput.frontends.counted_step import Count
from goodput.recording import targets
from goodput.recording.assemble import hand_written, tokens_of
from goodput.recording.frameworks import (
    JAX,
    TORCH,
    framework_of,
    imported_by,
    likely,
    source_of,
)
from goodput.recording.targets import Target
from goodput.trace.recording import COUNTED, Recording
from goodput.trace.table import Invocations, Trace
from goodput.units import si

if TYPE_CHECKING:
    from goodput.frontends.torch_count import Step, Unshaped

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
    if target.kind == "hf":
        _check_installed(TORCH)
        from goodput.frontends.torch_count_models import count_config

        count = count_config(target.place, batch or 1, seq, train=bool(train))
        return _recording(target.title, TORCH, count)
    sizes = {"batch": batch, "seq": seq}
    if is_all_jax(target):
        return _of_jax_function(target, sizes, train=train)
    try:
        return _recording(target.title, TORCH, _of_function(target, sizes, train=train))
    except _JaxTargetError:
        # It was loaded among torch's tensors without memory: once more, as it is.
        return _of_jax_function(target, sizes, train=train)


def of_call(
    call: Callable[..., Any], inputs: tuple[Any, ...], *, train: bool | None = None
) -> Recording:
    """The counts of `call(*inputs)`; see `Step` for `train`.

    Raises:
        UsageError: the call failed by itself.
        NotMeasuredError: it could not be counted.
    """
    name = getattr(call, "__qualname__", type(call).__qualname__)
    if (framework_of(call, inputs) or likely()) == JAX:
        return _of_jax(name, call, inputs, train=train)
    _check_installed(TORCH)
    from goodput.frontends.torch_count import Step, count_step

    return _recording(name, TORCH, count_step(Step(call, inputs, train)))


class _JaxTargetError(GoodputError):
    """A target that was taken for one of torch is of JAX; never shown."""


def is_all_jax(target: Target) -> bool:
    """Whether a target can be loaded without torch: it imports jax alone."""
    if importlib.util.find_spec(TORCH) is None:
        return True
    source = Path(target.place) if target.kind == "file" else source_of(target.place)
    return source is not None and imported_by(source) == {JAX}


def _of_jax_function(
    target: Target, sizes: dict[str, int | None], *, train: bool | None
) -> Recording:
    call, inputs = targets.call(target, targets.function_of(target), sizes)
    if framework_of(call, inputs) == TORCH:
        return of_call(call, inputs, train=train)
    return _of_jax(target.title, call, inputs, train=train)


def _of_jax(title: str, call: Callable[..., Any], inputs: Any, *, train: bool | None) -> Recording:
    _check_installed(JAX)
    from goodput.frontends.jax_count import Step, count_step

    return _recording(title, JAX, count_step(Step(call, inputs, train)))


def _check_installed(framework: str) -> None:
    if framework in sys.modules:
        return
    if importlib.util.find_spec(framework) is None:
        names = {TORCH: "PyTorch", JAX: "JAX"}
        raise UsageError(
            f"{names[framework]} is not installed here, which this program is counted with: "
            f"pip install 'goodput-profiler[{framework}]'"
        )


def _of_function(target: Target, sizes: dict[str, int | None], *, train: bool | None) -> Count:
    from goodput.frontends.torch_count import Step, on_shapes, on_values

    def make() -> Step:
        function = targets.function_of(target)
        call, inputs = targets.call(target, function, sizes)
        if framework_of(call, inputs) == JAX:
            raise _JaxTargetError
        return Step(call, inputs, train)

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


def _recording(title: str, framework: str, count: Count) -> Recording:
    tokens = tokens_of(count.work) if count.tokens is None else float(count.tokens)
    return Recording(
        program=title,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        trace=_untaken(framework),
        wall_seconds=(),
        basis=COUNTED,
        tokens_per_step=tokens,
        work=count.work,
        warnings=(*count.warnings, *_hand_written(framework, count), *count.work.told),
        environment=_environment(framework),
        count_only=True,
    )


@cache
def _untaken(framework: str) -> Trace:
    """The trace of a program that was not run."""
    return Trace(None, framework, (), Invocations.of({}), ("",))


def _hand_written(framework: str, count: Count) -> tuple[str, ...]:
    """The sentence for attention by hand; JAX has no operator that would know the mask."""
    if framework == TORCH:
        return hand_written(count.work.hand_written)
    return hand_written(count.work.hand_written, advice="")


def _environment(framework: str) -> dict[str, str]:
    """The versions that a count may depend on; no device is asked for."""
    if framework == JAX:
        from goodput.frontends.jax_device import versions

        return versions()
    from goodput.frontends.torch_device import environment

    return {name: text for name, text in environment().items() if name != "threads"}
