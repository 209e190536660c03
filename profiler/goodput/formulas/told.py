"""What a program tells of its own data: which tokens are padding, which sizes are padded.

The two functions may stand in any script. They do something while goodput measures or counts it,
and nothing at all otherwise: no tensor is read here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from goodput.errors import UsageError

_MASK_RANK = 2


@dataclass(frozen=True, slots=True)
class Told:
    """What was told until now.

    Attributes:
        mask: `[batch, tokens]`, not zero where a token is useful; None where nothing was told.
        sizes: how much of a dimension of each size is useful.
    """

    mask: object = None
    sizes: Mapping[int, int] = field(default_factory=dict)


class _State:
    def __init__(self) -> None:
        self.listeners = 0
        self.told = Told()


_state = _State()


def useful_tokens(mask: object) -> None:
    """Tells which tokens of the batch that comes next are useful: those that `mask` does not hide.

    Products over padded tokens are then executed FLOPs and no useful ones. It holds until it is
    called again; `None` takes it back. An `attention_mask` that is passed to the model by that name
    is seen without it.

    Args:
        mask: `[batch, tokens]`, not zero where a token is useful.

    Raises:
        UsageError: the mask has another number of dimensions.
    """
    shape = getattr(mask, "shape", None)
    if mask is not None and (shape is None or len(shape) != _MASK_RANK):
        told = f"of shape {tuple(shape)}" if shape is not None else f"a {type(mask).__name__}"
        raise UsageError(
            f"the mask of useful tokens is {told}; give a tensor of [batch, tokens], not zero "
            "where a token is useful"
        )
    if _state.listeners:
        _state.told = replace(_state.told, mask=mask)


def useful_size(useful: int, *, of: int) -> None:
    """Tells that of every dimension of size `of` in a product only `useful` are useful.

    For a vocabulary that is padded (`useful_size(50257, of=50304)`) and for experts whose capacity
    is padded: the rows that were sent to them, of all rows. It holds until it is called again for
    that size.

    Raises:
        UsageError: `useful` is negative or more than `of`.
    """
    if not 0 <= useful <= of or not of:
        raise UsageError(f"useful_size({useful}, of={of}): give 0 <= useful <= of, and of above 0")
    if _state.listeners:
        _state.told = replace(_state.told, sizes={**_state.told.sizes, of: useful})


def told_now() -> Told:
    """What holds at the moment."""
    return _state.told


def listen() -> None:
    """From now on what is told is kept, until as many `forget`."""
    _state.listeners += 1


def forget() -> None:
    """Nobody listens any more: what was told is dropped."""
    _state.listeners = max(_state.listeners - 1, 0)
    if not _state.listeners:
        _state.told = Told()


@contextmanager
def listening() -> Iterator[None]:
    """Inside, what is told is kept."""
    listen()
    try:
        yield
    finally:
        forget()
