"""Triton kernels compiled: for the device, by running one; for a named chip, without having one.

The registers, spills and shared memory are the assembler's own numbers: of the cubin for NVIDIA, of
the code's metadata for AMD. Times nothing.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import triton
from triton import knobs
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from triton.errors import TritonError

from goodput_kernels.triton_architecture import Architecture

if TYPE_CHECKING:
    import torch

_ALIGNED = ["tt.divisibility", 16]
_BELOW_2_GIB = ["tt.pointer_range", 32]


@dataclass(frozen=True, slots=True)
class Source:
    """A kernel with everything that its compilation depends on.

    Attributes:
        kernel: the `triton.jit` function.
        signature: Triton's type of each argument that is not a constant, e.g. `*fp16`, `i32`.
        constants: the compile-time arguments.
        options: what the compiler is told beside them, e.g. `num_warps`.
    """

    kernel: Any
    signature: Mapping[str, str]
    constants: Mapping[str, Any]
    options: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Compiled:
    """What became of it.

    Attributes:
        code: PTX, or AMD's assembly.
        registers: 32-bit vector registers of a thread.
        spilled_bytes: of a thread, in memory for want of registers.
        shared_bytes: shared memory of a block.
    """

    code: str
    registers: int
    spilled_bytes: int
    shared_bytes: int

    def count(self, instruction: str) -> int:
        """How often the code holds `instruction`, by the beginning of its name."""
        return len(re.findall(rf"^\s*(?:@\S+ )?{re.escape(instruction)}", self.code, re.MULTILINE))


def compile_for(architecture: Architecture, source: Source) -> Compiled:
    """`source` compiled for `architecture`. Raises triton.errors.TritonError where it cannot be."""
    target = target_of(architecture)
    attributes = {
        (source.kernel.arg_names.index(name),): _attributes(kind, target)
        for name, kind in source.signature.items()
    }
    signature = dict(source.signature) | dict.fromkeys(source.constants, "constexpr")
    parsed = ASTSource(source.kernel, signature, dict(source.constants), attributes)
    return compile_parsed(parsed, architecture, source.options)


def compile_parsed(parsed: Any, architecture: Architecture, options: Mapping[str, Any]) -> Compiled:
    """A kernel in Triton's own form, compiled for `architecture`; raises as `compile_for` does."""
    target = target_of(architecture)
    found = triton.compile(parsed, target=target, options=dict(options))
    shared = int(found.metadata.shared)
    if target.backend == "hip":
        code = found.asm["amdgcn"]
        spilled = 4 * _number(r"\.vgpr_spill_count:\s+(\d+)", code)
        return Compiled(code, _number(r"\.vgpr_count:\s+(\d+)", code), spilled, shared)
    usage = _cubin_usage(found.asm["cubin"])
    # These kernels have no arrays: what lies on the stack was spilled there.
    spilled = _number(r"STACK:(\d+)", usage) + _number(r"LOCAL:(\d+)", usage)
    return Compiled(found.asm["ptx"], _number(r"REG:(\d+)", usage), spilled, shared)


def compiled_call(call: Callable[[], object], name: str) -> Callable[[], object]:
    """`call`, after the first, which compiles its kernel.

    Raises RuntimeError, as torch does, where the compiler or the chip refuses.
    """
    try:
        call()
    except TritonError as error:
        raise RuntimeError(f"Triton cannot run {name}: {error}") from error
    return call


def triton_type(dtype: torch.dtype) -> str:
    """Triton's name of a torch dtype, e.g. `fp16`."""
    return _TYPES[str(dtype).removeprefix("torch.")]


_TYPES = {
    "float64": "fp64",
    "float32": "fp32",
    "float16": "fp16",
    "bfloat16": "bf16",
    "float8_e4m3fn": "fp8e4nv",
    "float8_e4m3fnuz": "fp8e4b8",
    "int32": "i32",
    "int8": "i8",
}


def target_of(architecture: Architecture) -> GPUTarget:
    """The chip in Triton's words."""
    if architecture.name.startswith("sm_"):
        number = int(architecture.name.removeprefix("sm_"))
        return GPUTarget("cuda", number, architecture.lanes)
    return GPUTarget("hip", architecture.name, architecture.lanes)


def _attributes(kind: str, target: GPUTarget) -> list[list[Any]]:
    """What Triton finds out about an argument when it runs: here, what holds of the timed ones."""
    if not kind.startswith(("*", "i32")):
        return []
    return [_ALIGNED, _BELOW_2_GIB] if kind[0] == "*" and target.backend == "hip" else [_ALIGNED]


def _cubin_usage(cubin: bytes) -> str:
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(cubin)
        file.flush()
        command = [knobs.nvidia.cuobjdump.path, "--dump-resource-usage", file.name]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def _number(pattern: str, text: str) -> int:
    found = re.search(pattern, text)
    if found is None:
        raise ValueError(f"the compiler's report has no {pattern}: {text[:200]}")
    return int(found[1])
