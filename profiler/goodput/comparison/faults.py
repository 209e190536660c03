"""What an error of the user's code says, in one line, with what to type where that is known."""

from __future__ import annotations

from goodput.errors import GoodputError, typed_line

_NO_DRIVER = "active drivers ([])"
"""Triton's own words where it finds no device: they name neither Triton nor a way out."""

_NO_GPU = (
    "Triton finds no GPU here; --target sm_90 compiles its kernels for one that is not here, "
    "TRITON_INTERPRET=1 runs them slowly on the CPU"
)


def said(error: BaseException) -> str:
    """The line; an error that is not ours with its type."""
    if _lacks_a_gpu(error):
        return _NO_GPU
    return str(error) if isinstance(error, GoodputError) else typed_line(error)


def raised(error: BaseException, who: str = "it") -> str:
    """The same as a sentence about `who`; what we say ourselves is one already."""
    ours = _lacks_a_gpu(error) or isinstance(error, GoodputError)
    return said(error) if ours else f"{who} raises {said(error)}"


def _lacks_a_gpu(error: BaseException) -> bool:
    return isinstance(error, RuntimeError) and _NO_DRIVER in str(error)
