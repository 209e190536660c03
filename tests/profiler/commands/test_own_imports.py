"""A process of one commit imports none of the files of another."""

import importlib
import importlib.util
import os
import sys
from pathlib import Path

import pytest

from goodput.commands.own_imports import imported_from, path_for
from goodput.errors import NotMeasuredError


@pytest.fixture
def trees(tmp_path, monkeypatch) -> tuple[Path, Path]:
    """Two checkouts of a package, the second one installed by its place on the path."""
    for name in ("own", "other"):
        package = tmp_path / name / "src" / "planted_package"
        package.mkdir(parents=True)
        (package / "__init__.py").write_text(f"NAME = {name!r}")
    monkeypatch.setattr(sys, "path", [str(tmp_path / "other" / "src"), *sys.path])
    yield tmp_path / "own", tmp_path / "other"
    sys.modules.pop("planted_package", None)


def test_a_package_that_is_installed_from_a_checkout_is_that_of_the_commit(trees) -> None:
    with imported_from(*map(str, trees)):
        assert importlib.import_module("planted_package").NAME == "own"


def test_without_another_commit_nothing_changes(trees) -> None:
    del trees
    before = list(sys.path)
    with imported_from("", ""):
        assert importlib.import_module("planted_package").NAME == "other"
    assert sys.path == before


def test_what_is_imported_from_the_other_all_the_same_is_told(trees) -> None:
    own, other = trees
    place = other / "src" / "planted_package" / "__init__.py"
    spec = importlib.util.spec_from_file_location("planted_package", place)
    with (
        pytest.raises(NotMeasuredError, match="planted_package was imported from"),
        imported_from(str(own), str(other)),
    ):
        sys.modules["planted_package"] = importlib.util.module_from_spec(spec)


def test_the_environment_stays(trees, monkeypatch) -> None:
    own, other = trees
    environment = other / ".venv"
    (environment / "lib").mkdir(parents=True)
    (own / ".venv" / "lib").mkdir(parents=True)
    monkeypatch.setattr(sys, "prefix", str(environment))
    monkeypatch.setattr(sys, "path", [str(environment / "lib"), *sys.path])
    with imported_from(str(own), str(other)):
        assert sys.path[0] == str(environment / "lib")


def test_processes_that_are_started_import_the_commit_s_own(trees, monkeypatch) -> None:
    own, other = trees
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    with path_for(own, other):
        assert os.environ["PYTHONPATH"] == f"{own}/src{os.pathsep}/elsewhere"
    assert os.environ["PYTHONPATH"] == "/elsewhere"
    monkeypatch.delenv("PYTHONPATH")
    with path_for(own, other):
        assert os.environ["PYTHONPATH"] == f"{own}/src"
    with path_for(None, None):
        assert "PYTHONPATH" not in os.environ
