"""The command line as a process: what it costs, what it imports, and how it ends."""

import resource
import statistics
import subprocess
import sys

import click
import pytest

import goodput
from goodput import cli
from goodput.errors import (
    GoodputError,
    NotComparableError,
    NotMeasuredError,
    UntrustworthyError,
    UsageError,
)

FRAMEWORKS = ("torch", "jax", "triton", "numpy")


def python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120
    )


def imported_by(code: str) -> set[str]:
    done = python(f"{code}\nimport sys; print(*sys.modules, sep='\\n', file=sys.stderr)")
    return set(done.stderr.splitlines())


HELP = "from goodput.cli import status_of\nassert status_of(['--help']) == 0"


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_help_imports_no_framework(framework: str) -> None:
    modules = imported_by(HELP)
    assert "goodput.cli" in modules
    assert framework not in modules


def test_that_test_can_fail() -> None:
    assert "numpy" in imported_by(f"import numpy\n{HELP}")


def test_importing_goodput_imports_nothing_of_it() -> None:
    modules = imported_by("import goodput")
    assert {name for name in modules if name.startswith("goodput.")} == set()


def test_help_is_quick() -> None:
    def seconds(*arguments: str) -> float:
        """Of processor, not of wall: tests run beside each other."""
        start = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, *arguments], check=True, capture_output=True, timeout=60)
        end = resource.getrusage(resource.RUSAGE_CHILDREN)
        return end.ru_utime + end.ru_stime - start.ru_utime - start.ru_stime

    bare = [seconds("-c", "pass") for _ in range(7)]
    helped = [seconds("-m", "goodput", "--help") for _ in range(7)]
    # The machine that runs this is shared: the bound is loose, benchmarks hold the tight one.
    assert min(helped) - min(bare) < 0.25, (statistics.median(helped), statistics.median(bare))


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_the_help_in_one_line_is_the_commands_own(name: str) -> None:
    command = cli.goodput.get_command(click.Context(cli.goodput), name)
    assert command is not None
    assert command.name == name
    assert command.short_help == cli.COMMANDS[name][1]
    assert all(
        parameter.help for parameter in command.params if isinstance(parameter, click.Option)
    )


def test_every_command_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.status_of(["--help"]) == 0
    text = capsys.readouterr().out
    assert all(name in text and help_line in text for name, (_, help_line) in cli.COMMANDS.items())


@pytest.mark.parametrize(
    "arguments",
    [
        ["rnu"],
        ["--colour"],
        ["show"],
        ["show", "no-such-file.goodput"],
        ["show", "--by", "colour", "x"],
        ["run"],
        ["run", "--steps", "-3", "x.py"],
        ["run", "--steps", "0", "x.py"],
        ["run", "--warmup", "-1", "x.py"],
        ["run", "--steps", "many", "x.py"],
        ["run", "--capacity", "no-such-file", "x.py"],
        ["run", "--json", "-", "--markdown", "-", "x.py"],
        ["run", "--unknown", "x.py"],
    ],
)
def test_usage_errors_end_with_2_and_say_why(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.status_of(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.strip()
    assert "Traceback" not in captured.err


@pytest.mark.parametrize(
    ("error", "status"),
    [(UsageError, 2), (NotMeasuredError, 3), (NotComparableError, 4), (UntrustworthyError, 5)],
)
def test_an_error_is_one_sentence_and_its_status(
    error: type[GoodputError],
    status: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error("it went wrong; type something else")

    monkeypatch.setattr(cli.goodput, "main", fail)
    assert cli.status_of([]) == status
    assert capsys.readouterr().err == "goodput: it went wrong; type something else\n"


def test_an_error_of_ours_that_is_none_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(cli.goodput, "main", fail)
    with pytest.raises(ZeroDivisionError):
        cli.status_of([])


def test_the_version() -> None:
    done = python("from goodput.cli import main; main(['--version'])")
    assert done.stdout == f"goodput, version {goodput.__version__}\n"


def test_completion_offers_the_commands() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "goodput"],
        env={
            "PYTHONPATH": ":".join(sys.path),
            "_GOODPUT_COMPLETE": "bash_complete",
            "COMP_WORDS": "goodput s",
            "COMP_CWORD": "1",
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.stdout.split() == ["plain,show"]


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (
            ["run", "--steps", "-3", "x.py"],
            (
                "goodput: Invalid value for '--steps': -3 is not in the range x>=1; "
                "see goodput run --help"
            ),
        ),
        (["show"], "goodput: Missing argument 'FILE'; see goodput show --help"),
        (["frob"], "goodput: No such command 'frob'; see goodput --help"),
    ],
)
def test_wrong_usage_is_told_in_one_line(arguments, line, capsys):
    assert cli.status_of(arguments) == 2
    assert capsys.readouterr().err.splitlines() == [line]
