"""Conventions that are a formula on an architecture, in the report of a config that was counted.

Such a formula has no share for an operator, so it gives the step's useful FLOPs alone; the rows
below stay those of the exact count, and the report says so.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from goodput.commands.reconciled import config_fields
from goodput.errors import UsageError
from goodput.formulas.architecture import FORWARD_AND_BACKWARD, Architecture
from goodput.formulas.architecture_config import from_config
from goodput.formulas.conventions import BY_OPERATOR, EXACT
from goodput.formulas.conventions_closed import inapplicable, training_flops
from goodput.report.model import Report
from goodput.units import si

_CONFIG = "hf:"


def is_closed(convention: str) -> bool:
    """Whether a convention is a formula on an architecture."""
    return convention not in BY_OPERATOR


def architecture_of(target: str, convention: str) -> Architecture:
    """The architecture of `target`, to which `convention` applies.

    Raises:
        UsageError: the config is none, its architecture is not known, or the convention says
            nothing of it.
    """
    model = from_config(config_fields(Path(target.removeprefix(_CONFIG))))
    reason = inapplicable(model, convention)
    if reason:
        raise UsageError(
            f"{convention} does not apply to this {model.family}: {reason}; "
            "goodput reconcile says what each convention counts of it"
        )
    return model


def check_no_roofs(convention: str, *, roofs: bool) -> None:
    """Whether ideal seconds can be told beside a convention.

    Raises:
        UsageError: they cannot.
    """
    if roofs and is_closed(convention):
        raise UsageError(
            f"ideal seconds are told operator by operator, and {convention} has no share for one: "
            f"leave --on and --capacity out, or use --convention {EXACT}"
        )


def by_formula(
    report: Report, model: Architecture, convention: str, sizes: tuple[int, int], *, train: bool
) -> Report:
    """`report`, of the exact count, with the useful FLOPs that `convention` gives the step.

    Args:
        report: of the exact count.
        model: what was counted.
        convention: a formula.
        sizes: sequences, and tokens of each.
        train: whether the backward pass was counted too; without it a third is taken, since each
            formula counts training as three times the forward pass.
    """
    batch, tokens = sizes
    whole = training_flops(model, tokens, convention)
    flops = batch * (whole if train else whole // FORWARD_AND_BACKWARD)
    exact = report.totals.useful_flops or 0.0
    whole_model = (
        f"{convention} is a formula on the model as a whole: it gives the step's useful FLOPs, "
        f"where the exact count is {si(exact, 'FLOP')}; operators, modules and executed FLOPs are "
        f"by {EXACT}"
    )
    told = [whole_model]
    if not train:
        told.append(
            f"{convention} counts training: a third of it stands for the forward pass that was "
            "counted; --train counts both"
        )
    return replace(
        report,
        convention=convention,
        rows_convention=EXACT,
        totals=replace(report.totals, useful_flops=float(flops), useful_flops_by_mode={}),
        warnings=(*report.warnings, *told),
    )
