"""Sizes that a user did not name, near those that were: what fits only the table fails on them."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace

from goodput.comparison.declared import Case

_LEAST = 32
"""Smaller sizes (heads, dimensions of a head) are often the only ones that a kernel knows."""

_SHARES = ((3, 4), (1, 2), (5, 8))


def held_back(case: Case, seed: int) -> Iterator[Case]:
    """Cases with one size smaller than in `case`, in an order that only the seed knows.

    A size stays a multiple of 16 where it was one.
    """
    order = random.Random(seed)  # noqa: S311 - hidden from variants, not from attackers
    sizes = [
        name
        for name, value in case.parameters.items()
        if isinstance(value, int) and not isinstance(value, bool) and value >= _LEAST
    ]
    choices = [(name, share) for name in sizes for share in _SHARES]
    order.shuffle(choices)
    for name, (part, whole) in choices:
        size = case.parameters[name]
        smaller = size * part // whole
        smaller -= smaller % 16 if size % 16 == 0 else 0
        if 0 < smaller < size:
            yield replace(case, parameters={**case.parameters, name: smaller})
