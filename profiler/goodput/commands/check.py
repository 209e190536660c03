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
@click.option("--record", is_flag=True, help="Add the figures to the history of the project.")
@click.option(
    "--json", metavar="FILE|-", help="Write the run and its verdicts as JSON; - is stdout, alone."
)
@click.option(
    "--markdown", metavar="FILE|-", help="Write Markdown for a pull request; - is stdout, alone."
)
@click.option("--junit", metavar="FILE|-", help="Write JUnit XML; - is stdout, alone.")
@click.option("--sarif", metavar="FILE|-", help="Write exact findings with a source line as SARIF.")
@click.option(
    "--annotations/--no-annotations",
    default=None,
    help="Print GitHub annotations, at most nine; without either, where GITHUB_ACTIONS is true.",
)
def command(  # noqa: PLR0913  # one argument an option, as click passes them
    *,
    run: Path | None,
    tiers: tuple[str, ...],
    cases: tuple[str, ...],
    against: str | None,
    on_inconclusive: str,
    exit_zero: bool,
    record: bool,
    json: str | None,
    markdown: str | None,
    junit: str | None,
    sarif: str | None,
    annotations: bool | None,
) -> int:
    """Check the cases of [tool.goodput] in pyproject.toml, or of goodput.toml.

    RUN is a file of --json: then nothing is run, and what it holds is judged again.
    """
    from goodput.commands.check_reports import Places, annotates, publish
    from goodput.commands.checking import Choice, checked, recorded

    choice = Choice(tiers, cases, fail_on_inconclusive=on_inconclusive == "fail")
    shown = annotates() if annotations is None else annotations
    places = Places(json, markdown, junit, sarif, shown)
    with report_stream(alone=places.alone_on_stdout) as stream:
        report, runs = checked(choice, run, against)
        if record:
            report = recorded(report, runs)
        status = publish(report, runs, places, stream)
    return 0 if exit_zero else status
