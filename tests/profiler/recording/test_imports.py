"""A module's import is noticed once, after it is done, and is otherwise as ever."""

from __future__ import annotations

import importlib
import sys

import pytest

from goodput.recording.imports import WhenImported


@pytest.fixture
def module(tmp_path, monkeypatch):
    (tmp_path / "watched_module.py").write_text("NAME = __name__\nSPEC = __spec__\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield "watched_module"
    sys.modules.pop("watched_module", None)


def test_it_calls_after_the_import_once(module):
    seen = []
    watch = WhenImported(module, lambda: seen.append(sys.modules[module].NAME))
    watch.install()
    importlib.import_module("colorsys")
    assert seen == []
    imported = importlib.import_module(module)
    assert seen == [module]
    assert watch not in sys.meta_path
    assert "exec_module" not in vars(imported.__loader__)
    importlib.reload(imported)
    assert seen == [module]


def test_it_calls_at_once_for_what_is_imported(module):
    importlib.import_module(module)
    seen = []
    WhenImported(module, lambda: seen.append(1)).install()
    assert seen == [1]


def test_a_module_that_is_missing_stays_missing():
    watch = WhenImported("no_such_module_here", lambda: None)
    watch.install()
    try:
        with pytest.raises(ModuleNotFoundError):
            importlib.import_module("no_such_module_here")
    finally:
        watch.remove()
    assert watch not in sys.meta_path
