"""Where a report goes: stdout, files, or both. A file that cannot be written loses nothing."""

from __future__ import annotations

import os
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from goodput.commands.streams import flush_stdout, tell
from goodput.errors import NotMeasuredError, UntrustworthyError

if TYPE_CHECKING:
    from goodput.commands.options import ReportOptions
    from goodput.report.model import Report

_NARROW, _WIDE = 80, 120


def publish(report: Report, options: ReportOptions, stream: TextIO) -> int:
    """Writes `report` wherever `options` say and returns the exit status that it deserves."""
    # Imported here: other commands write by this module too, and start quicker without.
    from goodput.commands.options import STDOUT
    from goodput.renderers.json_report import render_json

    forms = [(options.json, render_json(report)), (options.markdown, _markdown(report))]
    files = [(Path(place), text) for place, text in forms if place not in {None, STDOUT} and place]
    written = [write_file(path, text) for path, text in files]
    alone = [text for place, text in forms if place == STDOUT]
    flush_stdout()
    written.append(print_text(alone[0] if alone else _text(report, stream), stream))
    if not all(written):
        return NotMeasuredError.exit_code
    return UntrustworthyError.exit_code if report.errors else 0


def write_file(path: Path, text: str) -> bool:
    """Writes `text` to `path`; where that cannot be, says so in one line and returns False."""
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        reason = error.strerror or str(error)
        tell(f"the report could not be written to {path} ({reason}); name another place")
        return False
    return True


def print_text(text: str, stream: TextIO) -> bool:
    """Writes `text` to stdout; where that cannot be, says so in one line and returns False."""
    try:
        stream.write(text)
        stream.flush()
    except OSError as error:
        # Closing must not try to write the rest again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        if not isinstance(error, BrokenPipeError):  # a reader that has seen enough (`| head`)
            tell(f"the report could not be written to stdout ({error.strerror}); use --json FILE")
            return False
    return True


def _markdown(report: Report) -> str:
    from goodput.renderers.markdown import render_markdown

    return render_markdown(report, now=datetime.now(UTC))


def _text(report: Report, stream: TextIO) -> str:
    from goodput.renderers.text import render_text

    return render_text(report, width=line_width(), colour=coloured(stream), now=datetime.now(UTC))


def line_width() -> int:
    """Characters of a line: the terminal's, within what the tables were made for."""
    return min(max(shutil.get_terminal_size((_WIDE, 0)).columns, _NARROW), _WIDE)


def coloured(stream: TextIO) -> bool:
    """Whether to use colours: only on a terminal that has them, and never under `NO_COLOR`."""
    refused = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return stream.isatty() and not refused
