"""A candidate on one CPU thread, whatever torch was set to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from goodput_kernels.candidate import Candidate


def one_thread(candidate: Candidate) -> Candidate:
    """`candidate`, in a scope in which torch has one thread."""

    @contextmanager
    def scope() -> Iterator[None]:
        import torch

        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            with candidate.scope():
                yield
        finally:
            torch.set_num_threads(threads)

    return replace(candidate, name=f"{candidate.name} on 1 thread", scope=scope)
