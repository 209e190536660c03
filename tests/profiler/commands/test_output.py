"""Where a report goes, as processes see it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


def test_a_reader_that_stops_reading_is_no_error(recording_file: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "goodput", "show", str(recording_file)],
            stdout=writer,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=60,
        )
    finally:
        os.close(writer)
    assert done.stderr == ""
    assert done.returncode == 0


def on_a_terminal(path: Path, **environment: str) -> str:
    """What `goodput show` writes to a terminal."""
    pty = pytest.importorskip("pty", reason="needs pseudo-terminals")
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "goodput", "show", str(path)],
        stdout=slave,
        stderr=slave,
        env={"PYTHONPATH": os.pathsep.join(sys.path), "TERM": "xterm", **environment},
    )
    os.close(slave)
    chunks = []
    # Read while it writes: a terminal holds only a few kilobytes.
    while chunk := read(master):
        chunks.append(chunk)
    os.close(master)
    text = b"".join(chunks).decode()
    assert process.wait(timeout=60) == 0, text
    return text


def read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65_536)
    except OSError:  # Linux says "input/output error" where the other side is closed.
        return b""


def test_colours_on_a_terminal_unless_refused(recording_file: Path) -> None:
    assert "\x1b[1m" in on_a_terminal(recording_file)
    assert "\x1b[" not in on_a_terminal(recording_file, NO_COLOR="1")
    assert "\x1b[" not in on_a_terminal(recording_file, TERM="dumb")
