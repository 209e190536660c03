"""Where the reports of a check go. A file that cannot be written loses no verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from goodput.commands.output import coloured, line_width, print_text, write_file
from goodput.errors import NotMeasuredError
from goodput.gates import run_file
from goodput.gates.observed_run import CaseRun
from goodput.renderers.check_text import render_check_text
from goodput.report.verdicts import CheckReport

STDOUT = "-"


@dataclass(frozen=True, slots=True)
class Places:
    """Where each form goes; `-` is stdout, None is not asked for."""

    json: str | None = None

    @property
    def alone_on_stdout(self) -> bool:
        """Whether a machine reads stdout."""
        return self.json == STDOUT


def publish(report: CheckReport, runs: Sequence[CaseRun], places: Places, stream: TextIO) -> int:
    """Writes the report wherever it was asked for; the exit status that it deserves."""
    forms = {places.json: lambda: run_file.encode(report, runs)}
    written = [
        write_file(Path(place), form())
        for place, form in forms.items()
        if place not in {None, STDOUT} and place
    ]
    alone = forms.get(STDOUT)
    text = (
        alone() if alone else render_check_text(report, width=line_width(), colour=coloured(stream))
    )
    written.append(print_text(text, stream))
    if not all(written) and report.status != 2:
        return NotMeasuredError.exit_code
    return report.status
