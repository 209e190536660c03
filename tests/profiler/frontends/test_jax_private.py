"""What moves between releases of jax is read alike; each form is made by hand."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

jax = pytest.importorskip("jax", reason="its internals are read")

import jax.numpy as jnp  # noqa: E402 - after the skip
from jax import lax  # noqa: E402

from goodput.frontends import jax_private  # noqa: E402
from goodput.frontends.jax_bodies import body_of  # noqa: E402


def scanned(x: Any) -> Any:
    return lax.scan(lambda c, row: (c + row * x.sum(), c), x[0], x)


def test_the_parts_of_a_scan_of_both_releases() -> None:
    eqns = jax.make_jaxpr(scanned)(jnp.ones((3, 4))).eqns
    (scan,) = [eqn for eqn in eqns if eqn.primitive.name == "scan"]
    constant, carried = jax_private.scan_parts(scan.params)
    assert len(scan.invars) == constant + carried + 1
    assert len(scan.outvars) == carried + 1
    # jax 0.11 tells them by a tree of three.
    tree = SimpleNamespace(unpack=lambda: ([None] * constant, [None] * carried, [None]))
    assert jax_private.scan_parts({"ft_in": tree}) == (constant, carried)


def test_open_and_closed_jaxprs_are_read_alike() -> None:
    closed = jax.make_jaxpr(lambda x: x @ x)(jnp.ones((3, 3)))
    inner = jax_private.open_jaxpr(closed)
    assert jax_private.open_jaxpr(inner) is inner
    assert list(jax_private.constants(inner)) == []
    # jax 0.11 has one class for both, which is its own inside.
    merged = SimpleNamespace(consts=[1])
    merged.jaxpr = merged
    assert jax_private.open_jaxpr(merged) is merged
    assert jax_private.constants(merged) == [1]


def test_dead_code_is_left_out() -> None:
    def half(x: Any) -> Any:
        return jnp.tanh(x), x @ x

    closed = jax.make_jaxpr(half)(jnp.ones((3, 3)))
    kept, used = jax_private.live(closed, [True, False])
    assert [eqn.primitive.name for eqn in kept.jaxpr.eqns] == ["tanh"]
    assert used == [True]
    (result,) = jax_private.function_of(kept)(jnp.zeros((3, 3)))
    assert not result.any()


@pytest.mark.parametrize("place", ["jaxpr", "call_jaxpr"])
def test_a_call_holds_its_jaxpr_in_either_place(place: str) -> None:
    jaxpr = jax.make_jaxpr(jnp.tanh)(1.0)
    eqn = SimpleNamespace(primitive=SimpleNamespace(name="eval_jaxpr"), params={place: jaxpr})
    body = body_of(eqn)
    assert body is not None
    assert body.jaxpr is jaxpr


def test_names_are_transformations_and_scopes() -> None:
    def scoped(x: Any) -> Any:
        with jax.named_scope("layer"):
            return jnp.sin(x)

    eqns = jax.make_jaxpr(jax.grad(scoped))(1.0).eqns
    names = [jax_private.names_of(eqn) for eqn in eqns]
    assert all(("transform", "jvp") in name and ("scope", "layer") in name for name in names)
    assert any(("transform", "transpose") in name for name in names)
