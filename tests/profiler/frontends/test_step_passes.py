"""The order of the passes, with every instrument faked and a clock that moves when told."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from goodput.frontends.step_instruments import WINDOW_BASIS, Instruments, PassOptions, ProgramEnd
from goodput.frontends.step_passes import Passes, State
from goodput.trace.recording import WorkEntry, WorkPass

ENTRY = WorkEntry("aten::mm", "forward", "", "f32[2,2]", "float32", None)


class FakeClock:
    def __init__(self):
        self.time = 100.0

    def now(self):
        return self.time


class Stage:
    """All instruments of one test, writing down what the passes do with them."""

    def __init__(self, options=None, *, on_device=False, countable=True):
        self.log = []
        self.clock = FakeClock()
        self.marks = []
        self.basis = "host"
        self.on_device = on_device
        self.countable = countable
        self.busy = False
        self.key = None
        self.work = WorkPass((ENTRY,))
        self.stop_after = False
        self.stoppable = True
        self.passes = Passes(
            options or PassOptions(),
            Instruments(
                clock=self.clock,
                timer=self,
                counter=_Counter(self),
                profiler=_Profiler(self),
                elsewhere=lambda: self.busy,
                next_key=lambda: self.key,
                undisturbed=lambda: self.log.append("undisturbed"),
                disturbed=lambda: self.log.append("disturbed"),
                done=self._done,
            ),
        )

    def _done(self):
        self.log.append("done")
        if self.stop_after:
            raise ProgramEnd

    # The timer.

    def start(self):
        self.marks = [self.clock.time]

    def mark(self):
        self.marks.append(self.clock.time)

    def seconds(self):
        return [b - a for a, b in zip(self.marks, self.marks[1:], strict=False)]

    def run(self, steps, seconds=1.0, key=1, *, quick=True):
        for _ in range(steps):
            self.clock.time += seconds
            if not (quick and self.passes.quick_boundary(key)):
                self.passes.boundary(key)
        return self


class _Counter:
    def __init__(self, stage):
        self.stage = stage

    def start(self):
        if self.stage.countable:
            self.stage.log.append("count")
        return self.stage.countable

    def can_stop(self):
        return self.stage.stoppable

    def stop(self):
        self.stage.log.append("counted")
        return self.stage.work


class _Profiler:
    def __init__(self, stage):
        self.stage = stage

    @property
    def on_device(self):
        return self.stage.on_device

    def start(self):
        self.stage.log.append("profile")

    def mark(self, number):
        self.stage.log.append(number)

    def stop(self, *, keep):
        self.stage.log.append("written" if keep else "thrown away")


def test_the_passes_come_in_order_and_end():
    stage = Stage(on_device=True).run(40)
    assert stage.log == [
        *("count", "counted", "undisturbed", "disturbed", "profile", 0, 1, 2, 3, "written", "done")
    ]
    results = stage.passes.finish()
    assert results.wall_seconds == (1.0,) * 10
    assert results.profiled == (0, 1, 2)
    assert results.work.entries == (ENTRY,)
    assert results.warnings == ()
    assert results.steps_left_out == 0


def test_warmup_waits_until_steps_settle():
    stage = Stage()
    for seconds in (9, 9, 8, 4, 2, 1):
        stage.run(1, seconds)
    assert stage.passes.state is State.WARMUP
    stage.run(2, 1)
    assert stage.passes.state is State.WALL


def test_warmup_ends_though_steps_never_settle():
    stage = Stage()
    for step in range(60):
        stage.run(1, 1 + step % 2)
    assert stage.passes.finish().wall_seconds


@given(steps=st.integers(1, 30), warmup=st.integers(0, 30))
def test_as_many_steps_as_asked_for(steps, warmup):
    stage = Stage(PassOptions(steps=steps, warmup=warmup)).run(warmup + steps + 30)
    assert len(stage.passes.finish().wall_seconds) == steps
    assert stage.log.index("undisturbed") >= stage.log.index("counted")


def test_a_cpu_is_profiled_for_ten_steps_or_two_seconds():
    assert len(Stage().run(60, 0.01).passes.finish().profiled) == 10
    assert len(Stage().run(60, 0.5).passes.finish().profiled) == 4
    assert len(Stage().run(60, 9.0).passes.finish().profiled) == 3


@pytest.mark.parametrize(("basis", "seconds"), [("host", (1.0, 1.0)), (WINDOW_BASIS, ())])
def test_steps_of_the_warm_up_are_no_times_where_the_host_runs_ahead(basis, seconds):
    stage = Stage(PassOptions(warmup=9))
    stage.basis = basis
    results = stage.run(4).passes.finish()
    assert results.wall_seconds == seconds
    assert any("warm-up" in warning for warning in results.warnings) is bool(seconds)


def test_the_events_of_a_large_step_bound_the_profile():
    stage = Stage()
    stage.work = WorkPass((ENTRY,) * 300_000)
    assert len(stage.run(60, 0.01).passes.finish().profiled) == 1


def test_unusual_steps_are_left_out_and_counted():
    stage = Stage(PassOptions(warmup=3)).run(3)
    assert stage.passes.state is State.WALL
    stage.run(5).run(1, 2.0, key=2).run(5)
    assert stage.passes.state is State.PROFILE
    stage.run(2, 0.01).run(1, 0.02, key=2).run(20, 0.01)
    results = stage.passes.finish()
    assert results.wall_seconds == (1.0,) * 10
    assert results.profiled == (0, *range(2, 11))
    assert results.steps_left_out == 2


def test_a_counted_step_of_another_kind_is_counted_again():
    stage = Stage().run(1).run(1, 5.0, key=7).run(60)
    assert stage.log[:5] == ["count", "counted", "count", "counted", "undisturbed"]


def test_a_count_that_turns_out_unusual_is_repeated_after_the_undisturbed_steps():
    stage = Stage(PassOptions(warmup=1)).run(1).run(1, 2.0, key=2).run(60)
    order = ["count", "counted", "undisturbed", "disturbed", "count", "counted", "profile"]
    assert stage.log[:7] == order


def test_an_interval_known_to_be_of_another_kind_is_not_counted():
    stage = Stage().run(1).run(1, 5.0, key="prefill")
    stage.key = "prefill"
    stage.run(60, key="decode")
    assert stage.log[:3] == ["count", "counted", "undisturbed"]


def test_steps_that_are_all_different_are_reported_together():
    stage = Stage(PassOptions(steps=2, warmup=1))
    for key in range(80):
        stage.run(1, 1.0, key=f"shape {key}")
    results = stage.passes.finish()
    assert len(results.wall_seconds) == 10
    assert "none of them usual" in results.warnings[0]


def test_a_program_that_cannot_be_counted_is_timed():
    stage = Stage(countable=False).run(60)
    assert stage.log[0] == "undisturbed"
    assert stage.passes.finish().work == WorkPass()


def test_a_count_that_cannot_stop_goes_on_to_the_next_boundary():
    stage = Stage()
    stage.stoppable = False
    stage.run(3)
    assert stage.log == ["count"]
    stage.stoppable = True
    stage.run(1)
    assert stage.log == ["count", "counted"]


def test_counting_that_failed_is_not_tried_again():
    stage = Stage()
    stage.work = WorkPass(failure="counting mylib::op failed: no")
    stage.run(60)
    assert stage.log.count("count") == 1
    assert "counting mylib::op failed" in stage.passes.finish().warnings[0]


def test_profiling_waits_for_the_programs_own_profiler():
    stage = Stage(PassOptions(warmup=1)).run(11)
    stage.busy = True
    stage.run(20)
    assert "profile" not in stage.log
    stage.busy = False
    stage.run(20)
    assert stage.log[-1] == "done"
    assert len(stage.passes.finish().profiled) == 3


def test_a_profiler_of_the_program_that_never_ends_is_told():
    stage = Stage(PassOptions(warmup=1)).run(11)
    stage.busy = True
    results = stage.run(20).passes.finish()
    assert results.profiled == ()
    assert "the program's own profiler was on" in results.warnings[0]


def test_a_profiler_that_is_on_from_the_start_is_told():
    stage = Stage()
    stage.busy = True
    results = stage.run(80).passes.finish()
    assert results.wall_seconds == ()
    assert "the program's own profiler was on" in results.warnings[0]


def test_a_profiler_of_the_program_ends_ours_which_is_repeated():
    stage = Stage(PassOptions(warmup=1)).run(14)
    assert stage.passes.state is State.PROFILE
    stage.passes.interrupt()
    assert stage.log[-1] == "thrown away"
    stage.run(20)
    assert stage.log[-2:] == ["written", "done"]


def test_profiling_is_given_up_after_three_interruptions():
    stage = Stage(PassOptions(warmup=1)).run(14)
    for _ in range(3):
        stage.passes.interrupt()
        stage.run(2)
    assert stage.log[-1] == "done"
    assert "ended ours each time" in stage.passes.finish().warnings[0]


def test_steps_under_the_programs_profiler_are_no_undisturbed_ones():
    stage = Stage(PassOptions(warmup=1)).run(5)
    stage.passes.interrupt()
    stage.busy = True
    stage.run(2, 50.0)
    stage.busy = False
    stage.run(1, 50.0).run(40)
    results = stage.passes.finish()
    assert results.wall_seconds == (1.0,) * 10
    assert results.steps_left_out == 3


@pytest.mark.parametrize("steps", [1, 2, 10])
def test_quick_boundaries_measure_what_the_others_do(steps):
    def measured(*, quick):
        stage = Stage(PassOptions(steps=steps, warmup=2))
        for number in range(60):
            if number == 7:
                stage.passes.interrupt()
            stage.run(1, 1.0 + number / 100, key=1 + (number % 5 == 0), quick=quick)
        return stage.passes.finish(), stage.log

    assert measured(quick=True) == measured(quick=False)


def test_only_undisturbed_steps_have_quick_boundaries():
    stage = Stage(PassOptions(steps=3, warmup=2))
    quick = []
    for _ in range(40):
        stage.clock.time += 1.0
        quick.append(stage.passes.quick_boundary(1))
        if not quick[-1]:
            stage.passes.boundary(1)
    # The last of the three switches to the next pass.
    assert sum(quick) == 2
    assert len(stage.passes.finish().wall_seconds) == 3


def test_a_program_that_ends_early_leaves_what_was_measured():
    for steps in range(1, 40):
        results = Stage().run(steps).passes.finish()
        assert results.steps_seen == steps
        assert bool(results.work.entries) == (steps >= 2)
        in_warmup = max(steps - 2, 0)
        assert len(results.wall_seconds) == (in_warmup if steps <= 5 else min(steps - 5, 10))
    assert "ended in its warm-up" in Stage().run(4).passes.finish().warnings[0]


def test_a_device_that_runs_behind_the_host_has_no_times_from_its_warmup():
    results = Stage(on_device=True).run(4).passes.finish()
    assert results.work.entries
    assert results.wall_seconds == ()
    assert results.warnings == ()


def test_warmup_under_the_programs_profiler_leaves_no_times():
    stage = Stage().run(2)
    stage.busy = True
    assert stage.run(2).passes.finish().wall_seconds == ()


def test_ending_inside_the_profile_keeps_its_whole_steps():
    stage = Stage(PassOptions(warmup=1)).run(14, 0.1)
    assert stage.passes.state is State.PROFILE
    assert stage.passes.finish().profiled == (0,)
    assert stage.log[-1] == "written"


def test_a_restart_forgets_everything():
    stage = Stage().run(30)
    stage.passes.restart()
    assert stage.passes.seen == 0
    results = stage.run(3, 2.0).passes.finish()
    assert results.wall_seconds == (2.0,)


def test_count_only_ends_with_the_count():
    stage = Stage(PassOptions(count_only=True)).run(10)
    assert stage.log == ["count", "counted", "done"]


def test_the_program_ends_when_the_passes_do_if_asked():
    stage = Stage(PassOptions(warmup=1))
    stage.stop_after = True
    try:
        stage.run(100)
    except ProgramEnd:
        pass
    else:
        raise AssertionError("the program went on")
    assert len(stage.passes.finish().wall_seconds) == 10


def kind(rows):
    return ((((rows, 8), "float32"),),)


def test_the_kind_that_is_covered_is_told_where_others_were_left_out():
    stage = Stage(PassOptions(warmup=1)).run(2, key=kind(4))
    for _ in range(40):
        stage.run(2, 1.0, key=kind(4)).run(1, 3.0, key=kind(6))
    results = stage.passes.finish()
    assert set(results.wall_seconds) == {1.0}
    assert not results.mixed
    told = [w for w in results.warnings if "float32[4,8]" in w]
    assert len(told) == 1
    assert f"{results.steps_left_out} of " in told[0]


def test_steps_of_all_kinds_are_covered_together_with_their_sizes_told():
    stage = Stage(PassOptions(warmup=1))
    for rows in range(200):
        stage.run(1, 1.0 + rows, key=kind(rows))
    results = stage.passes.finish()
    assert results.mixed
    assert results.steps_left_out == 0
    assert any("input elements" in warning for warning in results.warnings)
