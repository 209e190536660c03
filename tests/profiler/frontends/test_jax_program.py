"""Steps, passes and counts of JAX programs, run in this process."""

import functools
import sys
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from goodput.frontends.jax_kinds import Kinds, kind_of
from goodput.frontends.jax_passes import WindowTimer
from goodput.frontends.jax_private import ProfileWatch, profile_is_running
from goodput.frontends.jax_program import JaxProgram
from goodput.frontends.jax_watch import WATCHED, JitWatch
from goodput.frontends.step_instruments import PassOptions, ProgramEnd
from goodput.frontends.step_kinds import describe
from goodput.frontends.step_passes import State
from goodput.measure.clock import HostClock
from goodput.readers import xplane
from goodput.recording.assemble import recording_of

N = 32
PRODUCT = 2 * N**3


@pytest.fixture
def program(tmp_path):
    made = JaxProgram(PassOptions(steps=4, warmup=2), HostClock(), tmp_path)
    made.attach()
    yield made
    made.finish()


def run(step, times=40):
    x = jnp.ones((N, N))
    for _ in range(times):
        x = step(x)
    return x


def test_a_program_goes_through_all_passes(program):
    step = jax.jit(lambda x: (x @ x) / N)
    run(step)
    measured = program.finish()
    results = measured.results
    assert len(results.wall_seconds) >= 4
    assert results.basis == "window"
    assert sum(e.work.flops for e in results.work.entries) == PRODUCT
    trace = xplane.read(measured.trace_path)
    assert len(trace.steps) >= 3
    assert trace.invocations.flops.sum() == len(trace.steps) * PRODUCT
    assert set(results.profiled) <= {step.number for step in trace.steps}
    assert measured.framework == "jax"


def test_the_step_is_the_call_of_the_function_with_most_work(program):
    small, large = jax.jit(lambda x: x + 1), jax.jit(lambda x: (x @ x) / N)
    run(lambda x: large(small(x)))
    assert program._main.function is large._goodput_function
    # The counted step holds both.
    assert len(program.finish().results.work.entries) == 3


def test_a_program_that_was_compiled_ahead_of_time_is_seen(program):
    compiled = jax.jit(lambda x: (x @ x) / N).lower(jnp.ones((N, N))).compile()
    run(compiled, times=12)
    assert program._passes.seen == 11  # from the second call on, each is one step
    run(compiled)
    measured = program.finish()
    assert measured.results.wall_seconds
    assert sum(e.work.flops for e in measured.results.work.entries) == PRODUCT
    trace = xplane.read(measured.trace_path)
    assert trace.invocations.flops.sum() == len(trace.steps) * PRODUCT


def test_a_program_that_was_compiled_before_goodput_began_is_timed_and_not_counted(tmp_path):
    compiled = jax.jit(lambda x: (x @ x) / N).lower(jnp.ones((N, N))).compile()
    program = JaxProgram(PassOptions(steps=4, warmup=2), HostClock(), tmp_path)
    program.attach()
    run(compiled)
    results = program.finish().results
    assert results.wall_seconds
    assert "compiled ahead of time" in " ".join(results.warnings)


class NnxModule:
    """What flax's nnx derives its modules from, as far as names go."""


class Layer(NnxModule):
    def __init__(self, weight):
        self.weight = weight

    def __call__(self, x):
        return x @ self.weight / N


class Net(NnxModule):
    def __init__(self, weight):
        self.up = Layer(weight)

    def __call__(self, x):
        return self.up(x)


@pytest.mark.parametrize("ahead", [False, True])
def test_modules_of_nnx_are_named_in_the_count_and_in_the_profile(monkeypatch, program, ahead):
    monkeypatch.setitem(sys.modules, "flax.nnx", SimpleNamespace(Module=NnxModule))
    net = Net(jnp.ones((N, N)))
    step = jax.jit(net)
    run(step.lower(jnp.ones((N, N))).compile() if ahead else step)
    measured = program.finish()
    assert {e.module for e in measured.results.work.entries if e.work.flops} == {"Net.up"}
    trace = xplane.read(measured.trace_path)
    products = trace.invocations.module[trace.invocations.flops > 0].tolist()
    assert {trace.strings[place] for place in products} == {"Net.up"}


def test_explicit_steps(program):
    step = jax.jit(lambda x: (x @ x) / N)
    x = jnp.ones((N, N))
    for _ in range(30):
        x = step(step(x))
        program.step()
    results = program.finish().results
    assert sum(e.work.flops for e in results.work.entries) == 2 * PRODUCT


def test_explicit_steps_of_functions_that_were_jitted_before_are_waited_for(tmp_path):
    step = jax.jit(lambda x: jax.lax.fori_loop(0, 40, lambda _, y: y @ y / (8 * N), x))
    x = step(jnp.ones((8 * N, 8 * N)))
    program = JaxProgram(PassOptions(steps=4, warmup=2), HostClock(), tmp_path)
    program.expect_explicit_steps()
    program.attach()
    for _ in range(30):
        x = step(x)
        program.step()
        if program._passes.state is State.WALL and not program._timer.open_steps:
            assert x.is_ready()  # a window has just ended
    measured = program.finish()
    trace = xplane.read(measured.trace_path)
    for number in measured.results.profiled:
        flops = trace.invocations.flops[trace.invocations.step == number]
        assert flops.sum() == 40 * 8**3 * PRODUCT


def test_steps_of_other_shapes_are_left_out(program):
    step = jax.jit(lambda x: (x @ x).sum())
    for n in range(60):
        step(jnp.ones((N, N)) if n % 5 else jnp.ones((2 * N, 2 * N)))
    measured = program.finish()
    assert measured.results.steps_left_out
    assert f"[{N},{N}]" in " ".join(measured.results.warnings)


def test_a_step_is_of_the_kind_of_the_call_that_begins_it(program):
    step = jax.jit(lambda x: x @ x / N)
    small, large = jnp.ones((N, N)), jnp.ones((2 * N, 2 * N))
    for n in range(90):
        step(small if n % 3 else large)
    measured = program.finish()
    assert sum(e.work.flops for e in measured.results.work.entries) == PRODUCT
    trace = xplane.read(measured.trace_path)
    table = trace.invocations
    numbers = [step.number for step in trace.steps]
    for at, number in enumerate(numbers):
        usual = number in measured.results.profiled
        assert table.flops[table.step == at].sum() == (PRODUCT if usual else 8 * PRODUCT)
    assert 0 < len(measured.results.profiled) < len(numbers)


def test_a_compilation_in_undisturbed_steps_spoils_its_window(program):
    step = jax.jit(lambda x: x @ x / N)
    small, large = jnp.ones((N, N)), jnp.ones((2 * N, 2 * N))
    while program._passes.state is not State.WALL:
        step(small)
    before = len(program._passes._wall)
    step(large)
    step(small)
    step(small)
    disturbed = [spoiled for _, spoiled in program._passes._wall[before:]]
    # The large step, and the small one before it that shares its window, if it does.
    assert disturbed[-2:] == [True, False]


def test_a_function_that_compiles_at_every_step_is_told_with_its_shapes(program):
    step = jax.jit(lambda x: x @ x.T)
    for n in range(12):
        step(jnp.ones((4 + n, 4)))
    (warning,) = (w for w in program.finish().warnings if "compiled anew" in w)
    assert "float32[" in warning


def test_a_count_of_one_kind_of_steps_is_not_held_against_what_another_ran(program):
    step = jax.jit(lambda x: x @ x.T)
    for n in range(40):
        step(jnp.ones((4 + n, 4)))
    recording, _ = recording_of(program.finish(), "train.py", "2026-01-01")
    assert recording is not None
    assert recording.mixed
    assert recording.trace.steps
    assert not [text for text in recording.warnings if "XLA runs" in text]


def test_calls_that_compile_in_undisturbed_steps_are_told_once_each(program):
    step = jax.jit(lambda x: x @ x.T)
    for n in range(12):
        step(jnp.ones((4 + n, 4)))
    measured = program.finish()
    assert "11 kinds of inputs in 11 calls" in " ".join(measured.warnings)
    assert "own profiler" not in " ".join(measured.results.warnings)


def test_a_static_argument_that_changes_is_told(program):
    step = jax.jit(lambda x, n: x @ x.T + n, static_argnums=1)
    for n in range(12):
        step(jnp.ones((N, N)), n)
    assert "compiled 12 times" in " ".join(program.finish().warnings)


def test_a_second_kind_of_inputs_is_not_told_as_a_compilation_at_every_step(program):
    step = jax.jit(lambda x: x @ x.T)
    for n in range(40):
        step(jnp.ones((N, N + n % 2)))
    assert "compiled" not in " ".join(program.finish().warnings)


def test_the_program_can_end_after_the_passes(tmp_path):
    made = JaxProgram(PassOptions(4, 2), HostClock(), tmp_path, stop_after=True)
    made.attach()
    with pytest.raises(ProgramEnd):
        run(jax.jit(lambda x: x @ x / N), times=200)
    made.finish()
    assert not hasattr(jax.jit(lambda x: x), WATCHED)


def test_an_error_of_the_program_is_its_own(program):
    def fails(_):
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        jax.jit(fails)(1.0)
    assert program.finish().results.steps_seen == 0


def test_the_program_s_own_profile_is_whole(program, tmp_path):
    step = jax.jit(lambda x: (x @ x) / N)
    x = run(step, 12)
    with jax.profiler.trace(str(tmp_path / "own")):
        x = run(step, 6)
        assert profile_is_running()
        x.block_until_ready()
    (own,) = (tmp_path / "own").rglob("*.xplane.pb")
    assert xplane.read(own).invocations.flops.sum() == 6 * PRODUCT
    program.finish()


def test_a_watch_on_profiles_comes_off():
    before = jax.profiler.start_trace
    watch = ProfileWatch(lambda: None)
    watch.install()
    assert jax.profiler.start_trace is not before
    watch.remove()
    assert jax.profiler.start_trace is before


# The watch over jitted functions.


@pytest.fixture
def seen():
    calls = []

    def see(function, args, kwargs):
        calls.append(function)
        return function(*args, **kwargs)

    watch = JitWatch(see)
    watch.install()
    yield calls
    watch.remove()


def test_a_watched_function_is_a_jitted_one_in_all_else(seen):
    @functools.partial(jax.jit, static_argnames="n")
    def power(x, n):
        """Doc."""
        return x**n

    assert power(jnp.ones(2), n=3).tolist() == [1, 1]
    assert (power.__name__, power.__doc__) == ("power", "Doc.")
    assert "multiply" in power.lower(jnp.ones(2), n=3).as_text()
    assert jax.grad(lambda x: power(x, n=2))(3.0) == 6
    assert jax.vmap(lambda x: power(x, n=2))(jnp.ones(3)).shape == (3,)
    assert len(seen) == 1  # those inside of a trace are not seen
    nested = jax.jit(lambda x: power(x, n=2))
    assert nested(2.0) == 4
    assert len(seen) == 2


def test_methods_and_decorators_with_arguments(seen):
    class Model:
        @jax.jit
        def twice(self):
            return 2

        @staticmethod
        @jax.jit(static_argnums=1)
        def times(x, n):
            return x * n

    jax.tree_util.register_static(Model)
    assert Model().twice() == 2
    assert Model.times(3.0, 2) == 6
    assert len(seen) == 2


def test_after_the_watch_is_removed_jax_is_as_before():
    jit, call = jax.jit, jax.stages.Compiled.__call__
    watch = JitWatch(lambda function, args, kwargs: function(*args, **kwargs))
    watch.install()
    assert jax.jit is not jit
    watch.remove()
    assert jax.jit is jit
    assert jax.stages.Compiled.__call__ is call


def test_kinds_are_told_by_small_inputs():
    many = [jnp.ones(n) for n in range(1, 12)]
    assert kind_of((many, jnp.ones((2, 3))), {}) == ((((2, 3), jnp.float32),),)
    assert kind_of(({"x": jnp.ones(2)},), {"y": 3}) == ((((2,), jnp.float32),),)
    assert describe(kind_of((jnp.ones((2, 3)),), {})) == "inputs float32[2,3]"


# Windows.


class Clock:
    def __init__(self):
        self.time, self.waits = 0.0, 0

    def now(self):
        return self.time

    def wait(self):
        self.waits += 1
        self.time += 0.5  # what the device still had to do


def test_steps_get_the_mean_of_their_window_and_only_its_ends_wait():
    clock = Clock()
    timer = WindowTimer(clock, clock.wait)
    timer.start()
    for seconds in (1.0, 2.0, 3.0, 4.0, 6.0):
        clock.time += seconds
        timer.mark()
    assert timer.seconds() == [1.75, 1.75, 3.75, 3.75, 6.5]
    assert clock.waits == 4


def test_a_window_ends_before_it_is_full_where_it_is_told_to():
    clock = Clock()
    timer = WindowTimer(clock, lambda: None)
    timer.start()
    for seconds in (1.0, 5.0, 1.0, 2.0):
        if seconds == 5.0 or clock.time == 6.0:
            timer.close_next()
        clock.time += seconds
        timer.mark()
    assert timer.seconds() == [3.0, 3.0, 1.0, 2.0]


def test_kinds_are_told_apart_without_working_them_out():
    kinds, x, y = Kinds(), jnp.ones((2, 3)), jnp.ones((4, 3))
    batch = {"tokens": np.ones((2, 5), np.int32)}
    first = kinds.of((x, batch), {"n": 3})
    assert first == kind_of((x, batch), {"n": 3}) == ((((2, 3), x.dtype), ((2, 5), np.int32)),)
    assert kinds.of((x + 1, {"tokens": np.zeros((2, 5), np.int32)}), {"n": 4}) is first
    other = kinds.of((y, batch), {})
    assert other != first
    assert kinds.of((x, batch), {}) == first
