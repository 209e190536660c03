"""The command line: parses, calls one command, turns an error into a sentence and an exit status.

It never measures and never renders. A command is imported only when it is called, so that
`goodput --help` is quick.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from typing import NoReturn

import click

from goodput import __version__
from goodput.errors import GoodputError

COMMANDS = {
    "baseline": ("goodput.commands.baseline", "Bless, show or compare baselines."),
    "check": ("goodput.commands.check", "Hold cases against their baselines and budgets."),
    "compare": ("goodput.commands.compare", "Compare variants of an operator with a reference."),
    "count": ("goodput.commands.count", "Count what a step needs, without running it."),
    "diff": ("goodput.commands.diff", "Say what moved between two recordings."),
    "doctor": ("goodput.commands.doctor", "Say what on this machine spoils a measurement."),
    "history": ("goodput.commands.history", "Say where recorded figures changed for good."),
    "job": ("goodput.commands.job", "Account for a whole job, from its ledger."),
    "peak": ("goodput.commands.peak", "Measure what this device can really deliver."),
    "reconcile": (
        "goodput.commands.reconcile",
        "Say why the numbers of others differ, term by term.",
    ),
    "run": ("goodput.commands.run", "Run a script and report its goodput."),
    "show": ("goodput.commands.show", "Report on a recording or a torch.profiler trace."),
}
"""Where each command lives, and its help in one line."""

_INTERRUPTED = 130
"""Status after Ctrl-C, as shells have it."""


class Commands(click.Group):
    """The commands, each imported when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click's signature
        """The names of all commands."""
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  # click's
        """The command `cmd_name`; None where there is no such command."""
        if cmd_name not in COMMANDS:
            return None
        command = import_module(COMMANDS[cmd_name][0]).command
        return command if isinstance(command, click.Command) else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002  # click's
        """Lists the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.command(cls=Commands)
@click.version_option(__version__, prog_name="goodput")
def goodput() -> None:
    """Tell what fraction of the hardware's delivered capacity became useful model math.

    Exit status: 0 ok, 1 a regression, 2 usage, 3 could not measure, 4 nothing comparable, 5
    untrustworthy result, 6 inconclusive; of run, the script's own status where that is not 0.
    """


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Runs one command and ends the process with its status.

    Args:
        arguments: the command line without the program's name; None takes the process's own.
    """
    sys.exit(status_of(arguments))


def status_of(arguments: Sequence[str] | None = None) -> int:
    """The exit status of one command."""
    try:
        status = goodput.main(arguments, prog_name="goodput", standalone_mode=False)
    except GoodputError as error:
        click.echo(f"goodput: {error}", err=True)
        return error.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return error.exit_code
    except click.ClickException as error:
        click.echo(f"goodput: {_in_one_line(error)}", err=True)
        return error.exit_code
    except click.Abort:
        click.echo("goodput: interrupted", err=True)
        return _INTERRUPTED
    return int(status or 0)


def _in_one_line(error: click.ClickException) -> str:
    """What click says of wrong usage, and where the right one stands."""
    said = " ".join(error.format_message().split()).removesuffix(".")
    context = error.ctx if isinstance(error, click.UsageError) else None
    return f"{said}; see {context.command_path} --help" if context else said
