"""Profiles of JAX: one made here, one from real GPUs, and planes written by hand."""

import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest

from goodput.commands.stored import load
from goodput.errors import NotMeasuredError, TraceFormatError, UsageError
from goodput.readers import xplane
from goodput.readers.xspace import message_classes, read_space
from goodput.trace.table import Kind, Link, Phase

SHARED = Path(__file__).resolve().parents[4] / "shared" / "traces" / "mi300x-jax-conv.xplane.pb"
LAYERS, ROWS, WIDTH, STEPS = 4, 16, 64, 3
LAYER = 2 * ROWS * WIDTH * WIDTH


def loss(w, x):
    @jax.checkpoint
    def layer(h, p):
        with jax.named_scope("block"):
            return jnp.tanh(h @ p), None

    h, _ = jax.lax.scan(layer, x, w)
    return (h**2).mean()


@jax.jit
def train(w, x):
    gradient = jax.grad(loss)(w, x)
    with jax.named_scope("optimizer"):
        return w - 0.1 * gradient


@pytest.fixture(scope="module")
def profile(tmp_path_factory):
    """The directory of a profile of a few steps on this CPU."""
    folder = tmp_path_factory.mktemp("profile")
    w, x = jnp.ones((LAYERS, WIDTH, WIDTH)), jnp.ones((ROWS, WIDTH))
    train(w, x).block_until_ready()
    with jax.profiler.trace(str(folder)):
        for step in range(STEPS):
            with jax.profiler.StepTraceAnnotation("train", step_num=step):
                w = train(w, x)
                w.block_until_ready()
    return folder


@pytest.fixture(scope="module")
def trace(profile):
    (file,) = profile.rglob("*.xplane.pb")
    return xplane.read(file)


def texts(trace, column):
    return [trace.strings[place] for place in getattr(trace.invocations, column).tolist()]


def test_steps_are_those_that_were_marked(trace):
    assert [step.number for step in trace.steps] == list(range(STEPS))
    assert trace.framework == "jax"
    assert trace.device.kind == "cpu"
    assert trace.environment["jax"] == jax.__version__
    for step in trace.steps:
        parts = step.busy_seconds + step.host_gap_seconds + step.idle_gap_seconds
        assert parts == pytest.approx(step.wall_seconds)


def test_the_body_of_a_loop_counts_as_often_as_it_ran_and_the_loop_itself_never(trace):
    table = trace.invocations
    by_phase = {
        phase: int(table.flops[table.phase == phase].sum()) / STEPS
        for phase in (Phase.FORWARD, Phase.RECOMPUTE, Phase.BACKWARD)
    }
    assert by_phase == {
        Phase.FORWARD: LAYERS * LAYER,
        Phase.RECOMPUTE: LAYERS * LAYER,
        Phase.BACKWARD: 2 * LAYERS * LAYER,
    }
    assert "while" not in texts(trace, "operator")


def test_every_operation_is_found_in_its_program(trace):
    assert (trace.invocations.link == Link.EXACT).all()
    assert trace.invocations.modelled.all()


def test_modules_and_the_optimizer(trace):
    modules = set(texts(trace, "module"))
    assert "block" in modules
    table = trace.invocations
    optimizer = table.phase == Phase.OPTIMIZER
    assert table.vector_flops[optimizer].sum() == STEPS * 2 * LAYERS * WIDTH * WIDTH


def test_times_since_1970_are_as_exact_as_times_since_the_profile_began(trace, profile, tmp_path):
    (file,) = profile.rglob("*.xplane.pb")
    space = read_space(file)
    for line in (line for plane in space.planes for line in plane.lines):
        line.timestamp_ns += 1_700_000_000_123_456_789
    later = tmp_path / "later.xplane.pb"
    later.write_bytes(space.SerializeToString())
    found = xplane.read(later)
    assert found.steps == trace.steps
    assert found.invocations.device_seconds.tolist() == trace.invocations.device_seconds.tolist()


def test_products_that_the_pool_finishes_are_busy_until_they_are_done(tmp_path):
    x, w = jnp.ones((1024, 256)), jnp.ones((256, 1024))
    product = jax.jit(lambda x, w: (x @ w) @ x)
    product(x, w).block_until_ready()
    with jax.profiler.trace(str(tmp_path)):
        for step in range(5):
            with jax.profiler.StepTraceAnnotation("product", step_num=step):
                product(x, w).block_until_ready()
    (file,) = tmp_path.rglob("*.xplane.pb")
    trace = xplane.read(file)
    # What is no product is the call itself: well below a tenth of these milliseconds when quiet.
    assert max(step.busy_seconds / step.wall_seconds for step in trace.steps) > 0.7
    busy = sum(step.busy_seconds for step in trace.steps)
    assert trace.invocations.device_seconds.sum() == pytest.approx(busy)


def test_a_directory_is_read_too(profile):
    report = load(profile).report()
    assert report.totals.useful_flops == 3 * LAYERS * LAYER
    with pytest.raises(UsageError, match="directory without an xplane"):
        load(Path(__file__).parent)


def test_a_real_profile_of_eight_gpus():
    if not SHARED.exists():
        pytest.skip("the shared traces are not beside this checkout")
    trace = xplane.read(SHARED)
    table = trace.invocations
    convolutions = [n for n, name in enumerate(texts(trace, "operator")) if "convForward" in name]
    # 34 x 31 x 53 positions of 5120 channels, each from 16 channels under 1 x 2 x 2 taps.
    each = 2 * 34 * 31 * 53 * 5120 * 16 * 4
    assert set(table.flops[convolutions].tolist()) == {each}
    # The library runs two kernels for it: im2col, which once bears no name of its operation in
    # the file, and a product.
    assert sorted(table.kernels[convolutions].tolist()) == [1, 2, 2, 2, 2]
    by_name = table.link == Link.NAME
    assert [name for name, is_it in zip(texts(trace, "kernel"), by_name, strict=True) if is_it] == [
        "input_transpose_fusion_1.kd"
    ]
    assert trace.device.kind == "hip"
    assert trace.device.units == 304
    assert "8 devices" in trace.warnings[0]
    assert len(trace.steps) == 5


# Planes written by hand.

A = jnp.ones((32, 32))


@pytest.fixture
def product(module_of_jax, program_of_jax):
    """A program of one product: its bytes and the name of the instruction."""
    made = program_of_jax(jnp.matmul, A, A)
    (name,) = (
        i.name
        for i in made.computations[made.entry].instructions.values()
        if i.opcode in ("dot", "fusion")
    )
    return module_of_jax(jnp.matmul, A, A), name


def kernel(name, start, launch, op, title="gemm"):
    stats = {"hlo_op": op, "hlo_module": "jit_matmul", "program_id": 7, "correlation_id": launch}
    return (title, start, 1.0, stats if op else {"correlation_id": launch, "memcpy_details": name})


def test_kernels_of_one_execution_and_of_the_next(xspace, product, tmp_path):
    content, op = product
    xspace.modules(jit_matmul=(7, content))
    gpu = xspace.plane("/device:GPU:0", device_vendor="Nvidia", core_count=132)
    gpu.line(
        "Stream #1",
        kernel("", 10, 1, op, "split"),
        kernel("", 11, 2, op, "reduce"),
        kernel("", 12, 3, op, "split"),
        kernel("", 13, 4, op, "reduce"),
        kernel("size 8", 14, 5, "", "MemcpyD2D"),
    )
    host = xspace.plane("/host:CPU")
    host.line("python", ("PjitFunction(matmul)", 1, 1, {}), ("PjitFunction(matmul)", 3, 1, {}))
    host.line("launches", *(("launch", at, 0.1, {"correlation_id": n}) for n, at in LAUNCHES))
    trace = xplane.read(xspace.write(tmp_path / "a.xplane.pb"))
    table = trace.invocations
    assert table.flops.tolist() == [2 * 32**3, 2 * 32**3, 0]
    assert table.kernels.tolist() == [2, 2, 1]
    assert table.step.tolist() == [0, 1, 1]
    assert table.kind.tolist() == [Kind.COMPUTE, Kind.COMPUTE, Kind.COPIES]
    assert texts(trace, "mode")[0] == "tf32"
    assert trace.device.kind == "cuda"


LAUNCHES = ((1, 1.2), (2, 1.3), (3, 3.2), (4, 3.3), (5, 3.4))


@pytest.mark.parametrize("thread", ["python", "goodput", "pytest"])
def test_marks_are_found_on_the_thread_of_any_command(xspace, product, thread, tmp_path):
    content, op = product
    xspace.modules(jit_matmul=(7, content))
    host = xspace.plane("/host:CPU")
    marks = [("goodput boundary", at, 0.1, {"step_num": n}) for n, at in enumerate((1, 4, 9))]
    host.line(thread, *marks)
    stats = {"hlo_op": op, "hlo_module": "jit_matmul", "program_id": 7}
    host.line("tf_XLAEigen/1", *((op, at, 0.5, stats) for at in (2, 3, 5)))
    trace = xplane.read(xspace.write(tmp_path / "a.xplane.pb"))
    assert trace.invocations.step.tolist() == [0, 0, 1]


def test_a_tpu_tells_its_own_counts(xspace, product, tmp_path):
    content, op = product
    xspace.modules(jit_matmul=(7, content))
    tpu = xspace.plane("/device:TPU:0", device_type_string="TPU v5e")
    for wrong, told in ((2 * 32**3, False), (32**3, True)):
        tpu.names.clear()
        del tpu.message.lines[:]
        del tpu.message.event_metadata[:]
        tpu.metadata(
            f"%{op} = f32[32,32] dot()",
            display=op,
            hlo_category="convolution",
            flops=wrong,
            bytes_accessed=3 * 4096,
            program_id=7,
        )
        tpu.line("Steps", ("0", 0, 9, {}))
        tpu.line("XLA Ops", (f"%{op} = f32[32,32] dot()", 1, 1, {}))
        trace = xplane.read(xspace.write(tmp_path / "a.xplane.pb"))
        assert trace.invocations.flops.tolist() == [2 * 32**3]
        assert (trace.device.kind, trace.device.name) == ("tpu", "TPU v5e")
        assert any("FLOP in these" in warning for warning in trace.warnings) is told
        assert not any("bytes that these" in warning for warning in trace.warnings)


def test_a_program_without_hlo_is_known_by_name_only(xspace, tmp_path):
    gpu = xspace.plane("/device:GPU:0", device_vendor="AMD")
    gpu.line("Stream #1", kernel("", 10, 1, "dot.1"))
    trace = xplane.read(xspace.write(tmp_path / "a.xplane.pb"))
    assert not trace.invocations.modelled.any()
    assert texts(trace, "operator") == ["dot.1"]
    assert "no HLO of jit_matmul(7)" in " ".join(trace.warnings)


def test_a_tpu_without_hlo_is_known_by_what_its_events_say(xspace, tmp_path):
    tpu = xspace.plane("/device:TPU:0", device_type_string="TPU v5e")
    stats = {"hlo_category": "convolution", "flops": 2 * 32**3, "bytes_accessed": 12288}
    tpu.metadata("%dot.1 = f32[32,32] dot()", display="dot.1", program_id=7, **stats)
    tpu.line("XLA Ops", ("%dot.1 = f32[32,32] dot()", 1, 1, {}))
    trace = xplane.read(xspace.write(tmp_path / "a.xplane.pb"))
    assert texts(trace, "operator") == ["dot.1"]
    assert not trace.invocations.modelled.any()
    assert "no HLO of program(7)" in trace.warnings[0]
    assert "counts 65,536 FLOP and 12,288 bytes in them" in trace.warnings[0]


# Bad input.


def test_a_file_that_is_cut_off(profile, tmp_path):
    (file,) = profile.rglob("*.xplane.pb")
    cut = tmp_path / "cut.xplane.pb"
    cut.write_bytes(file.read_bytes()[:5000])
    with pytest.raises(TraceFormatError, match="cut off"):
        load(cut)
    cut.write_bytes(b"")
    with pytest.raises(TraceFormatError, match="empty"):
        load(cut)
    with pytest.raises(UsageError, match="no file"):
        load(tmp_path / "none.xplane.pb")


def test_a_profile_without_anything_of_xla(xspace, tmp_path):
    host = xspace.plane("/host:CPU")
    host.line("python", ("something", 1, 1, {}))
    with pytest.raises(TraceFormatError, match="no operation that XLA ran"):
        xplane.read(xspace.write(tmp_path / "a.xplane.pb"))


def test_without_protobuf_one_line_says_what_to_install(monkeypatch, profile):
    (file,) = profile.rglob("*.xplane.pb")
    message_classes.cache_clear()
    monkeypatch.setitem(sys.modules, "google.protobuf", None)
    monkeypatch.setitem(sys.modules, "google.protobuf.message", None)
    with pytest.raises(NotMeasuredError, match="pip install protobuf"):
        xplane.read(file)
    monkeypatch.undo()
    assert xplane.read(file).steps
