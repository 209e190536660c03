"""`goodput baseline`: bless a recorded run, show what is blessed, and what a run would change."""

from __future__ import annotations

from pathlib import Path

import click

from goodput.errors import UsageError


@click.command(name="baseline", short_help="Bless, show or compare baselines.")
@click.argument("action", type=click.Choice(("bless", "show", "diff")))
@click.argument("run", required=False, type=click.Path(path_type=Path), metavar="[RUN]")
@click.option("--reason", metavar="TEXT", help="Why the figures of RUN are right; bless needs it.")
@click.option("--case", "cases", multiple=True, metavar="NAME", help="Only this case.")
def command(*, action: str, run: Path | None, reason: str | None, cases: tuple[str, ...]) -> int:
    """Bless a RUN of goodput check --json, show the baselines, or tell what a RUN would change.

    Baselines are committed JSON files. Only a recorded run is blessed: nothing is measured here.
    """
    from goodput.commands.blessings import bless, diff, show

    if action == "show":
        return show(cases)
    if run is None:
        raise UsageError(f"goodput baseline {action} needs the RUN: a file of goodput check --json")
    if action == "diff":
        return diff(run, cases)
    if not (reason or "").strip():
        raise UsageError('goodput baseline bless needs --reason "why these figures are right"')
    return bless(run, cases, str(reason).strip())
