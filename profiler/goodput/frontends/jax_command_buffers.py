"""Command buffers of GPUs, off while steps are profiled: kernels in one bear no names there.

Functions are compiled anew without them, and once more with them when the pass is over. Undisturbed
steps have them on. Tried on a CPU, whose compiler takes the same options.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Iterable
from typing import Any

import jax

from goodput.frontends.jax_device import kind_of
from goodput.frontends.jax_private import COMPILER

_OPTION = "xla_gpu_enable_command_buffer"


def device_has_them() -> bool:
    """Whether XLA makes any here: on a GPU, unless the user switched them off."""
    is_gpu = kind_of(jax.local_devices()[0]) in {"cuda", "hip"}
    return is_gpu and not any(
        flag.partition("=")[0].lstrip("-") == _OPTION and not flag.partition("=")[2]
        for flag in os.environ.get("XLA_FLAGS", "").split()
    )


class CommandBuffers:
    """Switches them off and on again."""

    def __init__(self) -> None:
        self._original: Any = None

    def off(self, functions: Iterable[Any]) -> None:
        """What is compiled from now on has none; these jitted functions are compiled anew."""
        if self._original is not None:
            return
        options = self._original = COMPILER.get_compile_options

        @functools.wraps(options)
        def without(*args: Any, **kwargs: Any) -> Any:
            given = kwargs.get("env_options_overrides") or {}
            return options(*args, **{**kwargs, "env_options_overrides": {**given, _OPTION: ""}})

        COMPILER.get_compile_options = without
        _forget(functions)

    def on(self, functions: Iterable[Any]) -> None:
        """Back to what XLA does by itself."""
        if self._original is not None:
            COMPILER.get_compile_options, self._original = self._original, None
            _forget(functions)


def _forget(functions: Iterable[Any]) -> None:
    for function in functions:
        clear = getattr(function, "clear_cache", None)  # what was compiled ahead of time has none
        if clear is not None:
            clear()
