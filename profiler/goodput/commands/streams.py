"""Whose stdout it is: the script's and the report's, and stderr for what is said about them.

Renders nothing and needs no numpy, so that it can stand around a script that is still to run.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, redirect_stdout, suppress
from io import UnsupportedOperation
from pathlib import Path
from typing import TextIO

import click

_STDOUT, _STDERR = 1, 2


@contextmanager
def report_stream(*, alone: bool) -> Iterator[TextIO]:
    """Stdout for the report, whatever a script does to `sys.stdout` meanwhile.

    With `alone`, all else that is written to stdout goes to stderr until the end, by file
    descriptor, so that child processes and C libraries follow too.
    """
    if sys.stdout is None:  # closed by the shell (`>&-`), where print() says nothing either
        with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
            yield nowhere
        return
    if not _is_descriptor(sys.stdout, _STDOUT):
        stdout = sys.stdout
        with redirect_stdout(sys.stderr) if alone else nullcontext():
            yield stdout
        return
    encoding = sys.stdout.encoding
    flush_stdout()
    kept = os.dup(_STDOUT)
    if alone:
        os.dup2(_STDERR, _STDOUT)
    try:
        with os.fdopen(os.dup(kept), "w", encoding=encoding, errors="replace") as stream:
            yield stream
    finally:
        flush_stdout()
        os.dup2(kept, _STDOUT)
        os.close(kept)


def _is_descriptor(stream: TextIO | None, descriptor: int) -> bool:
    """Whether `stream` writes to `descriptor`; one in memory (a notebook, a test) does not."""
    try:
        return stream is not None and stream.fileno() == descriptor
    except (UnsupportedOperation, ValueError):
        return False


def flush_stdout() -> None:
    """Lets the script's last words out first; it may have closed or replaced its stdout.

    Where they cannot be written, the interpreter says so at its end, as for a plain script.
    """
    if sys.stdout is not None and not sys.stdout.closed:
        with suppress(OSError):
            sys.stdout.flush()


def tell(sentence: str) -> None:
    """Says something about the measurement on stderr, where it disturbs no report."""
    click.echo(f"goodput: {sentence}", err=True)
