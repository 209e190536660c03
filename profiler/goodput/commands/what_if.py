"""`goodput job what-if`: how often to save, what to expect, and what a lost point costs."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from goodput.commands.accounted import nanoseconds
from goodput.commands.options import STDOUT
from goodput.commands.output import coloured, line_width, print_text, write_file
from goodput.commands.streams import report_stream
from goodput.errors import NotMeasuredError
from goodput.ledger.whatif import Failures, Interval, intervals
from goodput.renderers.content import Content
from goodput.renderers.job import duration
from goodput.renderers.tables import Column, Table
from goodput.renderers.text import content_text
from goodput.units import percent

SCHEMA = "goodput.whatif/1"
_SECOND_NS = 1_000_000_000
_HOURS_A_DAY = 24


@click.command(name="what-if", short_help="Say how often to save, and what to expect.")
@click.option("--mtbf", required=True, metavar="TIME", help="Mean time between failures, e.g. 3h.")
@click.option("--save", required=True, metavar="TIME", help="How long a save stops training.")
@click.option(
    "--restart",
    required=True,
    metavar="TIME",
    help="From a failure until the job trains again, loading included.",
)
@click.option("--every", metavar="TIME", help="Your own time between saves, to compare.")
@click.option(
    "--price", type=click.FloatRange(min=0), metavar="P", help="What a device costs for an hour."
)
@click.option(
    "--devices",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    metavar="N",
    help="Devices of the job, for the price.",
)
@click.option("--json", metavar="FILE|-", help="Write the figures as JSON; - is stdout, alone.")
def command(
    *,
    mtbf: str,
    save: str,
    restart: str,
    every: str | None,
    price: float | None,
    devices: int,
    json: str | None,
) -> int:
    """Say how often a job should save that fails at random moments.

    Failures strike while the job is up; each costs --restart and all work since the last save.
    """
    failures = Failures(*(_seconds(text) for text in (mtbf, save, restart)))
    found = intervals(failures, None if every is None else _seconds(every))
    cost = None if price is None else price * devices * _HOURS_A_DAY
    as_json = _json(failures, found, cost)
    with report_stream(alone=json == STDOUT) as stream:
        content = _content(failures, found, cost)
        text = content_text(content, width=line_width(), colour=coloured(stream))
        written = [json in {None, STDOUT} or write_file(Path(str(json)), as_json)]
        written.append(print_text(as_json if json == STDOUT else text, stream))
        return 0 if all(written) else NotMeasuredError.exit_code


def _seconds(text: str) -> float:
    return nanoseconds(text) / _SECOND_NS


def _content(failures: Failures, found: tuple[Interval, ...], cost: float | None) -> Content:
    top = found[0]
    given = (
        f"a failure every {_duration(failures.mtbf)}, {_duration(failures.save)} a save, "
        f"{_duration(failures.restart)} a restart"
    )
    headline = [
        ("save every", f"{_duration(top.seconds)} of work"),
        ("goodput", f"{percent(top.goodput)} of the time becomes work that is kept"),
        ("given", given),
    ]
    if cost is not None:
        headline.append(("price", f"{cost / 100:,.2f} a day for each lost point of {cost:,.2f}"))
    columns = [
        Column("interval", tuple(each.name for each in found)),
        Column("work between saves", tuple(_duration(each.seconds) for each in found), right=True),
        Column("goodput", tuple(percent(each.goodput, 2) for each in found), right=True),
        Column("lost", tuple(percent(1 - each.goodput, 2) for each in found), right=True),
        Column("what it is", tuple(each.note for each in found), spare=1),
    ]
    if cost is not None:
        lost = tuple(f"{cost * (1 - each.goodput):,.2f}" for each in found)
        columns.insert(4, Column("lost a day", lost, right=True))
    return Content(
        title="goodput job what-if",
        errors=(),
        headline=tuple(headline),
        tables=(Table("How often to save", tuple(columns)),),
        honesty=(),
        warnings=(),
    )


def _duration(seconds: float) -> str:
    return duration(round(seconds * _SECOND_NS))


def _json(failures: Failures, found: tuple[Interval, ...], cost: float | None) -> str:
    content = {
        "schema": SCHEMA,
        "mtbf_seconds": failures.mtbf,
        "save_seconds": failures.save,
        "restart_seconds": failures.restart,
        "price_a_day": cost,
        "price_a_day_of_a_lost_point": None if cost is None else cost / 100,
        "intervals": msgspec.to_builtins(found),
    }
    return msgspec.json.format(msgspec.json.encode(content), indent=2).decode() + "\n"
