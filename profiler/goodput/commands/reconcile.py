"""`goodput reconcile`: why the numbers of others differ, term by term, and what explains one."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import TextIO

import click

from goodput.commands.options import STDOUT
from goodput.commands.output import coloured, line_width, print_text, write_file
from goodput.commands.reconciled import reconciled, run_of
from goodput.commands.streams import report_stream
from goodput.errors import NotMeasuredError, UsageError
from goodput.formulas.conventions_diagnosis import Figure, figure
from goodput.renderers.reconciliation import render_reconciliation
from goodput.renderers.reconciliation_json import reconciliation_json


@click.command(name="reconcile", short_help="Say why the numbers of others differ, term by term.")
@click.argument("target")
@click.option("--seq", type=click.IntRange(min=1), metavar="N", help="Tokens of a sequence.")
@click.option("--batch", type=click.IntRange(min=1), metavar="N", help="Sequences of a step.")
@click.option(
    "--reported",
    metavar="FIGURE",
    help="A figure to explain: an MFU (47.3%), a speed per device (412TFLOP/s) or the work of a "
    "token (51.5GFLOP).",
)
@click.option(
    "--device",
    metavar="D",
    help="The device, by its name in the datasheet; of several the fastest, which is said.",
)
@click.option(
    "--dtype",
    metavar="D",
    default="bfloat16",
    show_default=True,
    help="The math mode of the device's peak.",
)
@click.option(
    "--tokens-per-second",
    type=click.FloatRange(min=0, min_open=True),
    metavar="N",
    help="The speed that was measured, of one device.",
)
@click.option("--json", metavar="FILE|-", help="Write everything as JSON; - is stdout, alone.")
def command(
    *,
    target: str,
    seq: int | None,
    batch: int | None,
    reported: str | None,
    device: str | None,
    dtype: str,
    tokens_per_second: float | None,
    json: str | None,
) -> int:
    """Say what each convention counts of TARGET, and why that differs from the exact count.

    TARGET is hf:config.json, a Hugging Face causal language model, by its config alone; or
    file.py:function, as goodput count takes it, by the conventions that weigh operators.
    """
    speed = None if tokens_per_second is None else Fraction(tokens_per_second)
    claimed = None if reported is None else figure(reported)
    _check(target, claimed, device, speed)
    run = None if speed is None else run_of(speed, device, dtype)
    with report_stream(alone=json == STDOUT) as stream:
        found = reconciled(target, seq, batch, run, claimed)
        text = render_reconciliation(found, width=line_width(), colour=coloured(stream))
        return _publish(text, reconciliation_json(found), json, stream)


def _check(target: str, claimed: Figure | None, device: str | None, speed: Fraction | None) -> None:
    """Whether everything is there that is needed for what was asked for.

    Raises:
        UsageError: it is not.
    """
    if device is not None and speed is None:
        raise UsageError("--device is for an MFU, which needs a speed: add --tokens-per-second N")
    if claimed is None:
        return
    if not target.startswith("hf:"):
        raise UsageError(
            "--reported tries what may be wrong with a model's formula, so it needs hf:config.json"
        )
    if claimed.quantity == "MFU" and device is None:
        raise UsageError(
            f"an MFU of {claimed.text} is of a device at a speed: add --device D and "
            "--tokens-per-second N"
        )
    if claimed.quantity == "FLOP/s" and speed is None:
        raise UsageError(f"{claimed.text} is of a speed: add --tokens-per-second N")


def _publish(text: str, as_json: str, json: str | None, stream: TextIO) -> int:
    """Writes the text to stdout and the JSON where it is asked for; the status."""
    written = [json in {None, STDOUT} or write_file(Path(str(json)), as_json)]
    written.append(print_text(as_json if json == STDOUT else text, stream))
    return 0 if all(written) else NotMeasuredError.exit_code
