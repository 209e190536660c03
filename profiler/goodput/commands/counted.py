"""What `goodput count` and `goodput.count` share: counts made into a report."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from goodput.capacity.datasheet import capacity_from_datasheet, full_row_of, rows
from goodput.capacity.profile import Capacity
from goodput.commands import closed
from goodput.commands.given import capacity_for
from goodput.commands.options import ReportOptions
from goodput.device import DeviceIdentity
from goodput.errors import UsageError
from goodput.formulas.conventions import EXACT, FLOP_COUNTER_MODE, check_by_operator
from goodput.report.build import build
from goodput.report.devices import ideals
from goodput.report.model import Report
from goodput.trace.recording import Recording


def count(
    callable: Callable[..., Any],  # noqa: A002 - what it is
    *inputs: Any,
    convention: str = "exact",
    train: bool | None = None,
    by: str = "operator",
    devices: Sequence[str] = (),
) -> Report:
    """What one call needs: the report of its counts, without running it.

    Modules keep their weights, and nothing is computed: shapes alone go through the program. Where
    it needs values (routing by `nonzero`, lengths), it is run once for real on the inputs as they
    are, and a warning says so; of a JAX program only what decides a loop or a branch is computed.

    Args:
        callable: a module, a function of PyTorch or of JAX, or a training step without inputs.
        inputs: its arguments.
        convention: which FLOPs are useful.
        train: True: the backward pass of what it returns is counted too; False: without gradients,
            a module in evaluation; None: it is called as it is. Of JAX, the backward pass is by
            the floating leaves of the first argument, or of all where it has none.
        by: what `operators` groups by: `operator`, `module`, `phase` or `kernel`.
        devices: names of devices of the datasheet, to tell the ideal seconds on.

    Raises:
        UsageError: the call failed by itself, or there is no such convention, view or device.
        NotMeasuredError: it could not be counted.
    """
    check_by_operator(convention)
    roofs = roofs_of(devices)
    from goodput.recording.counting import of_call

    return reported(of_call(callable, inputs, train=train), convention, by, roofs)


def target_report(
    target: str,
    sizes: tuple[int | None, int | None],
    options: ReportOptions,
    roofs: Sequence[Capacity] = (),
    *,
    train: bool | None = None,
) -> Report:
    """The report of what `goodput count` names.

    Args:
        target: as `of_target` takes it.
        sizes: sequences, and tokens of each; None where not given.
        options: how the report is made.
        roofs: of devices to tell the ideal seconds on.
        train: as for `of_target`.

    Raises:
        UsageError: it names nothing that can be counted, or the convention does not apply to it.
        NotMeasuredError: it could not be counted.
    """
    from goodput.recording.counting import of_target

    batch, seq = sizes
    convention = options.convention
    if not closed.is_closed(convention):
        recording = of_target(target, batch, seq, train=train)
        return reported(recording, convention, options.by, roofs, options.capacity)
    closed.check_no_roofs(convention, roofs=bool(roofs or options.capacity))
    model = closed.architecture_of(target, convention)
    recording = of_target(target, batch, seq, train=train)
    report = reported(recording, EXACT, options.by)
    tokens = round(recording.tokens_per_step or 0) // (batch or 1)
    return closed.by_formula(report, model, convention, (batch or 1, tokens), train=bool(train))


def roofs_of(names: Sequence[str]) -> tuple[Capacity, ...]:
    """The roofs of the devices of these names, a row's own or one that a framework gives.

    Raises:
        UsageError: the datasheet has no device of a name.
    """
    if not names:
        return ()
    own = {row.name: row.aliases[0] for row in rows() if row.aliases}
    known = [name if full_row_of(name) else own.get(name, name) for name in names]
    return tuple(capacity_from_datasheet(DeviceIdentity("", name)) for name in known)


def reported(
    recording: Recording,
    convention: str,
    by: str,
    roofs: Sequence[Capacity] = (),
    capacity: str | os.PathLike[str] | None = None,
) -> Report:
    """The report of counts.

    Args:
        recording: the counts.
        convention: which FLOPs are useful.
        by: what the rows are grouped by.
        roofs: of devices to tell the ideal seconds on; one alone is the report's own.
        capacity: a file of measured roofs, which are the report's own instead.

    Raises:
        UsageError: there is no such convention or view, or no capacity in the file.
    """
    if convention == FLOP_COUNTER_MODE and recording.trace.framework != "torch":
        raise UsageError(
            f"{convention} is what torch's own counter says, and {recording.program} is no program "
            "of torch; take exact, dense-attention or macs"
        )
    own = capacity_for(None, capacity) if capacity is not None else None
    if own is None and len(roofs) == 1:
        own = roofs[0]
    if own is not None:
        recording = replace(recording, trace=replace(recording.trace, device=own.device))
    report = build(recording, own, convention, by)
    return replace(report, devices=ideals(recording, roofs, convention)) if roofs else report
