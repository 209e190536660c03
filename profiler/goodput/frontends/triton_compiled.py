"""Launched Triton kernels compiled for GPUs that need not be here. Launches nothing."""

from __future__ import annotations

from triton.compiler import ASTSource

from goodput.errors import UsageError
from goodput.frontends.triton_kernels import Bound
from goodput_kernels.triton_architecture import ARCHITECTURES, Architecture
from goodput_kernels.triton_compile import Compiled, compile_parsed

_OPTIONS = ("num_warps", "num_stages", "num_ctas", "maxnreg")


def architecture(name: str) -> Architecture:
    """The GPU target of this name, e.g. `sm_90`.

    Raises:
        UsageError: there is none.
    """
    if name not in ARCHITECTURES:
        raise UsageError(f"{name} is no GPU target; there are {', '.join(ARCHITECTURES)}")
    return ARCHITECTURES[name]


def compiled(bound: Bound, target: Architecture) -> Compiled:
    """The kernel of a launch, compiled for `target` by the assembler that comes with Triton.

    The compiler knows what it would know at that launch: which numbers are divisible by 16, which
    are 1, which arguments are constants.

    Raises:
        triton.errors.TritonError: it does not compile for it.
    """
    source = ASTSource(bound.kernel, bound.signature, bound.constants, bound.attributes)
    given = ((option, getattr(bound.options, option, None)) for option in _OPTIONS)
    return compile_parsed(
        source, target, {option: value for option, value in given if value is not None}
    )
