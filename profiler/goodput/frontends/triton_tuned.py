"""The Triton kernels that a call really launched, and what its tuners chose or are told to choose.

Registers and spills are read from the kernel that the driver has loaded. Counts nothing.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

from triton.runtime.autotuner import Autotuner
from triton.runtime.jit import JITFunction

from goodput.compiled_kernel import CompiledKernel
from goodput.frontends.triton_launches import replaced_run

_REGISTER_BYTES = 4
"""The driver tells local memory in units of these."""

# Tensor-core instructions of PTX, and the matrix ones of AMD's assembly.
_MATRIX = re.compile(
    r"^\s*(?:@\S+ )?(?:wgmma\.mma_async|mma\.sync|tcgen05\.mma|v_s?mfma)", re.MULTILINE
)


@dataclass(frozen=True, slots=True)
class Choice:
    """What a tuner chose.

    Attributes:
        kernel: the tuned function's module and name.
        key: what it was chosen for, as Python writes it.
        config: as Triton writes it.
        seconds: that the tuning took.
    """

    kernel: str
    key: str
    config: str
    seconds: float = 0.0


@dataclass(slots=True)
class Launches:
    """What was seen while it was watched.

    Attributes:
        given: choices of another process, which no tuner makes again.
        kernels: those that were launched, once each.
        choices: those that were made.
    """

    given: Sequence[Choice]
    kernels: dict[CompiledKernel, None] = field(default_factory=dict)
    choices: list[Choice] = field(default_factory=list)
    _tuners: int = 0

    def run(self, original: Any, kernel: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        """A launch; inside a tuner it may be one that is only tried."""
        compiled = original(kernel, *args, **kwargs)
        if not self._tuners:
            self._take(compiled, "")
        return compiled

    def tune(self, original: Any, tuner: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        """A launch of a tuned kernel, with what is known of its choice."""
        self._tell(tuner)
        before = set(tuner.cache)
        self._tuners += 1
        try:
            compiled = original(tuner, *args, **kwargs)
        finally:
            self._tuners -= 1
        seconds = float(getattr(tuner, "bench_time", 0.0))
        for key in tuner.cache.keys() - before:
            config = str(tuner.cache[key])
            self.choices.append(Choice(_name(tuner), repr(key), config, seconds))
        self._take(compiled, str(getattr(tuner, "best_config", "")))
        return compiled

    def _tell(self, tuner: Any) -> None:
        """Puts the given choices where the tuner looks for its own."""
        configs = {str(config): config for config in reversed(tuner.configs)}
        for choice in self.given:
            key = _plain(choice.key)
            if choice.kernel == _name(tuner) and choice.config in configs and key is not None:
                tuner.cache.setdefault(key, configs[choice.config])

    def _take(self, compiled: Any, config: str) -> None:
        registers = getattr(compiled, "n_regs", None)
        if registers is None:
            return  # Triton's interpreter compiles nothing
        metadata = compiled.metadata
        plain = f"num_warps: {metadata.num_warps}, num_stages: {metadata.num_stages}"
        found = CompiledKernel(
            architecture=_architecture(metadata.target),
            kernel=metadata.name,
            config=config or plain,
            registers=int(registers),
            spilled_bytes=int(compiled.n_spills) * _REGISTER_BYTES,
            shared_bytes=int(metadata.shared),
            matrix_instructions=matrix_instructions(_code(compiled.asm)),
        )
        self.kernels[found] = None


def matrix_instructions(code: str) -> int:
    """The number of matrix instructions in PTX or in AMD's assembly."""
    return len(_MATRIX.findall(code))


@contextmanager
def watched(given: Sequence[Choice]) -> Iterator[Launches]:
    """Inside, launches are seen, and tuners choose what is `given`, then and ever after."""
    seen = Launches(given)
    with ExitStack() as stack:
        stack.enter_context(replaced_run(JITFunction, seen.run))
        stack.enter_context(replaced_run(Autotuner, seen.tune))
        yield seen


def carried(choice: Choice) -> bool:
    """Whether another process can be given the choice: its key is made of plain values."""
    return _plain(choice.key) is not None


def _plain(key: str) -> Any:
    try:
        return ast.literal_eval(key)
    except (ValueError, SyntaxError):
        return None


def _name(tuner: Any) -> str:
    function = tuner.base_fn
    return f"{function.__module__}.{function.__qualname__}"


def _architecture(target: Any) -> str:
    return f"sm_{target.arch}" if target.backend == "cuda" else str(target.arch)


def _code(asm: Mapping[str, Any]) -> str:
    return next((str(asm[form]) for form in ("ptx", "amdgcn") if form in asm), "")
