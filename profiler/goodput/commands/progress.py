"""What is being done, on one line of stderr that vanishes; nothing where stderr is no terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tqdm import tqdm

_WORDS = "goodput: {desc} ({elapsed})"


@contextmanager
def progress(expected_seconds: float | None = None) -> Iterator[Callable[[str], None]]:
    """Yields a function that shows a few words, and a bar of the time that has passed.

    Args:
        expected_seconds: what all of it should take; without it there is no bar.
    """
    # None: tqdm looks whether stderr is a terminal, which it can only where there is a stderr.
    disable = None if sys.stderr is not None else True
    form = _WORDS if expected_seconds is None else _barred(expected_seconds)
    with tqdm(total=expected_seconds, bar_format=form, leave=False, disable=disable) as line:

        def show(words: str) -> None:
            if expected_seconds is not None:
                line.n = min(line.format_dict["elapsed"], expected_seconds)
            line.set_description_str(words)

        yield show


def _barred(seconds: float) -> str:
    return (
        f"goodput: {{percentage:3.0f}}%|{{bar:20}}| {{desc}} ({{elapsed}} of about {seconds:.0f} s)"
    )
