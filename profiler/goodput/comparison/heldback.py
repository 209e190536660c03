"""Sizes that a user did not name, near those that were: what fits only the table fails on them."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace

from goodput.comparison.declared import Case

_LEAST = 32
"""Smaller sizes (heads, dimensions of a head) are often the only ones that a kernel knows."""

_SHARES = ((3, 4), (1, 2), (5, 8))


def held_back(case: Case, seed: int) -> tuple[tuple[Case, ...], ...]:
    """For each size of `case`, cases in which it alone is smaller; the seed knows their order.

    A variant may look at any one of the sizes, so every one of them is to be tried once. A size
    stays a multiple of 16 where it was one.
    """
    order = random.Random(seed)  # noqa: S311 - hidden from variants, not from attackers
    sizes = [
        name
        for name, value in case.parameters.items()
        if isinstance(value, int) and not isinstance(value, bool) and value >= _LEAST
    ]
    order.shuffle(sizes)
    return tuple(tuple(_smaller(case, name, order)) for name in sizes)


def _smaller(case: Case, name: str, order: random.Random) -> Iterator[Case]:
    size = case.parameters[name]
    for part, whole in order.sample(_SHARES, k=len(_SHARES)):
        smaller = size * part // whole
        smaller -= smaller % 16 if size % 16 == 0 else 0
        if 0 < smaller < size:
            yield replace(case, parameters={**case.parameters, name: smaller})
