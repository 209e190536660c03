"""Programs that counters of JAX get wrong: the table of them, each with its truth by hand."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import pytest

jax = pytest.importorskip("jax", reason="jax programs are counted by jax")

import jax.numpy as jnp  # noqa: E402 - after the skip
import numpy as np  # noqa: E402
from jax import lax  # noqa: E402
from jax.experimental import pallas as pl  # noqa: E402
from jax.experimental import sparse  # noqa: E402
from jax.sharding import AbstractMesh, AxisType, Mesh, PartitionSpec  # noqa: E402

from goodput.errors import NotMeasuredError, UsageError  # noqa: E402
from goodput.frontends.counted_step import Count  # noqa: E402
from goodput.frontends.jax_count import Step, count_step  # noqa: E402
from goodput.units import si  # noqa: E402

Case = tuple[Callable[..., Any], tuple[Any, ...], int]


def ones(*shape: int, dtype: Any = jnp.float32) -> Any:
    return jnp.ones(shape, dtype)


def counted(call: Callable[..., Any], *inputs: Any, train: bool | None = None) -> Count:
    return count_step(Step(call, inputs, train))


def total(count: Count, column: str = "flops", *, again: bool = True) -> int:
    return sum(
        getattr(entry.work, column)
        for entry in count.work.entries
        if entry.work is not None and (again or entry.phase != "recompute")
    )


def operators(count: Count) -> set[str]:
    return {entry.operator for entry in count.work.entries}


def unmodelled(count: Count) -> list[str]:
    return [entry.operator for entry in count.work.entries if entry.work is None]


def until(x: Any, w: Any, n: Any) -> Any:
    return lax.while_loop(lambda s: s[0] < n, lambda s: (s[0] + 1, s[1] @ w), (0, x))[1]


def branch(p: Any, x: Any, w: Any) -> Any:
    return lax.cond(p, lambda x: x @ w @ w, lambda x: x @ w, x)


def same_convolution(groups: int = 1) -> Callable[..., Any]:
    return lambda x, w: lax.conv_general_dilated(
        x,
        w,
        (1, 1),
        "SAME",
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=groups,
    )


def kernel_product(cost: int | None = None) -> Callable[..., Any]:
    def kernel(a: Any, b: Any, out: Any) -> None:
        out[...] = a[...] @ b[...]

    estimate = (
        None if cost is None else pl.CostEstimate(flops=cost, bytes_accessed=1, transcendentals=0)
    )
    return pl.pallas_call(
        kernel,
        grid=(4, 2),
        in_specs=[
            pl.BlockSpec((8, 64), lambda i, _: (i, 0)),
            pl.BlockSpec((64, 16), lambda _, j: (0, j)),
        ],
        out_specs=pl.BlockSpec((8, 16), lambda i, j: (i, j)),
        out_shape=jax.ShapeDtypeStruct((32, 32), jnp.float32),
        interpret=True,
        cost_estimate=estimate,
        name="tiled_product",
    )


MLP = 2 * 32 * (64 * 128 + 128 * 10)
REMATTED = 2 * 32 * (64 * 64 + 64 * 64)


def mlp() -> Case:
    weights = (ones(64, 128), ones(128), ones(128, 10), ones(10))
    return (
        lambda x, w1, b1, w2, b2: jax.nn.relu(x @ w1 + b1) @ w2 + b2,
        (ones(32, 64), *weights),
        MLP,
    )


def gradient_of_a_sum() -> Case:
    """Nobody needs the last product of the forward pass, nor the gradient of the input."""
    step = jax.grad(lambda p, x: (jax.nn.relu(x @ p[0]) @ p[1]).sum())
    return step, ((ones(64, 128), ones(128, 10)), ones(32, 64)), 1212416


def scan(unroll: int = 1) -> Case:
    def step(x: Any, w: Any) -> Any:
        return lax.scan(lambda c, _: (c @ w, None), x, None, length=10, unroll=unroll)[0]

    return step, (ones(4, 16), ones(16, 16)), 20480


def gradient_of_a_scan() -> Case:
    def loss(w: Any, x: Any) -> Any:
        return lax.scan(lambda c, _: (jnp.tanh(c @ w), None), x, None, length=10)[0].sum()

    return jax.grad(loss), (ones(16, 16), ones(4, 16)), 61440


def rematted_mlp() -> Case:
    inner = jax.checkpoint(lambda x, w1, w2: jnp.tanh(x @ w1) @ w2)
    step = jax.grad(lambda w1, w2, x: jnp.sum(inner(x, w1, w2) ** 2), (0, 1, 2))
    return step, (ones(64, 64), ones(64, 64), ones(32, 64)), REMATTED * 3 + 2 * 32 * 64 * 64


def gradient_of_a_convolution() -> Case:
    step = jax.grad(lambda w, x: jnp.sum(same_convolution()(x, w) ** 2), (0, 1))
    return step, (ones(3, 3, 3, 8), ones(2, 16, 16, 3)), 3 * 221184


def own_derivative() -> Case:
    @jax.custom_vjp
    def product(a: Any, b: Any) -> Any:
        return a @ b

    product.defvjp(lambda a, b: (a @ b, (a, b)), lambda r, t: (t @ r[1].T, r[0].T @ t))
    step = jax.grad(lambda a, b: jnp.sum(product(a, b) ** 2), (0, 1))
    return step, (ones(8, 16), ones(16, 5)), 3 * 1280


def tangent() -> Case:
    w = ones(16, 5)
    step = lambda x: jax.jvp(lambda z: jax.nn.relu(z @ w), (x,), (x,))[1]  # noqa: E731
    return step, (ones(8, 16),), 2 * 1280


def sharded() -> Case:
    mesh = Mesh(np.array(jax.devices()[:1]), ("d",))
    step = jax.shard_map(
        lambda a, b: lax.psum(a @ b, "d"),
        mesh=mesh,
        in_specs=(PartitionSpec(None, "d"), PartitionSpec("d", None)),
        out_specs=PartitionSpec(),
    )
    return step, (ones(8, 16), ones(16, 5)), 1280


def stored_matrix() -> Case:
    matrix = sparse.BCOO.fromdense(jnp.eye(64))
    return lambda x: matrix @ x, (ones(64, 8),), 1024


def attention(heads: int = 4) -> Case:
    step = functools.partial(jax.nn.dot_product_attention, is_causal=heads == 4)
    return step, (ones(2, 32, 4, 16), *[ones(2, 32, heads, 16)] * 2), 524288


COMPLEX, INTEGER = {"dtype": jnp.complex64}, {"dtype": jnp.int8}
CASES: dict[str, Callable[[], Case]] = {
    "product": lambda: (jnp.matmul, (ones(8, 16), ones(16, 5)), 1280),
    "mlp": mlp,
    "gradient of a sum": gradient_of_a_sum,
    "scan": scan,
    "scan, unrolled by 5": lambda: scan(unroll=5),
    "loop of a known length": lambda: (
        lambda x, w: lax.fori_loop(0, 7, lambda _, c: c @ w, x),
        (ones(4, 16), ones(16, 16)),
        14336,
    ),
    "loop until a value": lambda: (until, (ones(4, 16), ones(16, 16), jnp.int32(7)), 14336),
    "cheap branch": lambda: (branch, (jnp.zeros((), bool), ones(4, 16), ones(16, 16)), 2048),
    "dear branch": lambda: (branch, (jnp.ones((), bool), ones(4, 16), ones(16, 16)), 4096),
    "gradient of a scan": gradient_of_a_scan,
    "rematted mlp": rematted_mlp,
    "convolution": lambda: (same_convolution(), (ones(2, 16, 16, 3), ones(3, 3, 3, 8)), 221184),
    "depthwise": lambda: (
        same_convolution(32),
        (ones(2, 16, 16, 32), ones(3, 3, 1, 32)),
        294912,
    ),
    "gradient of a convolution": gradient_of_a_convolution,
    "transposed convolution": lambda: (
        lambda x, w: lax.conv_transpose(x, w, (2, 2), "SAME"),
        (ones(2, 8, 8, 16), ones(2, 2, 16, 4)),
        65536,
    ),
    "mapped product": lambda: (
        jax.vmap(jnp.matmul, (0, None)),
        (ones(8, 16), ones(16, 5)),
        1280,
    ),
    "mapped loop": lambda: (
        jax.vmap(until, (0, None, 0)),
        (ones(4, 16), ones(16, 16), jnp.array([1, 7, 3, 2])),
        14336,
    ),
    "attention": attention,
    "attention of grouped heads": lambda: attention(heads=2),
    "einsum": lambda: (
        lambda a, b: jnp.einsum("bqhd,bkhd->bhqk", a, b),
        (ones(2, 8, 4, 16), ones(2, 8, 4, 16)),
        16384,
    ),
    "complex product": lambda: (
        jnp.matmul,
        (ones(8, 16, **COMPLEX), ones(16, 5, **COMPLEX)),
        5120,
    ),
    "cholesky": lambda: (jnp.linalg.cholesky, (jnp.eye(32),), 10922),
    "solve": lambda: (jnp.linalg.solve, (jnp.eye(32), ones(32, 4)), 30037),
    "ragged product": lambda: (
        lax.ragged_dot,
        (ones(32, 64), ones(3, 64, 48), jnp.array([8, 16, 8], jnp.int32)),
        196608,
    ),
    "lookup": lambda: (lambda t, i: t[i], (ones(100, 64), jnp.zeros((4, 16), jnp.int32)), 0),
    "softmax": lambda: (jax.nn.softmax, (ones(32, 64),), 0),
    "integers": lambda: (
        functools.partial(jnp.matmul, preferred_element_type=jnp.int32),
        (ones(32, 32, **INTEGER), ones(32, 32, **INTEGER)),
        65536,
    ),
    "own derivative": own_derivative,
    "tangent": tangent,
    "sharded": sharded,
    "kernel": lambda: (kernel_product(), (ones(32, 64), ones(64, 32)), 131072),
    "kernel with an estimate": lambda: (
        kernel_product(131072),
        (ones(32, 64), ones(64, 32)),
        131072,
    ),
    "sparse": stored_matrix,
    "transform": lambda: (jnp.fft.fft, (ones(8, 1024, **COMPLEX),), 0),
    "random bits": lambda: (lambda k: jax.random.bits(k, (64, 64)), (jax.random.key(0),), 0),
}


@pytest.mark.parametrize("name", CASES)
def test_exact(name: str) -> None:
    call, inputs, truth = CASES[name]()
    count = counted(call, *inputs)
    assert total(count) == truth
    assert unmodelled(count) == []


def test_a_transform_is_vector_arithmetic() -> None:
    count = counted(jnp.fft.fft, ones(8, 1024, **COMPLEX))
    assert total(count, "vector_flops") == 5 * 8 * 1024 * 10
    real = counted(lambda x: jnp.fft.irfft(jnp.fft.rfft(x)), ones(8, 1024))
    assert total(real, "vector_flops") >= 5 * 8 * 1024 * 10


def test_random_bits_are_no_flops() -> None:
    count = counted(lambda key: jax.random.bits(key, (64, 64)), jax.random.key(0))
    assert total(count, "vector_flops") == total(count, "special") == 0
    assert total(count, "bytes") > 0


def test_recomputation_is_told_apart_from_what_is_needed() -> None:
    call, inputs, executed = rematted_mlp()
    count = counted(call, *inputs)
    assert total(count, again=False) == 3 * REMATTED
    assert executed - total(count, again=False) == 2 * 32 * 64 * 64


def test_the_deep_scanned_training_step(repository: Any) -> None:
    from goodput.recording.counting import of_target

    recording = of_target(f"{repository}/benchmarks/models/jax_gpt.py:deep_train_step")
    flops = sum(entry.work.flops for entry in recording.work.entries if entry.work)
    assert flops == 92_610_232_320
    assert recording.tokens_per_step == 16 * 128


# --- what values decide ---------------------------------------------------------------------------


def test_a_loop_without_its_values_is_counted_for_one_turn_and_told() -> None:
    shape = jax.ShapeDtypeStruct
    count = counted(until, ones(4, 16), ones(16, 16), shape((), jnp.int32))
    assert total(count) == 2048
    assert any("one turn is counted, which is the least" in text for text in count.warnings)


def test_a_loop_needs_no_more_values_than_those_that_decide_it() -> None:
    x, w = jax.ShapeDtypeStruct((4, 16), jnp.float32), jax.ShapeDtypeStruct((16, 16), jnp.float32)
    count = counted(until, x, w, jnp.int32(7))
    assert total(count) == 14336
    assert not any("one turn" in text for text in count.warnings)


def test_a_branch_without_its_value_is_the_heaviest_and_told() -> None:
    count = counted(branch, jax.ShapeDtypeStruct((), bool), ones(4, 16), ones(16, 16))
    assert total(count) == 4096
    assert any("the heaviest is counted, which is the most" in text for text in count.warnings)


def test_branches_of_one_weight_need_no_words() -> None:
    def either(p: Any, x: Any, w: Any) -> Any:
        return lax.cond(p, lambda x: x @ w, lambda x: x @ w.T, x)

    def same(p: Any, x: Any, w: Any) -> Any:
        return lax.cond(p, lambda x: x @ w, lambda x: (x * 1) @ w, x)

    shapes = jax.ShapeDtypeStruct((), bool), ones(4, 16), ones(16, 16)
    assert total(counted(either, *shapes)) == total(counted(same, *shapes)) == 2048


def test_branches_inside_a_loop_are_followed_turn_by_turn() -> None:
    def step(x: Any, w: Any) -> Any:
        def body(c: Any, i: Any) -> Any:
            return lax.cond(i % 3 == 0, lambda c: c @ w @ w, lambda c: c @ w, c), None

        return lax.scan(body, x, jnp.arange(10))[0]

    shapes = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in ((4, 16), (16, 16))]
    assert total(counted(step, *shapes)) == (4 * 2 + 6) * 2048


def test_only_what_decides_is_computed() -> None:
    def fails(_: Any) -> Any:
        raise AssertionError

    def heavy(x: Any) -> Any:
        return jax.pure_callback(fails, jax.ShapeDtypeStruct(x.shape, x.dtype), x)

    def step(x: Any, w: Any) -> Any:
        def body(c: Any, i: Any) -> Any:
            return lax.cond(i < 2, lambda c: c @ w, lambda c: c, heavy(c)), None

        return jax.jit(lambda x: lax.scan(body, x, jnp.arange(6))[0])(until(x, w, 3))

    assert total(counted(step, ones(4, 16), ones(16, 16))) == (3 + 2) * 2048


def test_loops_inside_loops_sum_their_turns() -> None:
    def step(x: Any, w: Any) -> Any:
        return lax.scan(lambda c, i: (until(c, w, i), None), x, jnp.arange(5))[0]

    def nested(x: Any, w: Any, n: Any) -> Any:
        return lax.while_loop(lambda s: s[0] < n, lambda s: (s[0] + 1, step(s[1], w)), (0, x))[1]

    assert total(counted(step, ones(4, 16), ones(16, 16))) == (0 + 1 + 2 + 3 + 4) * 2048
    both = counted(nested, ones(4, 16), ones(16, 16), jnp.int32(3))
    assert total(both) == 3 * (0 + 1 + 2 + 3 + 4) * 2048


def test_a_loop_until_a_result_is_small_runs_as_it_would() -> None:
    def halved(x: Any) -> Any:
        return lax.while_loop(lambda x: jnp.max(x) > 1, lambda x: x @ (jnp.eye(8) / 2), x)

    assert total(counted(halved, 8 * ones(4, 8))) == 3 * 2 * 4 * 8 * 8


def test_a_mapped_loop_stops_for_each_alone() -> None:
    def doubled(x: Any) -> Any:
        return lax.while_loop(lambda x: x != 8, lambda x: x * 2, x)

    # Without that 8 would go on to 16 and never stop.
    count = counted(jax.vmap(doubled), jnp.array([8.0, 1.0, 4.0]))
    turned = [entry for entry in count.work.entries if entry.operator == "lax::mul"]
    assert sum(entry.calls for entry in turned) == 3


def test_an_iterative_solver_is_followed() -> None:
    from jax.scipy.sparse.linalg import cg

    matrix = jnp.diag(jnp.arange(1.0, 9.0))
    count = counted(lambda a, b: cg(lambda x: a @ x, b)[0], matrix, ones(8))
    assert not any("one turn" in text for text in count.warnings)
    assert total(count) >= 8 * 2 * 8 * 8


# --- kernels, many devices, what is not known -----------------------------------------------------


def test_an_estimate_that_says_otherwise_is_told_and_not_taken() -> None:
    count = counted(kernel_product(1000), ones(32, 64), ones(64, 32))
    assert total(count) == 131072
    (sentence,) = count.warnings
    assert sentence.startswith("the CostEstimate of pallas::tiled_product says 1.00 kFLOP")
    assert counted(kernel_product(131072), ones(32, 64), ones(64, 32)).warnings == ()


def turning_by_place(a: Any, out: Any) -> None:
    out[...] = lax.fori_loop(0, pl.program_id(1) + 1, lambda _, c: c @ c, a[...])


def test_a_causal_kernel_turns_by_its_place_in_the_grid() -> None:
    call = pl.pallas_call(
        turning_by_place,
        grid=(50, 4),
        out_shape=jax.ShapeDtypeStruct((8, 8), jnp.float32),
        interpret=True,
    )
    count = counted(call, ones(8, 8))
    assert total(count) == 50 * (1 + 2 + 3 + 4) * 2 * 8**3
    assert count.warnings == ()


def test_first_and_last_steps_of_a_tiled_product() -> None:
    def tiled(a: Any, b: Any, out: Any) -> None:
        step = pl.program_id(2)

        @pl.when(step == 0)
        def _() -> None:
            out[...] = jnp.zeros_like(out)

        out[...] += a[...] @ b[...]

        @pl.when(step == pl.num_programs(2) - 1)
        def _() -> None:
            out[...] = jnp.tanh(out[...])

    call = pl.pallas_call(
        tiled,
        grid=(4, 2, 8),
        in_specs=[
            pl.BlockSpec((8, 8), lambda i, _, k: (i, k)),
            pl.BlockSpec((8, 16), lambda _, j, k: (k, j)),
        ],
        out_specs=pl.BlockSpec((8, 16), lambda i, j, _: (i, j)),
        out_shape=jax.ShapeDtypeStruct((32, 32), jnp.float32),
        interpret=True,
    )
    count = counted(call, ones(32, 64), ones(64, 32))
    assert total(count) == 2 * 32 * 64 * 32
    assert total(count, "special") == 32 * 32
    assert count.warnings == ()


@pytest.mark.parametrize("cost", [None, 5000])
def test_a_kernel_that_decides_by_its_inputs_has_its_estimate_or_nothing(cost: int | None) -> None:
    def turning(turns: Any, a: Any, out: Any) -> None:
        out[...] = lax.fori_loop(0, turns[0], lambda _, c: c @ c, a[...])

    estimate = cost and pl.CostEstimate(flops=cost, bytes_accessed=1, transcendentals=7)
    call = pl.pallas_call(
        turning,
        grid=(4,),
        out_shape=jax.ShapeDtypeStruct((8, 8), jnp.float32),
        interpret=True,
        cost_estimate=estimate or None,
    )
    count = counted(call, jnp.array([3]), ones(8, 8))
    assert total(count) == (cost or 0)
    assert unmodelled(count) == ([] if cost else ["pallas::turning"])
    assert "values decide what pallas::turning does" in count.warnings[0]


def mesh_of(sizes: tuple[int, ...], *names: str) -> AbstractMesh:
    # Without the types, jax 0.11 would want inputs that are spread already.
    return AbstractMesh(sizes, names, axis_types=(AxisType.Auto,) * len(names))


def two_layers(axis: str | None) -> Callable[..., Any]:
    """A feed-forward part; along `axis` its inner channels are spread over devices."""

    def step(x: Any, up: Any, down: Any) -> Any:
        y = jnp.tanh(x @ up) @ down
        return y if axis is None else lax.psum(y, axis)

    return step


@pytest.mark.parametrize("devices", [2, 8])
def test_sharded_work_is_of_all_devices_and_told_for_one(devices: int) -> None:
    inputs = ones(16, 32), ones(32, 64), ones(64, 32)
    plain = counted(two_layers(None), *inputs)
    spread = counted(
        jax.shard_map(
            two_layers("model"),
            mesh=mesh_of((devices,), "model"),
            in_specs=(
                PartitionSpec(),
                PartitionSpec(None, "model"),
                PartitionSpec("model", None),
            ),
            out_specs=PartitionSpec(),
        ),
        *inputs,
    )
    assert total(spread) == total(plain) == 2 * 2 * 16 * 32 * 64
    (sentence,) = spread.warnings
    assert sentence == (
        f"shard_map spreads work over {devices} devices: the counts are of all of them, "
        f"{si(131072, 'FLOP')} in it, {si(131072 / devices, 'FLOP')} on each"
    )
    (summed,) = [entry for entry in spread.work.entries if "psum" in entry.operator]
    assert summed.work is not None
    assert (summed.calls, summed.work.flops) == (devices, 0)
    assert summed.work.bytes_read == summed.work.bytes_written == devices * 16 * 32 * 4


def test_only_the_axes_that_are_taken_over_multiply() -> None:
    mesh = mesh_of((2, 4), "data", "model")
    rows = PartitionSpec("data")
    call = jax.shard_map(
        lambda x, w: x @ w,
        mesh=mesh,
        in_specs=(rows, PartitionSpec()),
        out_specs=rows,
        axis_names={"data"},
    )
    assert total(counted(call, ones(16, 8), ones(8, 4))) == 2 * 16 * 8 * 4


def test_the_gradient_of_a_sharded_step() -> None:
    mesh, rows = mesh_of((4,), "data"), PartitionSpec("data")
    loss = jax.shard_map(
        lambda w, x: lax.pmean(jnp.square(x @ w).mean(), "data"),
        mesh=mesh,
        in_specs=(PartitionSpec(), rows),
        out_specs=PartitionSpec(),
    )
    count = counted(loss, ones(8, 4), ones(16, 8), train=True)
    assert by(count, "phase") == {"forward": 1024, "backward": 1024}


def test_a_primitive_without_a_formula_is_listed() -> None:
    foreign = jax.ffi.ffi_call("my_target", jax.ShapeDtypeStruct((4,), jnp.float32))
    count = counted(lambda x: foreign(x) + jnp.sum(x), ones(4))
    assert unmodelled(count) == ["ffi::my_target"]


def test_a_formula_of_the_users_own_counts_a_foreign_function() -> None:
    import goodput
    from goodput.formulas import registry

    goodput.formula("ffi::my_product")(lambda call: 2 * call.tensors[0].numel)
    try:
        foreign = jax.ffi.ffi_call("my_product", jax.ShapeDtypeStruct((4,), jnp.float32))
        assert total(counted(foreign, ones(4))) == 8
    finally:
        del registry._FORMULAS["ffi::my_product"]


@pytest.mark.parametrize("train", [None, True])
def test_what_is_left_in_an_input_is_needed(train: bool | None) -> None:
    def step(state: dict[str, Any], x: Any) -> Any:
        state["mean"] = state["mean"] @ state["mean"]
        return x @ state["weight"]

    state = {"mean": ones(4, 4), "weight": ones(8, 2)}
    products = 2 if train else 1  # only the weight has a gradient: the mean is no output
    assert (
        total(counted(step, state, ones(3, 8), train=train)) == 2 * 4**3 + products * 2 * 3 * 8 * 2
    )


def test_effects_are_not_taken_for_operators() -> None:
    def step(x: Any) -> Any:
        jax.debug.print("{}", x.sum())
        return x @ x

    count = counted(step, ones(4, 4))
    assert total(count) == 128
    assert unmodelled(count) == []


# --- phases and modules ---------------------------------------------------------------------------


def scoped(weights: Any, x: Any) -> Any:
    with jax.named_scope("encoder"), jax.named_scope("up"):
        x = jnp.tanh(x @ weights[0])
    with jax.named_scope("encoder/down"):
        return ((x @ weights[1]) ** 2).sum()


def by(count: Count, column: str) -> dict[str, int]:
    sums: dict[str, int] = {}
    for entry in count.work.entries:
        if entry.work is not None and entry.work.flops:
            key = getattr(entry, column)
            sums[key] = sums.get(key, 0) + entry.work.flops
    return sums


def test_scopes_are_modules_and_transformations_phases() -> None:
    def step(weights: Any, x: Any) -> Any:
        gradients = jax.grad(scoped)(weights, x)
        with jax.named_scope("optimizer"):
            return [w - g @ jnp.eye(8) for w, g in zip(weights, gradients, strict=True)]

    count = counted(jax.jit(step), [ones(8, 8)] * 2, ones(4, 8))
    one = 2 * 4 * 8 * 8
    assert by(count, "phase") == {"forward": 2 * one, "backward": 3 * one, "optimizer": 2048}
    assert by(count, "module") == {
        "encoder.up": 2 * one,
        "encoder.down": 3 * one,
        "optimizer": 2048,
    }


def test_a_checkpoint_keeps_its_module() -> None:
    step = jax.grad(jax.checkpoint(scoped))
    count = counted(step, [ones(8, 8)] * 2, ones(4, 8))
    again = [entry for entry in count.work.entries if entry.phase == "recompute"]
    assert {entry.module for entry in again if entry.work and entry.work.flops} >= {"encoder.up"}


def test_attention_by_hand_is_dense_and_told() -> None:
    call, inputs, dense = attention()
    assert counted(call, *inputs).work.hand_written == ("",)

    def named(q: Any, k: Any, v: Any) -> Any:
        with jax.named_scope("layer"):
            scores = jnp.einsum("hqd,hkd->hqk", q, k)
            shares = jax.nn.softmax(scores)
            return jnp.einsum("hqk,hkd->hqd", shares, v)

    qkv = [ones(2, 8, 4), ones(2, 6, 4), ones(2, 6, 4)]
    count = counted(named, *qkv)
    assert count.work.hand_written == ("layer",)
    assert total(count) == 2 * 2 * 2 * 8 * 6 * 4
    assert dense == 2 * 2 * 2 * 4 * 32 * 32 * 16


def test_products_of_many_matrices_are_no_attention() -> None:
    def experts(x: Any, w: Any, v: Any) -> Any:
        return jnp.einsum("etf,efd->etd", jnp.tanh(jnp.einsum("etd,edf->etf", x, w)), v)

    count = counted(experts, ones(2, 8, 4), ones(2, 4, 6), ones(2, 6, 4))
    assert count.work.hand_written == ()


# --- inputs and training --------------------------------------------------------------------------


def test_training_is_by_the_first_argument() -> None:
    def loss(weights: Any, x: Any) -> Any:
        return jnp.square(x @ weights["w"]).mean()

    count = counted(loss, {"w": ones(8, 4)}, ones(16, 8), train=True)
    assert by(count, "phase") == {"forward": 1024, "backward": 1024}


def test_training_is_by_every_floating_input_where_the_first_has_none() -> None:
    def loss(tokens: Any, table: Any, w: Any) -> Any:
        return table[tokens] @ w

    count = counted(loss, jnp.zeros(16, jnp.int32), ones(10, 8), ones(8, 4), train=True)
    assert by(count, "phase") == {"forward": 1024, "backward": 2048}


def test_named_inputs_and_bound_ones() -> None:
    def loss(weights: Any, *, x: Any, scale: float) -> Any:
        return jnp.square(x @ weights).sum() * scale

    bound = functools.partial(loss, ones(8, 4), scale=2.0)
    count = count_step(Step(bound, {"x": ones(16, 8)}, train=True))
    assert by(count, "phase") == {"forward": 1024, "backward": 1024}


def test_a_callable_tree_is_trained_by_its_own_arrays() -> None:
    @jax.tree_util.register_pytree_node_class
    class Linear:
        def __init__(self, w: Any) -> None:
            self.w = w

        def __call__(self, x: Any) -> Any:
            return x @ self.w

        def tree_flatten(self) -> Any:
            return (self.w,), None

        @classmethod
        def tree_unflatten(cls, _: Any, parts: Any) -> Any:
            return cls(*parts)

    shape = jax.ShapeDtypeStruct((8, 4), jnp.float32)
    count = counted(Linear(shape), ones(16, 8), train=True)
    assert by(count, "phase") == {"forward": 1024, "backward": 1024}


def test_numbers_of_python_stay_what_they_are() -> None:
    def power(x: Any, times: int, *, wide: bool) -> Any:
        for _ in range(times):
            x = x @ x
        return x if wide else x.sum()

    count = count_step(Step(functools.partial(power, wide=False), (ones(4, 4), 3)))
    assert total(count) == 3 * 128


def test_equal_calls_of_a_loop_are_one_entry() -> None:
    call, inputs, _ = scan()
    (entry,) = counted(call, *inputs).work.entries
    assert entry.calls == 10
    assert entry.product is not None
    assert entry.work is not None
    assert entry.work.flops == 10 * entry.product.flops


# --- bad input ------------------------------------------------------------------------------------


def by_value(x: Any) -> Any:
    return x @ x if x.sum() > 0 else x


COMPILED = jax.jit(lambda x: x @ x).lower(ones(4, 4)).compile()


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (by_value, NotMeasuredError, "asks for the value of an array while jax traces it"),
        (lambda x: np.asarray(x) @ x, NotMeasuredError, "jax.jit could not take it either"),
        (lambda x: x @ jnp.ones((3, 3)), UsageError, "the program failed: TypeError: dot_general"),
        (lambda _: {"loss": float}, UsageError, "the callable returns no array"),
        (lambda _: None, UsageError, "returns no array, so XLA would leave out"),
        (lambda x: x, UsageError, "the callable ran no operator of jax"),
        (COMPILED, UsageError, r"give the function itself, before \.lower"),
    ],
)
def test_a_callable_that_cannot_be_counted(
    call: Callable[..., Any], error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text) as raised:
        counted(call, ones(4, 4))
    assert "\n" not in str(raised.value)


def test_the_place_of_an_error_is_the_users_own() -> None:
    with pytest.raises(NotMeasuredError, match=r"test_jax_count\.py:\d+\)"):
        counted(by_value, ones(4, 4))


def test_nothing_to_differentiate() -> None:
    with pytest.raises(UsageError, match="nothing that the callable returns is a floating number"):
        counted(jnp.argmax, ones(4, 4), train=True)
