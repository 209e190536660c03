"""The blocking stopwatch, on calls that move a clock of their own; and the quiet state."""

import os
import subprocess
import sys

import pytest

jax = pytest.importorskip("jax", reason="the stopwatch is jax's")

from goodput.frontends import jax_bench  # noqa: E402 - after the skip
from goodput.frontends.jax_bench import BlockingStopwatch, pool_threads, quiet_jax  # noqa: E402
from goodput_kernels import jax_matmul  # noqa: E402


class Clock:
    """Time that passes only where a test says so."""

    def __init__(self):
        self.seconds = 0.0

    def now(self):
        return self.seconds


class Array:
    """A result; waiting for it takes time, once."""

    def __init__(self, clock, seconds):
        self.clock, self.left, self.used_up = clock, seconds, False

    def block_until_ready(self):
        assert not self.used_up
        self.clock.seconds += self.left
        self.left = 0.0
        return self


@pytest.fixture
def clock(monkeypatch):
    def wait(arrays):
        for array in arrays:
            array.block_until_ready()

    monkeypatch.setattr(jax, "block_until_ready", wait)
    return Clock()


def taking(clock, seconds):
    """A call that returns at once and uses up what it returned before, as donation does."""
    state = []

    def call():
        if state:
            state[-1].used_up = True
        state.append(Array(clock, seconds + sum(array.left for array in state)))
        return state[-1]

    return call


def test_a_train_is_waited_for_and_an_empty_program_taken_off(clock):
    stopwatch = BlockingStopwatch(clock, lambda: Array(clock, 0.25))
    assert stopwatch.empty_seconds == 0.25
    assert stopwatch.seconds([taking(clock, 2.0)]) == 1.75


def test_only_the_last_result_of_each_call_is_waited_for(clock):
    stopwatch = BlockingStopwatch(clock, lambda: Array(clock, 0.0))
    first, second = taking(clock, 1.0), taking(clock, 2.0)
    assert stopwatch.seconds([first, second]) == 3.0
    stopwatch.seconds([first, second] * 3)  # would fail on a result that was used up


def test_a_train_is_never_nothing(clock):
    stopwatch = BlockingStopwatch(clock, lambda: Array(clock, 0.25))
    assert stopwatch.seconds([taking(clock, 0.25)]) == 0.125


def test_it_times_jax_itself():
    class Counter(Clock):
        def now(self):
            self.seconds += 1.0
            return self.seconds

    (candidate,) = jax_matmul.cpu_candidates("float32", 1, 16, 16, 16)
    stopwatch = BlockingStopwatch(Counter())
    assert stopwatch.empty_seconds == 1.0
    assert stopwatch.seconds([candidate.prepare()] * 3) == 0.5


def test_the_program_s_settings_are_off_inside_and_back_after():
    with jax.debug_nans(True), jax.disable_jit(True):  # noqa: FBT003 - their only argument
        with quiet_jax(1):
            assert not jax.config.jax_debug_nans
            assert not jax.config.jax_disable_jit
        assert jax.config.jax_debug_nans
        assert jax.config.jax_disable_jit


@pytest.mark.parametrize("before", [None, "7"])
def test_the_environment_is_left_as_it_was(before, monkeypatch):
    monkeypatch.delenv("NPROC", raising=False)
    if before is not None:
        monkeypatch.setenv("NPROC", before)
    with quiet_jax(1):
        assert os.environ.get("NPROC") == before


def test_threads_are_counted_by_name(tmp_path):
    for number, name in enumerate(["python", "tf_XLAEigen", "tf_XLAEigen", "tf_foreach"]):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "comm").write_text(f"{name}\n")
    assert pool_threads(tmp_path) == 2
    assert pool_threads(tmp_path / "nowhere") == 0


@pytest.mark.skipif(not jax_bench._TASKS.exists(), reason="Linux tells the names of threads")
@pytest.mark.parametrize("cores", [1, 2, 3])
def test_xla_has_the_threads_it_is_told(cores):
    code = f"""
from goodput.frontends.jax_bench import quiet_jax, pool_threads
from goodput_kernels.jax_matmul import cpu_candidates
with quiet_jax({cores}) as told:
    cpu_candidates("float32", 1, 512, 512, 512)[0].prepare()()
    print(told, pool_threads())
with quiet_jax({cores + 1}) as told:
    print(told)
"""
    paths = [path for path in sys.path if path.endswith(("profiler", "kernels"))]
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": os.pathsep.join(paths)},
    )
    assert done.stdout.split() == [str(cores)] * 3
