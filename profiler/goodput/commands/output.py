"""Where a report goes: stdout, files, or both. A file that cannot be written loses nothing."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, redirect_stdout
from datetime import UTC, datetime
from io import UnsupportedOperation
from pathlib import Path
from typing import TextIO

import click

from goodput.commands.options import STDOUT, ReportOptions
from goodput.errors import NotMeasuredError, UntrustworthyError
from goodput.renderers.json_report import render_json
from goodput.renderers.markdown import render_markdown
from goodput.renderers.text import render_text
from goodput.report.model import Report

_NARROW, _WIDE = 80, 120
_STDOUT, _STDERR = 1, 2


@contextmanager
def report_stream(*, alone: bool) -> Iterator[TextIO]:
    """Stdout for the report, whatever a script does to `sys.stdout` meanwhile.

    With `alone`, all else that is written to stdout goes to stderr until the end, by file
    descriptor, so that child processes and C libraries follow too.
    """
    if not _is_descriptor(sys.stdout, _STDOUT):
        stdout = sys.stdout
        with redirect_stdout(sys.stderr) if alone else nullcontext():
            yield stdout
        return
    encoding = sys.stdout.encoding
    sys.stdout.flush()
    kept = os.dup(_STDOUT)
    if alone:
        os.dup2(_STDERR, _STDOUT)
    try:
        with os.fdopen(os.dup(kept), "w", encoding=encoding, errors="replace") as stream:
            yield stream
    finally:
        _flush_stdout()
        os.dup2(kept, _STDOUT)
        os.close(kept)


def _is_descriptor(stream: TextIO | None, descriptor: int) -> bool:
    """Whether `stream` writes to `descriptor`; one in memory (a notebook, a test) does not."""
    try:
        return stream is not None and stream.fileno() == descriptor
    except (UnsupportedOperation, ValueError):
        return False


def _flush_stdout() -> None:
    """Lets the script's last words out first; it may have closed or replaced its stdout."""
    if sys.stdout is not None and not sys.stdout.closed:
        sys.stdout.flush()


def publish(report: Report, options: ReportOptions, stream: TextIO) -> int:
    """Writes `report` wherever `options` say and returns the exit status that it deserves."""
    forms = [(options.json, render_json(report)), (options.markdown, _markdown(report))]
    files = [(Path(place), text) for place, text in forms if place not in {None, STDOUT} and place]
    written = [write_file(path, text) for path, text in files]
    alone = [text for place, text in forms if place == STDOUT]
    _flush_stdout()
    _print(alone[0] if alone else _text(report, stream), stream)
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


def tell(sentence: str) -> None:
    """Says something about the measurement on stderr, where it disturbs no report."""
    click.echo(f"goodput: {sentence}", err=True)


def _print(text: str, stream: TextIO) -> None:
    try:
        stream.write(text)
        stream.flush()
    except BrokenPipeError:
        # The reader has seen enough (`| head`). Closing must not try to write the rest again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _markdown(report: Report) -> str:
    return render_markdown(report, now=datetime.now(UTC))


def _text(report: Report, stream: TextIO) -> str:
    columns = shutil.get_terminal_size((_WIDE, 0)).columns
    width = min(max(columns, _NARROW), _WIDE)
    return render_text(report, width=width, colour=_coloured(stream), now=datetime.now(UTC))


def _coloured(stream: TextIO) -> bool:
    """Whether to use colours: only on a terminal that has them, and never under `NO_COLOR`."""
    refused = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return stream.isatty() and not refused
