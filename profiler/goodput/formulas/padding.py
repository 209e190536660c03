"""Which part of a product is useful where the program tells that some of its rows are padding.

Pure integers. Padded tokens run through every product like others: their FLOPs are executed and not
useful. Nothing here guesses what is padding; it is told, and by whom stands in the report.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from goodput.work import Contraction, Work

_ATTENTION_SIDES = 2


@dataclass(frozen=True, slots=True)
class Tokens:
    """The tokens of a padded batch.

    Attributes:
        lengths: useful tokens of each sequence.
        longest: tokens of every sequence with its padding.
    """

    lengths: tuple[int, ...]
    longest: int

    @property
    def whole(self) -> int:
        """All tokens, with padding."""
        return len(self.lengths) * self.longest

    @property
    def useful(self) -> int:
        """Tokens without padding."""
        return sum(self.lengths)

    @property
    def pairs(self) -> int:
        """Pairs of useful tokens of one sequence, over all of them."""
        return sum(length * length for length in self.lengths)


@dataclass(frozen=True, slots=True)
class Part:
    """`useful` of `whole` of a product are useful: exact, where its FLOPs are a multiple."""

    useful: int
    whole: int

    def of(self, work: Work) -> Work:
        """The work with the rest of its useful FLOPs told as padding."""
        useful = work.flops * self.useful // self.whole if self.whole else work.flops
        rest = work.flops - useful
        return replace(work, flops=useful, padding_flops=work.padding_flops + rest)


def part_of_tokens(product: Contraction, tokens: Tokens, *, backward: bool) -> Part | None:
    """The useful part of a product that works on the tokens of a batch; None for any other.

    Each token is a row, or several, as those sent to experts are; backward it may be what a
    weight's gradient sums over. In a batch of heads with tokens on two sides it is attention
    written out, and its part is that of the pairs.
    """
    whole, longest, batch = tokens.whole, tokens.longest, len(tokens.lengths)
    if not whole:
        return None
    sides = (product.m, product.n, product.k).count(longest)
    if sides >= _ATTENTION_SIDES and product.batch >= batch and product.batch % batch == 0:
        return Part(tokens.pairs, batch * longest * longest)
    rows = product.batch * product.m
    if rows % whole == 0 or (backward and product.k % whole == 0):
        return Part(tokens.useful, whole)
    return None


def part_of_sizes(product: Contraction, sizes: Mapping[int, int]) -> Part | None:
    """The useful part of a product with a dimension of a told size; None for any other.

    Args:
        product: what is multiplied.
        sizes: how much of a dimension of each size is useful: columns of a padded vocabulary, rows
            of experts' padded capacity.
    """
    lengths = (product.m, product.n, product.k, product.batch * product.m)
    found = next((size for size in lengths if size in sizes), None)
    return None if found is None else Part(sizes[found], found)
