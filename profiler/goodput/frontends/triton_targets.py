"""The Triton kernels of a callable, compiled for a chip that is not there. Launches nothing.

Kernels are bound to their arguments as when they are launched, so that the compiler knows what it
would know then: which numbers are divisible by 16, which are 1, which arguments are constants.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from triton.errors import TritonError
from triton.runtime.autotuner import Autotuner
from triton.runtime.jit import JITFunction

from goodput.compiled_kernel import CompiledKernel
from goodput.errors import NotMeasuredError, typed_line
from goodput.frontends.torch_private import direct_launches
from goodput.frontends.triton_compiled import architecture, compiled
from goodput.frontends.triton_kernels import bound_to, launched
from goodput.frontends.triton_launches import replaced_run
from goodput.frontends.triton_tuned import matrix_instructions
from goodput_kernels.triton_architecture import Architecture


@dataclass(frozen=True, slots=True)
class TargetKernel(CompiledKernel):
    """One kernel compiled for one chip, and what a launch does: None where that is not known."""

    mode: str = ""
    executed_flops: int | None = None
    vector_flops: int | None = None
    special: int | None = None
    moved_bytes: int | None = None


def compiled_for(
    call: Callable[[], object], architectures: Sequence[str]
) -> tuple[TargetKernel, ...]:
    """Every kernel that `call` launches, once for each configuration and chip.

    Raises:
        NotMeasuredError: a kernel does not compile for a chip.
    """
    chips = [architecture(name) for name in architectures]
    found: dict[TargetKernel, None] = {}
    for kernel, args, kwargs in _launches(call):
        for config, named in _configurations(kernel, kwargs):
            for chip in chips:
                found[_compiled(kernel, args, named, config, chip)] = None
    return tuple(found)


_Launch = tuple[Any, tuple[Any, ...], dict[str, Any]]


def _launches(call: Callable[[], object]) -> list[_Launch]:
    """What `call` would launch; nothing is."""
    seen: list[_Launch] = []

    def note(original: Any, kernel: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> None:
        del original
        seen.append((kernel, tuple(args), dict(kwargs)))

    with ExitStack() as stack:
        for cls in (JITFunction, Autotuner):
            stack.enter_context(replaced_run(cls, note))
        stack.enter_context(direct_launches())
        call()
    return seen


def _configurations(kernel: Any, kwargs: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every configuration of a tuner that has chosen none, with the arguments that it gives."""
    if not hasattr(kernel, "configs"):
        yield "", dict(kwargs)
        return
    best = getattr(kernel, "best_config", None)
    for config in [best] if best is not None else kernel.configs:
        yield str(config), {**kwargs, **config.all_kwargs()}


def _compiled(
    kernel: Any, args: tuple[Any, ...], kwargs: dict[str, Any], config: str, chip: Architecture
) -> TargetKernel:
    inner = kernel.fn if hasattr(kernel, "configs") else kernel
    kwargs = dict(kwargs)  # each chip gets the same launch
    grid = kwargs.pop("grid", (1,))
    name = getattr(inner, "__name__", None) or inner.fn.__name__
    try:
        bound = bound_to(inner, args, kwargs, grid)
        found = compiled(bound, chip)
    except TritonError as error:
        raise NotMeasuredError(
            f"the Triton kernel {name} does not compile for {chip.name}: {typed_line(error)}"
        ) from error
    options = bound.options
    does = launched(inner, args, kwargs, grid)
    work = does.work
    return TargetKernel(
        chip.name,
        name,
        config or f"num_warps: {options.num_warps}, num_stages: {options.num_stages}",
        found.registers,
        found.spilled_bytes,
        found.shared_bytes,
        matrix_instructions(found.code),
        mode=does.mode,
        executed_flops=work.executed_flops if work else None,
        vector_flops=work.vector_flops if work else None,
        special=work.special if work else None,
        moved_bytes=work.bytes if work else None,
    )
