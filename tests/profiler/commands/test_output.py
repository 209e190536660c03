"""Where the words go, as processes see it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import os, subprocess, sys
from goodput.commands.output import report_stream
alone = sys.argv[1] == "alone"
print("before", flush=True)
with report_stream(alone=alone) as stream:
    print("script, buffered", end="")
    os.write(1, b"descriptor\\n")
    subprocess.run([sys.executable, "-c", "print('child')"], check=True)
    if sys.argv[2:] == ["close"]:
        sys.stdout.close()
    if sys.argv[2:] == ["replace"]:
        sys.stdout = None
    stream.write("report\\n")
    stream.flush()
if not sys.argv[2:]:
    print("after")
"""


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", SCRIPT, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_alone_the_report_has_stdout_and_the_script_stderr() -> None:
    done = run("alone")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "before\nreport\nafter\n"
    for word in ("script, buffered", "descriptor", "child"):
        assert word in done.stderr


def test_otherwise_they_share_it() -> None:
    done = run("together")
    assert done.returncode == 0, done.stderr
    assert "report" in done.stdout
    for word in ("script, buffered", "descriptor", "child", "after"):
        assert word in done.stdout
    assert done.stderr == ""


@pytest.mark.parametrize("how", ["close", "replace"])
@pytest.mark.parametrize("alone", ["alone", "together"])
def test_a_script_that_loses_its_stdout_loses_no_report(alone: str, how: str) -> None:
    assert "report\n" in run(alone, how).stdout


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
