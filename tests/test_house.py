"""The house tests itself: what it imports, what it documents, and what its files may not say."""

import doctest
import importlib
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from importlinter.cli import EXIT_STATUS_SUCCESS, lint_imports

import goodput
from goodput.cli import goodput as command_line

REPOSITORY = Path(__file__).resolve().parent.parent
SOURCE_ROOTS = {"profiler": "goodput", "kernels": "goodput_kernels"}
README = (REPOSITORY / "README.md").read_text()
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
FRAMEWORKS = {"torch", "jax", "triton"}


# --- imports --------------------------------------------------------------------------------------


def imported_after(code: str) -> set[str]:
    """The modules that a fresh interpreter holds after running `code`."""
    path = [str(REPOSITORY / root) for root in SOURCE_ROOTS]
    program = (
        f"import sys; sys.path[:0] = {path!r}\n"
        "import contextlib, io\n"
        "with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):\n"
        f"    {code}\n"
        "print(*sys.modules)"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return set(run.stdout.split())


def frameworks_after(code: str) -> set[str]:
    """The frameworks that a fresh interpreter holds after running `code`."""
    return FRAMEWORKS & imported_after(code)


@pytest.mark.parametrize(
    "code",
    [
        "import goodput",
        "import goodput; goodput.Work, goodput.load, goodput.formula",
        "import goodput; goodput.reference, goodput.variant, goodput.cases, goodput.compare",
        "import goodput_kernels",
        "from goodput.cli import main; main(['--help'])",
        "from goodput.cli import main; main(['run', '--help'])",
        "from goodput.cli import main; main(['show', '--help'])",
        "from goodput.cli import main; main(['count', '--help'])",
        "from goodput.cli import main; main(['count', 'nothing'])",
        "from goodput.cli import main; main(['show', 'no-such-file'])",
        "from goodput.cli import main; main(['reconcile', '--help'])",
        "from goodput.cli import main; main(['reconcile', 'hf:no-such-file'])",
        "import goodput; goodput.Ledger",
        "from goodput.cli import main; main(['job', '--help'])",
        "from goodput.cli import main; main(['job', 'no-such-file'])",
        "from goodput.cli import main; main(['job', 'what-if', '--help'])",
        "from goodput.cli import main; main(['compare', '--help'])",
        "from goodput.cli import main; main(['compare', 'no-such-file'])",
        "from goodput.cli import main; main(['peak', '--help'])",
        "from goodput.cli import main; main(['peak', '--list'])",
        "from goodput.cli import main; main(['peak', '--diff', 'no-such-file', 'nor-this'])",
        "from goodput.cli import main; main(['check', '--help'])",
        "from goodput.cli import main; main(['check', 'no-such-file'])",
        "from goodput.cli import main; main(['baseline', 'show'])",
        "from goodput.cli import main; main(['history', 'no-such-file'])",
        "from goodput.cli import main; main(['diff', 'no-such-file', 'nor-this'])",
        "from goodput.cli import main; main(['doctor'])",
    ],
)
def test_no_framework_is_imported(code: str) -> None:
    assert frameworks_after(code) == set()


def test_an_imported_framework_would_be_seen() -> None:
    assert "torch" in frameworks_after("import goodput.frontends.torch_steps")


@pytest.mark.parametrize(
    "command", [["--help"], *([name, "--help"] for name in ("run", "peak", "check", "compare"))]
)
def test_help_is_quick(command: list[str]) -> None:
    code = f"from goodput.cli import main; main({command!r})"
    assert not imported_after(code) & {*FRAMEWORKS, "numpy"}


def test_an_imported_numpy_would_be_seen() -> None:
    assert "numpy" in imported_after("import goodput.trace.table")


def test_layers_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(REPOSITORY)
    assert lint_imports(no_cache=True) == EXIT_STATUS_SUCCESS


@pytest.mark.parametrize(("root", "package"), SOURCE_ROOTS.items())
def test_a_source_root_holds_one_package(root: str, package: str) -> None:
    found = [path.name for path in (REPOSITORY / root).iterdir() if path.name != "__pycache__"]
    assert found == [package]
    assert f"{root}/{package}" in PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]


def test_no_submodule_hides_a_public_name() -> None:
    package = REPOSITORY / "profiler" / "goodput"
    modules = {path.stem for path in package.iterdir() if path.suffix == ".py" or path.is_dir()}
    assert not modules & set(goodput.__all__)


@pytest.mark.parametrize("name", goodput.__all__)
def test_a_public_name_is_documented(name: str) -> None:
    assert getattr(goodput, name).__doc__


# --- the command line and the README --------------------------------------------------------------


def commands() -> dict[str, click.Command]:
    context = click.Context(command_line)
    found = {
        name: command_line.get_command(context, name)
        for name in command_line.list_commands(context)
    }
    return {name: command for name, command in found.items() if command is not None}


def options() -> list[tuple[str, click.Option]]:
    return [
        (name, parameter)
        for name, command in commands().items()
        for parameter in command.params
        if isinstance(parameter, click.Option)
    ]


def section(title: str) -> str:
    """The text of the README below the heading `title`."""
    _, _, rest = README.partition(f"\n## {title}\n")
    return rest.partition("\n## ")[0]


def test_there_are_commands_with_options() -> None:
    assert {"peak", "run", "show"} <= set(commands())
    assert options()


@pytest.mark.parametrize("name", commands())
def test_a_command_has_help_and_a_place_in_the_readme(name: str) -> None:
    assert commands()[name].help
    assert section(f"`goodput {name}`")


@pytest.mark.parametrize(
    ("name", "option"), [pytest.param(n, o, id=f"{n} {o.opts[0]}") for n, o in options()]
)
def test_an_option_has_help_and_a_place_in_the_readme(name: str, option: click.Option) -> None:
    assert option.help
    for spelling in (*option.opts, *option.secondary_opts):
        assert re.search(rf"`{spelling}\b", section(f"`goodput {name}`"))


def test_the_readme_names_no_option_that_is_not_there() -> None:
    for name, command in commands().items():
        known = {
            spelling for item in command.params for spelling in (*item.opts, *item.secondary_opts)
        }
        told = set(re.findall(r"^\| `(-[-\w]+)", section(f"`goodput {name}`"), re.MULTILINE))
        assert told <= known


def test_the_two_commands_of_the_readme_can_run_here() -> None:
    # .ci/run executes the second as it stands; that takes minutes, so here only its parts.
    lines = re.findall(r"python3 -m venv .*", README)
    extras = set(PROJECT["project"]["optional-dependencies"])
    assert len(lines) >= 2
    for line in lines:
        named = re.search(r"'\.\[([\w,]+)\]'", line)
        assert named is not None
        assert set(named[1].split(",")) <= extras
        for path in re.findall(r"[\w/]+\.(?:txt|py)\b", line):
            assert (REPOSITORY / path).is_file()


SHOWN = re.findall(r"^    goodput (\w+)((?: [\w./-]+)*)$", README, re.MULTILINE)


def test_the_readme_shows_commands() -> None:
    assert {"peak", "run"} <= {name for name, _ in SHOWN}


@pytest.mark.parametrize(("name", "rest"), SHOWN, ids="".join)
def test_a_command_of_the_readme_can_be_typed(
    name: str, rest: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for file in re.findall(r"[\w.]+\.(?:py|json)", rest):
        (tmp_path / file).touch()
    assert commands()[name].make_context(name, rest.split()).params


# --- docstring examples ---------------------------------------------------------------------------


def modules_with_examples() -> Iterator[str]:
    for root in SOURCE_ROOTS:
        for path in sorted((REPOSITORY / root).rglob("*.py")):
            if ">>> " in path.read_text():
                parts = path.relative_to(REPOSITORY / root).with_suffix("").parts
                yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def test_docstring_examples_run() -> None:
    for name in modules_with_examples():
        assert doctest.testmod(importlib.import_module(name)).failed == 0, name


# --- what the files may not say -------------------------------------------------------------------

# Put together here, so that this file does not say them itself.
FORBIDDEN = re.compile(
    "|".join(
        [
            rf"(?<![\w.$}}])/{'(?:work|root|home|Users)'}/",  # somebody's machine
            "|".join(rf"{host}\.{'(?:org|io|com)'}\b" for host in ("pypi", "pythonhosted")),
            rf"download\.pytorch\.{'org'}",
        ]
    )
)
TEXT = {".py", ".toml", ".md", ".txt", ".json", ".yml", ".yaml", ".cfg", ""}
NOT_OURS = {".git", ".venv", "dist", "build", "__pycache__"}


def our_files() -> Iterator[Path]:
    for path in REPOSITORY.rglob("*"):
        inside = path.relative_to(REPOSITORY).parts
        ours = not any(part in NOT_OURS or part.endswith("_cache") for part in inside)
        if ours and path.is_file() and path.suffix in TEXT and ".hypothesis" not in inside:
            yield path


def test_no_file_names_a_machine_or_a_package_registry() -> None:
    found = [
        f"{path.relative_to(REPOSITORY)}:{number}: {line.strip()}"
        for path in our_files()
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if FORBIDDEN.search(line)
    ]
    assert found == []


@pytest.mark.parametrize(
    "text",
    [
        "/ho" + "me/me/x.py",
        "'/wo" + "rk/x'",
        "https://py" + "pi.org/simple",
        "files.pythonho" + "sted.org",
    ],
)
def test_such_a_name_would_be_found(text: str) -> None:
    assert FORBIDDEN.search(text)
