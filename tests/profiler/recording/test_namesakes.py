"""Modules of a script's that bear the names of libraries: hidden ones are told, hiding ones go."""

from __future__ import annotations

import importlib
import sys

import pytest

from goodput.recording import namesakes


@pytest.mark.parametrize("place", ["click.py", "msgspec/__init__.py", "goodput.py"])
def test_a_module_that_ours_hides_is_told(tmp_path, place):
    assert namesakes.clash(tmp_path) == ""
    (tmp_path / place).parent.mkdir(exist_ok=True)
    (tmp_path / place).touch()
    assert place in namesakes.clash(tmp_path)
    assert "rename it" in namesakes.clash(tmp_path)


def test_a_module_that_hides_ours_is_set_aside(tmp_path, monkeypatch):
    import tqdm

    (tmp_path / "tqdm").mkdir()
    (tmp_path / "tqdm" / "__init__.py").write_text("NAME = 'mine'")
    (tmp_path / "tqdm" / "part.py").touch()
    for name in [m for m in sys.modules if m.partition(".")[0] == "tqdm"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(tmp_path)
    importlib.import_module("tqdm.part")
    assert sys.modules["tqdm"].NAME == "mine"
    path = sys.path[:]
    for _ in range(2):
        with namesakes.libraries_first():
            assert "tqdm.part" not in sys.modules
            assert importlib.import_module("tqdm").__file__ == tqdm.__file__
        assert sys.path == path
