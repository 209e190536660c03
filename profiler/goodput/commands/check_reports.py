"""Where the reports of a check go. A file that cannot be written loses no verdict."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TextIO

from goodput import __version__
from goodput.commands.output import coloured, line_width, print_text, write_file
from goodput.commands.streams import tell
from goodput.errors import NotMeasuredError, UsageError
from goodput.gates import run_file
from goodput.gates.observed_run import CaseRun
from goodput.renderers.check_text import render_check_text
from goodput.report.verdicts import CheckReport

STDOUT = "-"
_SUMMARY, _ACTIONS = "GITHUB_STEP_SUMMARY", "GITHUB_ACTIONS"


@dataclass(frozen=True, slots=True)
class Places:
    """Where each form goes; `-` is stdout, None is not asked for.

    `annotations` is whether GitHub's lines go to stdout, where its runner reads them.
    """

    json: str | None = None
    markdown: str | None = None
    junit: str | None = None
    sarif: str | None = None
    annotations: bool = False

    def __post_init__(self) -> None:
        """Checks that one form at most goes to stdout.

        Raises:
            UsageError: several would.
        """
        if [self.json, self.markdown, self.junit, self.sarif].count(STDOUT) > 1:
            raise UsageError("only one report can have stdout; name files for the others")

    @property
    def alone_on_stdout(self) -> bool:
        """Whether a machine reads stdout."""
        return STDOUT in {self.json, self.markdown, self.junit, self.sarif}


def publish(report: CheckReport, runs: Sequence[CaseRun], places: Places, stream: TextIO) -> int:
    """Writes the report wherever it was asked for; the exit status that it deserves."""
    forms: tuple[tuple[str | None, Callable[[], str]], ...] = (
        (places.json, partial(run_file.encode, report, runs)),
        (places.markdown, partial(_markdown, report)),
        (places.junit, partial(_junit, report)),
        (places.sarif, partial(_sarif, report)),
    )
    files = [(Path(place), form) for place, form in forms if place not in {None, STDOUT} and place]
    written = [write_file(path, form()) for path, form in files]
    _summarise(report, os.environ)
    if places.alone_on_stdout:
        text = next(form() for place, form in forms if place == STDOUT)
    else:
        text = render_check_text(report, width=line_width(), colour=coloured(stream))
        text += _annotations(report) if places.annotations else ""
    written.append(print_text(text, stream))
    lost = NotMeasuredError.exit_code if not all(written) else 0
    return report.status if report.status == UsageError.exit_code else lost or report.status


def annotates(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether this runs where GitHub reads annotations."""
    return environment.get(_ACTIONS) == "true"


def _summarise(report: CheckReport, environment: Mapping[str, str]) -> None:
    """Adds the report to the summary of a GitHub job, where there is one."""
    place = environment.get(_SUMMARY)
    if not place:
        return
    try:
        with Path(place).open("a", encoding="utf-8") as file:
            file.write(_markdown(report))
    except OSError as error:
        tell(f"the job's summary could not be written ({error.strerror})")


# Each form is imported when it is asked for: a check of stored files is to start at once.


def _markdown(report: CheckReport) -> str:
    from goodput.renderers.check_markdown import render_check_markdown

    return render_check_markdown(report)


def _junit(report: CheckReport) -> str:
    from goodput.renderers.check_junit import render_junit

    return render_junit(report)


def _sarif(report: CheckReport) -> str:
    from goodput.renderers.check_sarif import render_sarif

    return render_sarif(report, __version__)


def _annotations(report: CheckReport) -> str:
    from goodput.renderers.check_annotations import render_annotations

    return render_annotations(report)
