"""What is being done, on one line of stderr that vanishes; nothing where stderr is no terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tqdm import tqdm


@contextmanager
def progress() -> Iterator[Callable[[str], None]]:
    """Yields a function that shows a few words."""
    # None: tqdm looks whether stderr is a terminal, which it can only where there is a stderr.
    disable = None if sys.stderr is not None else True
    with tqdm(bar_format="goodput: {desc} ({elapsed})", leave=False, disable=disable) as line:
        yield line.set_description_str
