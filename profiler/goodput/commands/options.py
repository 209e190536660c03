"""The options that every command with a report shares, and the checks that a parser cannot make."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any, TypeVar

import click

from goodput.capacity.profile import Capacity
from goodput.errors import UsageError
from goodput.formulas.conventions import CONVENTIONS, check_by_operator
from goodput.report.views import VIEWS

STDOUT = "-"

_Function = TypeVar("_Function", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class ReportOptions:
    """How a report is made and where it goes; `-` is stdout, None is not asked for.

    `of_model` is whether it is of a model's config, to which formulas apply too.
    """

    by: str
    convention: str
    capacity: Path | None
    json: str | None
    markdown: str | None
    of_model: bool = False

    def __post_init__(self) -> None:
        """Checks that one report at most goes to stdout, and that operators have the convention.

        Raises:
            UsageError: both JSON and Markdown should, or the convention is a formula on a model.
        """
        if not self.of_model:
            check_by_operator(self.convention)
        if self.json == STDOUT and self.markdown == STDOUT:
            raise UsageError("only one of --json - and --markdown - can have stdout; name a file")

    @property
    def alone_on_stdout(self) -> bool:
        """Whether a machine reads stdout, so that nothing else may stand there."""
        return STDOUT in {self.json, self.markdown}


@dataclass(frozen=True, slots=True)
class Keep:
    """What the user wants of a recording.

    Attributes:
        path: the file for it.
        is_asked: whether the user named that file, so that it must be written.
        capacity: the roofs that the user gave.
        measure_shapes: whether the program's own shapes are to be measured.
    """

    path: Path
    is_asked: bool
    capacity: Capacity | None
    measure_shapes: bool = False


def _absolute(ctx: click.Context, option: click.Parameter, place: str | None) -> str | None:  # noqa: ARG001  # click's signature
    """The file `place` by a name that holds when a script changes the directory."""
    return place if place in {None, STDOUT} else str(Path(place).absolute())


_OPTIONS = (
    click.option(
        "--by",
        type=click.Choice(tuple(VIEWS)),
        default="operator",
        show_default=True,
        help="What the ranked table groups by.",
    ),
    click.option(
        "--convention",
        type=click.Choice(tuple(CONVENTIONS)),
        default="exact",
        show_default=True,
        help="The rule that says which FLOPs are useful.",
    ),
    click.option(
        "--capacity",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        metavar="FILE",
        help="Hold the program against the roofs in FILE, a capacity file or a recording.",
    ),
    click.option(
        "--json",
        metavar="FILE|-",
        callback=_absolute,
        help="Write the report as JSON; - is stdout, alone.",
    ),
    click.option(
        "--markdown",
        metavar="FILE|-",
        callback=_absolute,
        help="Write the report as Markdown; - is stdout, alone.",
    ),
)


def report_options(function: _Function) -> _Function:
    """A decorator that gives a command the fields of `ReportOptions` as options."""
    return reduce(lambda decorated, option: option(decorated), reversed(_OPTIONS), function)
