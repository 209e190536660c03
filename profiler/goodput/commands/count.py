"""`goodput count`: what a step needs, counted on shapes, without running it."""

from __future__ import annotations

from pathlib import Path

import click

from goodput.commands.options import ReportOptions, report_options
from goodput.commands.streams import report_stream, tell
from goodput.errors import NotMeasuredError
from goodput.report.model import NO_ROOF, Report


@click.command(name="count", short_help="Count what a step needs, without running it.")
@click.argument("target")
@click.option(
    "--batch",
    type=click.IntRange(min=1),
    metavar="N",
    help="Sequences: of a config (1 without it), or for the function's parameter batch.",
)
@click.option(
    "--seq",
    type=click.IntRange(min=1),
    metavar="N",
    help="Tokens of a sequence: of a config, or for the function's parameter seq.",
)
@click.option(
    "--train/--infer",
    "train",
    default=None,
    help="Count the backward pass too; or without gradients. Neither: as the target is.",
)
@click.option(
    "--on",
    "devices",
    metavar="DEVICE,...",
    help="Tell the ideal seconds on these devices of the datasheet, by exact name.",
)
@click.option("--strict", is_flag=True, help="Status 3 where an operator has no formula.")
@report_options
def command(  # noqa: PLR0913  # one argument an option, as click passes them
    *,
    target: str,
    batch: int | None,
    seq: int | None,
    train: bool | None,
    devices: str | None,
    strict: bool,
    by: str,
    convention: str,
    capacity: Path | None,
    json: str | None,
    markdown: str | None,
) -> int:
    """Count the FLOPs and bytes of one step of TARGET: no device is needed, no weight is allocated.

    TARGET is file.py:function or package.module:function, a function without arguments that
    returns (callable, inputs), of PyTorch or of JAX; or hf:config.json, a Hugging Face causal
    language model.
    """
    options = ReportOptions(by, convention, capacity, json, markdown, target.startswith("hf:"))
    with report_stream(alone=options.alone_on_stdout) as stream:
        # Imported here: numpy and the datasheet are not needed to say what was typed wrong.
        from goodput.commands.counted import roofs_of, target_report
        from goodput.commands.output import publish

        roofs = roofs_of([name.strip() for name in (devices or "").split(",") if name.strip()])
        report = target_report(target, (batch, seq), options, roofs, train=train)
        status = publish(report, options, stream)
    return _strict_status(report) if strict and not status else status


def _strict_status(report: Report) -> int:
    """3 and a line where operators have no formula, so that the count is not whole."""
    missing = [one for one in report.coverage.unmodelled if one.reason != NO_ROOF]
    if not missing:
        return 0
    named = ", ".join(f"{one.operator} ({one.reason})" for one in missing)
    tell(f"--strict: not counted: {named}; give a formula with goodput.formula")
    return NotMeasuredError.exit_code
