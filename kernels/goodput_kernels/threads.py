"""A candidate on a number of CPU threads, whatever torch was set to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from goodput_kernels.candidate import Candidate


def one_thread(candidate: Candidate) -> Candidate:
    """`candidate`, in a scope in which torch has one thread."""
    return on_threads(candidate, 1)


def on_threads(candidate: Candidate, threads: int) -> Candidate:
    """`candidate`, in a scope in which torch (with MKL and oneDNN) has `threads` threads.

    NumPy's library has threads of its own, which this does not reach.
    """

    @contextmanager
    def scope() -> Iterator[None]:
        import torch

        before = torch.get_num_threads()
        torch.set_num_threads(threads)
        try:
            with candidate.scope():
                yield
        finally:
            torch.set_num_threads(before)

    name = f"{candidate.name} on {threads} thread{'s' * (threads != 1)}"
    return replace(candidate, name=name, scope=scope)
