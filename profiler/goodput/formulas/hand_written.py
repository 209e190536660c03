"""Attention written by hand: scores by one product, a softmax over them, values by another.

Nothing says which of its pairs a mask closes, so they are counted dense, and told. Counts nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from goodput.work import TensorSpec

PRODUCTS = frozenset({"aten::bmm", "aten::baddbmm"})
"""The operators that multiply batches of matrices, the two factors last among their tensors."""

TELL_THE_MASK = "scaled_dot_product_attention tells the mask"

SOFTMAXES = frozenset({"aten::_softmax", "aten::_safe_softmax"})


class HandWritten:
    """Finds the modules that do attention with products of their own."""

    def __init__(self) -> None:
        self._scores: dict[str, tuple[int, ...]] = {}
        self._weights: dict[str, tuple[int, ...]] = {}
        self._found: dict[str, None] = {}

    @property
    def modules(self) -> tuple[str, ...]:
        """The modules found, in the order in which they ran; "" is the program itself."""
        return tuple(self._found)

    def note(self, operator: str, tensors: tuple[TensorSpec, ...], module: str) -> None:
        """Takes note of one forward call in `module`, in order, by its input tensors."""
        if operator in PRODUCTS and len(tensors) > 1:
            left, right = tensors[-2:]
            if self._weights.pop(module, None) == left.shape[-2:]:
                self._found[module] = None
            self._scores[module] = (*left.shape[-2:-1], *right.shape[-1:])
        elif operator in SOFTMAXES and tensors:
            rows = tensors[0].shape[-2:]
            # A column more is a sink: a score that goes to no value.
            without = (*rows[:-1], *(size - 1 for size in rows[-1:]))
            for owner in _and_around(module):
                scores = self._scores.get(owner)
                if scores in (rows, without):
                    self._weights[owner] = scores
                    return


class HandWrittenExponential:
    """Finds them where softmax is no operator of its own: by the exponential inside of it."""

    def __init__(self) -> None:
        self._scores: dict[str, int] = {}
        self._weights: dict[str, int] = {}
        self._found: dict[str, None] = {}

    @property
    def modules(self) -> tuple[str, ...]:
        """The modules found, in the order in which they ran; "" is the program itself."""
        return tuple(self._found)

    def product(self, left: TensorSpec, right: TensorSpec, elements: int, module: str) -> None:
        """Takes note of a forward product of many matrices, of so many elements, in order."""
        if self._weights.get(module) in (left.numel, right.numel):
            self._found[module] = None
            del self._weights[module]
        self._scores[module] = elements

    def exponential(self, tensor: TensorSpec, module: str) -> None:
        """Takes note of a forward exponential, in order."""
        every = (m for m in _and_around(module) if self._scores.get(m) == tensor.numel)
        owner = next(every, None)
        if owner is not None:
            self._weights[owner] = tensor.numel


def told(modules: Sequence[str], nameless: str, advice: str = TELL_THE_MASK) -> tuple[str, ...]:
    """The sentence for attention in `modules`, counted dense; none without any.

    `nameless` stands for a module without a name; `advice` is what to do about it, if anything.
    """
    if not modules:
        return ()
    sentence = (
        f"attention is written by hand in {and_more([name or nameless for name in modules])}, so "
        "every pair is counted as useful even where a mask closes it"
    )
    return (f"{sentence}; {advice}" if advice else sentence,)


def and_more(names: Sequence[str]) -> str:
    """The first of `names`, and how many others there are."""
    return f"{names[0]} and {len(names) - 1} more" if len(names) > 1 else names[0]


def _and_around(module: str) -> Iterator[str]:
    """The module and those around it: the softmax may be a module of its own."""
    while module:
        yield module
        module = module.rpartition(".")[0]
    yield ""
