"""A recording: everything one run of a program left behind, as plain data. Never runs anything."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field

from goodput.trace.table import Trace
from goodput.work import Contraction, Work
from goodput_kernels.convolution import Convolution

COUNTED = "count"
"""The basis of a recording of a program that did not run."""


@dataclass(frozen=True, slots=True)
class WorkEntry:
    """What the work pass counted for one operator call, in call order.

    `shapes` is the text that the reader makes from a trace's shapes, so that the two can be joined.
    `work` is None where no formula knows the call. `product` or `convolution` is the problem that
    the call solves, where it is one of those. An entry may stand for several equal `calls`, those
    of a loop: its work is of all of them together. `told_flops` are those of its padding FLOPs that
    the program told of: padded tokens, sizes and capacities. `compiled` tells a call in code that
    torch.compile made; `kernel` is what it is called in a trace, where that is not `operator`.
    `stated_flops` and `stated_bytes` are what a kernel's own author says that it does.
    """

    operator: str
    phase: str
    module: str
    shapes: str
    mode: str
    work: Work | None
    product: Contraction | None = None
    convolution: Convolution | None = None
    calls: int = 1
    told_flops: int = 0
    kernel: str = ""
    compiled: bool = False
    stated_flops: int | None = None
    stated_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class WorkPass:
    """One counted step: its calls, and the largest problems of each math mode.

    `contractions` and `convolutions` are the program's own shapes for the roofs to be measured at.
    `hand_written` names the modules that do attention by products of their own, counted dense.
    `told` are sentences on what the program told of its padding.
    """

    entries: tuple[WorkEntry, ...] = ()
    contractions: tuple[Contraction, ...] = ()
    convolutions: tuple[Convolution, ...] = ()
    failure: str = ""
    hand_written: tuple[str, ...] = ()
    told: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Recording:
    """One rank's run of one program on one device.

    Attributes:
        program: the command as typed, e.g. `train.py --lr 1`.
        created: ISO date and time.
        trace: the attribution pass, read by the same reader as foreign traces, its work already
            joined with the work pass.
        wall_seconds: undisturbed steps (of the covered signature), one sample a step.
        basis: what clocked them: `event`, `window`, `host`, or `trace` for a foreign file;
            `COUNTED` where the program was counted without running it.
        steps_seen, steps_left_out: all boundaries seen; intervals left out (skipped optimizer
            steps, evaluation, other input signatures).
        tokens_per_step: where known.
        work: the work pass.
        exit_status: the script's own.
        warnings: sentences for the report.
        mixed: whether steps of many input signatures are reported together, none being usual.
        count_only: whether nothing but the work pass was asked for.
    """

    program: str
    created: str
    trace: Trace
    wall_seconds: tuple[float, ...]
    basis: str
    steps_seen: int = 0
    steps_left_out: int = 0
    tokens_per_step: float | None = None
    work: WorkPass = field(default_factory=WorkPass)
    exit_status: int = 0
    warnings: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    count_only: bool = False
    mixed: bool = False

    @property
    def step_seconds(self) -> float | None:
        """Seconds of one step: the median; the mean where the steps are of many kinds."""
        if not self.wall_seconds:
            return None
        middle = statistics.fmean if self.mixed else statistics.median
        return middle(self.wall_seconds)
