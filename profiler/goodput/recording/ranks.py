"""The ranks of one job: which one this process is. Reads the launcher's environment only."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Place:
    """Where this process stands in its job, as the launcher's environment says.

    Attributes:
        rank, world_size: in the job; 0 and 1 when not distributed.
        local_rank, local_world_size: on this host.
        job: what the ranks of one launch on this host share and no other launch does.
    """

    rank: int = 0
    world_size: int = 1
    local_rank: int = 0
    local_world_size: int = 1
    job: str = ""

    @property
    def is_distributed(self) -> bool:
        """Whether there are other ranks."""
        return self.world_size > 1

    @property
    def reports(self) -> bool:
        """Whether this rank prints the report: rank 0."""
        return self.rank == 0

    @property
    def host_ranks(self) -> range:
        """The ranks of this host, which launchers number in a row."""
        first = self.rank - self.local_rank
        return range(first, first + self.local_world_size)


def here(environment: Mapping[str, str] | None = None) -> Place:
    """This process's place, from `RANK`, `WORLD_SIZE` and what else torchrun sets."""
    variables = os.environ if environment is None else environment
    world_size = _integer(variables, "WORLD_SIZE", 1)
    if world_size <= 1:
        return Place()
    return Place(
        rank=_integer(variables, "RANK", 0),
        world_size=world_size,
        local_rank=_integer(variables, "LOCAL_RANK", _integer(variables, "RANK", 0)),
        local_world_size=_integer(variables, "LOCAL_WORLD_SIZE", world_size),
        job="-".join(
            [
                variables.get("TORCHELASTIC_RUN_ID", "none"),
                variables.get("MASTER_PORT", "0"),
                variables.get("TORCHELASTIC_RESTART_COUNT", "0"),
                # The launcher's agent is the parent of all ranks of a host.
                str(os.getppid()),
            ]
        ),
    )


def reports_here() -> bool:
    """Whether this process prints the report."""
    return here().reports


def path_of_rank(path: Path, place: Place) -> Path:
    """The recording's file for this rank: `train.goodput` becomes `train.rank1.goodput`."""
    if not place.is_distributed:
        return path
    return path.with_name(f"{path.stem}.rank{place.rank}{path.suffix}")


def named(ranks: list[int]) -> str:
    """Ranks in ascending order in words: `rank 3`, or `ranks 1, 4 to 7`."""
    breaks = [place for place, (a, b) in enumerate(pairwise(ranks), 1) if b != a + 1]
    runs = [ranks[a:b] for a, b in pairwise([0, *breaks, len(ranks)])]
    words = [f"{run[0]} to {run[-1]}" if len(run) > 1 else f"{run[0]}" for run in runs]
    return f"{'ranks' if len(ranks) > 1 else 'rank'} {', '.join(words)}"


def device_place(device_index: str = "") -> str:
    """What two ranks on one device have in common: the host, and the device's number on it."""
    return f"{socket.gethostname()}/{device_index or 'cpu'}"


def _integer(variables: Mapping[str, str], name: str, default: int) -> int:
    text = variables.get(name, "")
    return int(text) if text.isdigit() else default
