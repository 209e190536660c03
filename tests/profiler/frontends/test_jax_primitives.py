"""Every primitive that jax exports is counted, opened, or known to be without a formula."""

import pytest

primitives = pytest.importorskip(
    "jax.extend.core.primitives", reason="jax programs are counted by jax"
)

import goodput.formulas.lax  # noqa: E402, F401 - registers the formulas
from goodput.formulas.registry import has_formula  # noqa: E402
from goodput.frontends import jax_bodies  # noqa: E402

OPENED = {
    *jax_bodies._CALLS,
    jax_bodies.COND,
    jax_bodies.SCAN,
    jax_bodies.SOLVE,
    jax_bodies.WHILE,
    "custom_lin",  # of a linearisation; never in a jaxpr that is counted
}
WITHOUT = {
    "hessenberg",
    "reduce",
    "reduce_window",
    "schur",
    "select_and_scatter",
    "tridiagonal",
    "tridiagonal_solve",
}
"""They are listed in a report as operators without a formula."""

EXPORTED = {one.name for name, one in vars(primitives).items() if name.endswith("_p")}


def test_nothing_is_overlooked() -> None:
    unknown = {name for name in EXPORTED if not has_formula(f"lax::{name}")}
    assert unknown - OPENED == WITHOUT


def test_an_overlooked_one_would_be_seen() -> None:
    assert len(EXPORTED) > 150
    assert not has_formula("lax::hessenberg")
