"""What is being done, on one line of stderr that vanishes; nothing where stderr is no terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tqdm import tqdm


@contextmanager
def progress() -> Iterator[Callable[[str], None]]:
    """Yields a function that shows a few words."""
    with tqdm(bar_format="goodput: {desc} ({elapsed})", leave=False, disable=None) as line:
        yield line.set_description_str
