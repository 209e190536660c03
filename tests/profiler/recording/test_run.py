"""Whole runs of unmodified scripts: what is recorded, and that the script does not notice."""

from __future__ import annotations

import statistics

import pytest

from goodput.errors import UsageError
from goodput.recording.run import RunOptions, ScriptTarget, record_script
from goodput.report.build import build
from goodput.trace.table import Phase

pytest.importorskip("torch")

MODEL = """
import sys
import torch

torch.manual_seed(0)

class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.first = torch.nn.Linear(64, 128)
        self.second = torch.nn.Linear(128, 64)

    def forward(self, x):
        return self.second(torch.nn.functional.gelu(self.first(x)))

model = Net()
"""

TRAINING = (
    MODEL
    + """
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
for step in range(int(sys.argv[1])):
    x = torch.randn(256, 64)
    loss = (model(x) - x).pow(2).mean()
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    if len(sys.argv) > 2 and step == int(sys.argv[2]):
        raise RuntimeError(f"broken at {step}")
print("loss", loss.item(), file=sys.stdout)
"""
)
LINEAR = 2 * 256 * 64 * 128
# Two forward products, and backward both gradients of the second layer, one of the first.
STEP_FLOPS = 5 * LINEAR


def by_module(trace, phase):
    table, found = trace.invocations, {}
    for row in range(len(table)):
        if table.phase[row] == phase and table.flops[row]:
            name = trace.strings[table.module[row]]
            found[name] = found.get(name, 0) + int(table.flops[row])
    return {name: flops / len(trace.steps) for name, flops in found.items()}


def test_a_training_script(scripts):
    path = scripts.write(TRAINING)
    plain, recorded = scripts.plain(path, "60"), scripts.record(path, "60", warmup=3)
    assert recorded.process.stdout == plain.stdout
    assert recorded.process.stderr == plain.stderr == ""
    assert recorded.process.returncode == 0
    recording = recorded.recording
    assert recording is not None
    assert recording.basis == "host"
    assert len(recording.wall_seconds) == 10
    assert min(recording.wall_seconds) > 0
    assert 3 <= len(recording.trace.steps) <= 10
    assert recording.steps_left_out == 0
    assert recording.trace.device is not None
    assert recording.trace.device.kind == "cpu"
    assert recording.trace.device.name
    assert sum(e.work.flops for e in recording.work.entries if e.work) == STEP_FLOPS
    assert by_module(recording.trace, Phase.FORWARD) == {"first": LINEAR, "second": LINEAR}
    assert by_module(recording.trace, Phase.BACKWARD) == {"first": LINEAR, "second": 2 * LINEAR}
    assert not any("agree" in warning for warning in recording.trace.warnings)
    busy = statistics.fmean(step.busy_seconds for step in recording.trace.steps)
    assert 0 < busy <= statistics.fmean(step.wall_seconds for step in recording.trace.steps)


def test_a_script_that_crashes_gives_what_was_measured(scripts):
    path = scripts.write(TRAINING)
    plain = scripts.plain(path, "60", "40")
    recorded = scripts.record(path, "60", "40", warmup=2, steps=5)
    assert recorded.process.stderr == plain.stderr
    assert recorded.process.returncode == plain.returncode == 1
    assert recorded.recording is not None
    assert recorded.recording.exit_status == 1
    assert len(recorded.recording.wall_seconds) == 5


@pytest.mark.slow
def test_a_crash_in_the_first_forward_looks_like_plain_python(scripts):
    path = scripts.write(MODEL + "\nmodel(torch.randn(2, 3))\n")
    plain, recorded = scripts.plain(path), scripts.record(path)
    assert recorded.process.stderr == plain.stderr
    assert recorded.recording is None
    assert "no whole step" in recorded.reason or "no step was seen" in recorded.reason


@pytest.mark.slow
def test_a_script_that_ends_before_the_profile(scripts):
    recorded = scripts.record(scripts.write(TRAINING), "8")
    assert recorded.process.returncode == 0
    recording = recorded.recording
    assert recording is not None
    assert recording.trace.steps == ()
    assert recording.steps_seen == 8
    assert min(recording.wall_seconds) > 0
    assert sum(e.work.flops for e in recording.work.entries if e.work) == STEP_FLOPS
    report = build(recording, None)
    assert report.totals.useful_flops == STEP_FLOPS
    assert "8 steps were seen and none was profiled" in report.coverage.untimed
    assert "--warmup" in report.coverage.untimed


@pytest.mark.slow
def test_two_steps_are_enough_for_a_count(scripts):
    recorded = scripts.record(scripts.write(TRAINING), "2")
    assert recorded.recording is not None
    assert recorded.recording.wall_seconds == ()
    assert build(recorded.recording, None).totals.useful_flops == STEP_FLOPS
    assert scripts.record(scripts.write(TRAINING), "1").recording is None


@pytest.mark.slow
def test_a_crash_after_three_steps_gives_the_count_and_one_step_time(scripts):
    recorded = scripts.record(scripts.write(TRAINING), "60", "3")
    assert recorded.process.returncode == 1
    recording = recorded.recording
    assert recording is not None
    assert recording.exit_status == 1
    assert len(recording.wall_seconds) >= 1
    report = build(recording, None)
    assert report.totals.useful_flops_per_s == pytest.approx(STEP_FLOPS / report.step.median)


@pytest.mark.slow
def test_count_only_counts_one_step_and_lets_the_script_be(scripts):
    path = scripts.write(TRAINING)
    plain, recorded = scripts.plain(path, "20"), scripts.record(path, "20", count_only=True)
    assert recorded.process.stdout == plain.stdout
    assert recorded.process.stderr == ""
    recording = recorded.recording
    assert recording is not None
    assert recording.count_only
    assert recording.wall_seconds == recording.trace.steps == ()
    assert build(recording, None).totals.useful_flops == STEP_FLOPS


@pytest.mark.slow
def test_stop_after_ends_the_script_with_status_zero(scripts):
    path = scripts.write(TRAINING + "\nprint('not reached')\n")
    recorded = scripts.record(path, "100000", warmup=1, stop_after=True)
    assert recorded.process.returncode == 0
    assert recorded.process.stdout == recorded.process.stderr == ""
    assert recorded.recording is not None
    assert recorded.recording.steps_seen < 100


@pytest.mark.slow
def test_inference(scripts):
    loop = """
model.eval()
with torch.inference_mode():
    for step in range(60):
        y = model(torch.randn(32 if step == 8 else 256, 64)).argmax(-1)
print(y.sum().item())
"""
    recorded = scripts.record(scripts.write(MODEL + loop), warmup=3)
    assert recorded.process.returncode == 0
    assert recorded.process.stderr == ""
    recording = recorded.recording
    assert recording is not None
    assert len(recording.wall_seconds) == 10
    assert recording.steps_left_out == 1
    assert by_module(recording.trace, Phase.FORWARD) == {"first": LINEAR, "second": LINEAR}
    assert sum(e.work.flops for e in recording.work.entries if e.work) == 2 * LINEAR


def test_data_loader_with_spawned_workers(scripts):
    loop = """
class Data(torch.utils.data.Dataset):
    def __len__(self):
        return 240
    def __getitem__(self, index):
        return torch.full((64,), float(index))

if __name__ == "__main__":
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-6)
    loader = torch.utils.data.DataLoader(
        Data(), batch_size=4, num_workers=2, multiprocessing_context="spawn"
    )
    for x in loader:
        loss = model(x).pow(2).mean()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    print("done")
"""
    recorded = scripts.record(scripts.write(MODEL + loop), warmup=1)
    assert recorded.process.stdout == "done\n"
    assert recorded.process.stderr == ""
    assert recorded.recording is not None


@pytest.mark.parametrize("start", [1, 17])
def test_the_scripts_own_profiler_keeps_its_trace_whole(scripts, start):
    loop = f"""
optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
def told(profile):
    found = [e.name for e in profile.events()]
    print(found.count("aten::addmm"), found.count("Optimizer.step#SGD.step"))
schedule = torch.profiler.schedule(wait={start}, warmup=1, active=3, repeat=1)
with torch.profiler.profile(schedule=schedule, on_trace_ready=told) as profile:
    for step in range(70):
        model(torch.randn(8, 64)).sum().backward()
        optimizer.step()
        optimizer.zero_grad()
        profile.step()
"""
    recorded = scripts.record(scripts.write(MODEL + loop), warmup=1)
    assert recorded.process.stdout == "6 3\n"
    assert recorded.recording is not None
    assert recorded.recording.trace.steps


@pytest.mark.slow
def test_a_program_that_profiles_itself_throughout(scripts):
    loop = """
optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
with torch.profiler.profile() as profile:
    for step in range(60):
        model(torch.randn(8, 64)).sum().backward()
        optimizer.step()
print(sum(e.name == "aten::addmm" for e in profile.events()))
"""
    recorded = scripts.record(scripts.write(MODEL + loop), warmup=1)
    assert recorded.process.stdout == "120\n"
    assert recorded.recording is None
    assert "the program's own profiler was on" in recorded.reason


def test_a_script_without_torch(scripts):
    recorded = scripts.record(scripts.write("print('hello')"))
    assert recorded.process.stdout == "hello\n"
    assert "never imported torch" in recorded.reason


def test_a_script_without_steps(scripts):
    recorded = scripts.record(scripts.write("import torch\nprint(torch.ones(2).sum().item())"))
    assert recorded.process.stdout == "2.0\n"
    assert "no step was seen" in recorded.reason
    assert "goodput.record()" in recorded.reason


@pytest.mark.slow
def test_a_compiled_program_is_counted_as_the_operators_that_run(scripts):
    loop = """
compiled = torch.compile(model, backend="aot_eager")
optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
for step in range(50):
    compiled(torch.randn(256, 64)).sum().backward()
    optimizer.step()
    optimizer.zero_grad()
frames = torch._dynamo.utils.counters["stats"]["unique_graphs"]
print(frames)
"""
    recorded = scripts.record(scripts.write(MODEL + loop), warmup=3)
    assert recorded.process.stdout == "1\n"  # compiled once, as in plain python
    assert recorded.process.stderr == ""
    assert recorded.recording is not None
    counted = recorded.recording.work.entries
    assert sum(entry.work.flops for entry in counted if entry.work) == STEP_FLOPS
    assert recorded.recording.warnings == ()


def test_what_cannot_be_is_said_before_anything_runs(tmp_path):
    script = tmp_path / "script.py"
    script.write_text("raise SystemExit(9)")
    target = ScriptTarget(str(script), None)
    with pytest.raises(UsageError, match="--steps is -1"):
        record_script(target, RunOptions(steps=-1))
    with pytest.raises(UsageError, match="--warmup is -2"):
        record_script(target, RunOptions(warmup=-2))
    with pytest.raises(UsageError, match="no such script"):
        record_script(ScriptTarget(str(tmp_path / "none.py"), None), RunOptions())
