"""What every test may lean on: the shared traces, a cache of its own, the rules for GPU tests."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import pytest
from hypothesis import settings

from goodput.formulas.conventions import EXACT, useful_flops
from goodput.trace.recording import WorkEntry

REPOSITORY = Path(__file__).resolve().parent.parent

# No property of this house is about time, and a busy machine would fail any of them by its clock.
settings.register_profile("without_clock", deadline=None)
settings.load_profile("without_clock")


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


class Counted:
    """What the work pass counted, summed as a test asks for it."""

    def __init__(self, entries: tuple[WorkEntry, ...]) -> None:
        self.entries = entries

    def useful(self, phase: str = "", module: str | None = None, convention: str = EXACT) -> int:
        # What recomputation repeats is not useful.
        return sum(
            useful_flops(entry.work, convention)
            for entry in self.entries
            if entry.work is not None
            and entry.phase != "recompute"
            and entry.phase.startswith(phase)
            and (module is None or entry.module == module)
        )

    @property
    def recomputed(self) -> int:
        # Contractions that backward ran again, inside its kernels or as forward operators.
        return sum(
            entry.work.recompute_flops + (entry.work.flops if entry.phase == "recompute" else 0)
            for entry in self.entries
            if entry.work is not None
        )

    @property
    def unknown(self) -> set[str]:
        return {entry.operator for entry in self.entries if entry.work is None}


CountWork: TypeAlias = Callable[[Callable[[], object]], Counted]


@pytest.fixture(scope="session")
def count_work() -> CountWork:
    # Runs a program once under the work pass, as a recorded program runs in its counted step.
    from torch._subclasses.fake_tensor import FakeTensor

    from goodput.frontends.torch_counter import WorkCounter
    from goodput.frontends.torch_modules import ModuleWatch
    from goodput.frontends.torch_places import Surroundings

    class FakesToo(WorkCounter):
        # Large models are counted on fake tensors here, which stand for plain ones.
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            plain = tuple(kind for kind in types if not issubclass(kind, FakeTensor))
            return super().__torch_dispatch__(func, plain, args, kwargs)

    def count(program: Callable[[], object]) -> Counted:
        watch = ModuleWatch()
        counter = FakesToo(Surroundings(lambda: watch.current, lambda: None))
        watch.start()
        try:
            with counter:
                program()
        finally:
            watch.stop()
        counted = counter.result()
        assert not counted.failure
        return Counted(counted.entries)

    return count
