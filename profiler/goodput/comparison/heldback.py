"""Sizes that a user did not name, near those that were: what fits only the table fails on them."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from goodput.comparison.declared import Case

_LEAST = 32
"""Smaller sizes (heads, dimensions of a head) are often the only ones that a kernel knows."""

_SHARES = ((3, 4), (1, 2), (5, 8))


def tried(case: Case, seed: int, runs: Callable[[Case], bool]) -> tuple[Case, ...]:
    """The cases beside `case` that `runs` accepted; the seed knows their order.

    All sizes change at once, by one share, so that those that must be equal or divide one another
    still do: a variant that looks at any of them is seen by one more case. Where no such case
    runs, each size is tried by itself, and those that have to stay as they are do.
    """
    order = random.Random(seed)  # noqa: S311 - hidden from variants, not from attackers
    sizes = _sizes(case)
    order.shuffle(sizes)
    together = _first(_smaller(case, sizes, order), runs)
    if together is not None:
        return (together,)
    if len(sizes) < 2:
        return ()
    found = (_first(_smaller(case, [name], order), runs) for name in sizes)
    return tuple(one for one in found if one is not None)


def _first(cases: Iterator[Case], runs: Callable[[Case], bool]) -> Case | None:
    return next((case for case in cases if runs(case)), None)


def _sizes(case: Case) -> list[str]:
    return [
        name
        for name, value in case.parameters.items()
        if isinstance(value, int) and not isinstance(value, bool) and value >= _LEAST
    ]


def _smaller(case: Case, sizes: Sequence[str], order: random.Random) -> Iterator[Case]:
    """`case` with all of `sizes` smaller, by each share; multiples of 16 stay such."""
    for part, whole in order.sample(_SHARES, k=len(_SHARES)):
        smaller = {name: _part(case.parameters[name], part, whole) for name in sizes}
        if smaller and all(0 < smaller[name] < case.parameters[name] for name in sizes):
            yield replace(case, parameters={**case.parameters, **smaller})


def _part(size: int, part: int, whole: int) -> int:
    smaller = size * part // whole
    return smaller - (smaller % 16 if size % 16 == 0 else 0)
