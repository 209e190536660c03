"""What every test may lean on: the shared traces, a cache of its own, the rules for GPU tests."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    marked = [item for item in items if item.get_closest_marker("gpu")]
    if not marked:
        return
    import torch

    if not torch.cuda.is_available():
        for item in marked:
            item.add_marker(pytest.mark.skip(reason="needs a CUDA device, and torch sees none"))


@pytest.fixture(scope="session")
def repository() -> Path:
    return REPOSITORY


@pytest.fixture(scope="session")
def shared_traces() -> Path:
    traces = REPOSITORY.parent / "shared" / "traces"
    if not traces.is_dir():
        pytest.skip("the shared traces are not beside the checkout (../shared/traces)")
    return traces


@pytest.fixture(scope="session", autouse=True)
def session_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    # One cache for all tests: a capacity is measured once, and never into the user's own cache.
    cache = tmp_path_factory.mktemp("goodput-cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GOODPUT_CACHE", os.fspath(cache))
        yield cache


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    cache = tmp_path / "goodput-cache"
    monkeypatch.setenv("GOODPUT_CACHE", os.fspath(cache))
    return cache
