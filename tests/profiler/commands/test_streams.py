"""Whose stdout it is, as processes see it."""

import subprocess
import sys

import pytest

SCRIPT = """
import os, subprocess, sys
from goodput.commands.streams import report_stream
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
