"""Executed work from optimised HLO, against closed forms."""

import jax
import jax.numpy as jnp
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from goodput.readers.hlo_work import executed, total
from goodput.work import Work

sizes = st.integers(1, 24)


@given(sizes, sizes, sizes, st.sampled_from([(), (3,)]))
@settings(
    deadline=None, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_a_product(program_of_jax, m, n, k, batch):
    found, unknown = total(program_of_jax(jnp.matmul, jnp.ones((*batch, m, k)), jnp.ones((k, n))))
    # XLA turns a product with a size of 1 into a multiplication and a sum, which are vector work.
    expected = 2 * m * n * k * (batch or (1,))[0]
    assert not unknown
    assert found.flops == expected or (1 in (m, n, k) and found.vector_flops <= expected)


def scanned(w, x, wrap=lambda layer: layer):
    def layer(h, p):
        return jnp.tanh(h @ p), None

    h, _ = jax.lax.scan(wrap(layer), x, w)
    return (h**2).sum()


W, X = jnp.ones((8, 32, 32)), jnp.ones((16, 32))
LAYER = 2 * 16 * 32 * 32


def test_a_scan_counts_each_trip(program_of_jax):
    found, unknown = total(program_of_jax(scanned, W, X))
    assert (found.flops, found.special, unknown) == (8 * LAYER, 8 * 16 * 32, {})


def test_a_gradient_of_a_scan_and_its_recompute(program_of_jax):
    plain = total(program_of_jax(jax.grad(scanned), W, X))[0].flops
    assert plain == 3 * 8 * LAYER - LAYER or plain == 3 * 8 * LAYER
    remat = jax.grad(lambda w, x: scanned(w, x, jax.checkpoint))
    assert total(program_of_jax(remat, W, X))[0].flops == plain + 8 * LAYER


def test_a_loop_whose_trips_nobody_knows_is_named(program_of_jax):
    def doubling(x, limit):
        return jax.lax.while_loop(lambda y: y[0, 0] < limit, lambda y: y @ y, x)

    found, unknown = total(program_of_jax(doubling, jnp.ones((8, 8)), 100.0))
    assert found.flops == 2 * 8**3
    assert unknown == {"while of unknown length": 1}


def test_a_convolution(program_of_jax):
    image, weight = jnp.ones((2, 4, 10, 10)), jnp.ones((6, 4, 3, 3))
    made = program_of_jax(lambda i, w: jax.lax.conv(i, w, (1, 1), "SAME"), image, weight)
    found, unknown = total(made)
    assert found.flops == 2 * 2 * 6 * 100 * 4 * 9
    assert not unknown


def test_a_slice_of_stacked_weights_reads_the_slice(program_of_jax):
    made = program_of_jax(scanned, W, X)
    (sliced,) = (
        name
        for name, place in made.places.items()
        if "dynamic-slice" in name and place.instructions[name].opcode == "fusion"
        if "update" not in name
    )
    work = executed(made.instruction(sliced), made).work
    assert work.bytes_written == 32 * 32 * 4
    assert work.bytes_read == pytest.approx(32 * 32 * 4, abs=16)


def test_an_update_in_place_writes_the_update(program_of_jax):
    made = program_of_jax(
        lambda x, y: jax.lax.dynamic_update_slice(x, y, (3, 0)),
        jnp.ones((100, 32)),
        jnp.ones((1, 32)),
    )
    works = [
        executed(i, made).work
        for i in made.computations[made.entry].instructions.values()
        if "update" in i.name
    ]
    assert sum(w.bytes_written for w in works) == 32 * 4


def test_what_has_no_formula_is_named(program_of_jax):
    made = program_of_jax(jnp.linalg.eigvals, jnp.ones((4, 4)))
    found, unknown = total(made)
    assert any("geev" in name for name in unknown)
    assert isinstance(found, Work)


def test_a_fusion_is_named_by_what_computes_in_it(program_of_jax):
    made = program_of_jax(lambda x: jnp.exp(x) * 2 + 1, jnp.ones(1000))
    (fusion,) = (i for i in made.computations[made.entry].instructions.values() if i.calls)
    found = executed(fusion, made)
    assert sorted(found.operator.split("+")) == ["add", "exponential", "multiply"]
    assert (found.work.special, found.work.vector_flops) == (1000, 2000)
    assert (found.work.bytes_read, found.work.bytes_written) == (4000, 4000)
