"""`goodput check`: hold what a program costs against what it cost, and end with a status."""

from __future__ import annotations

from pathlib import Path

import click

from goodput.commands.streams import report_stream

_TIERS = ("exact", "modelled", "measured")


@click.command(name="check", short_help="Hold cases against their baselines and budgets.")
@click.argument("run", required=False, type=click.Path(path_type=Path), metavar="[RUN]")
@click.option(
    "--tier",
    "tiers",
    multiple=True,
    type=click.Choice(_TIERS),
    help="Only this tier; may be repeated. Without it, those that each case declares.",
)
@click.option("--case", "cases", multiple=True, metavar="NAME", help="Only this case.")
@click.option(
    "--against",
    metavar="FILE|REF",
    help="Hold against a run of --json, or the merge base with a git ref, run in turns with HEAD.",
)
@click.option(
    "--on-inconclusive",
    type=click.Choice(("warn", "fail")),
    default="warn",
    show_default=True,
    help="Whether what may be a regression fails: status 6.",
)
@click.option("--exit-zero", is_flag=True, help="Report everything and end with status 0.")
@click.option(
    "--json", metavar="FILE|-", help="Write the run and its verdicts as JSON; - is stdout, alone."
)
def command(
    *,
    run: Path | None,
    tiers: tuple[str, ...],
    cases: tuple[str, ...],
    against: str | None,
    on_inconclusive: str,
    exit_zero: bool,
    json: str | None,
) -> int:
    """Check the cases of [tool.goodput] in pyproject.toml, or of goodput.toml.

    RUN is a file of --json: then nothing is run, and what it holds is judged again.
    """
    from goodput.commands.check_reports import Places, publish
    from goodput.commands.checking import Choice, checked

    choice = Choice(tiers, cases, fail_on_inconclusive=on_inconclusive == "fail")
    places = Places(json)
    with report_stream(alone=places.alone_on_stdout) as stream:
        report, runs = checked(choice, run, against)
        status = publish(report, runs, places, stream)
    return 0 if exit_zero else status
