"""Modules and phases from the names around an equation."""

import pytest

from goodput.frontends.jax_scopes import place_of
from goodput.trace.table import Phase

JVP, TRANSPOSE = ("transform", "jvp"), ("transform", "transpose")
REMATTED = ("scope", "rematted_computation")


@pytest.mark.parametrize(
    ("names", "phase", "module"),
    [
        ((), Phase.FORWARD, ""),
        ((JVP, ("scope", "mlp")), Phase.FORWARD, "mlp"),
        ((TRANSPOSE, JVP, ("scope", "mlp"), ("scope", "up")), Phase.BACKWARD, "mlp.up"),
        ((TRANSPOSE, JVP, REMATTED, ("scope", "mlp")), Phase.RECOMPUTE, "mlp"),
        ((("scope", "MLP/Dense_0"),), Phase.FORWARD, "MLP.Dense_0"),
        ((("scope", "eqx.nn.MLP"), ("scope", "eqx.nn.Linear")), Phase.FORWARD, "MLP.Linear"),
        ((("scope", "attention"), ("scope", "bqhd,bkhd->bhqk")), Phase.FORWARD, "attention"),
        ((("scope", "Optimizer"),), Phase.OPTIMIZER, "Optimizer"),
        ((("transform", "vmap"), ("scope", "a")), Phase.FORWARD, "a"),
        ((TRANSPOSE, ("scope", "optimizer")), Phase.BACKWARD, "optimizer"),
    ],
)
def test_place(names: tuple[tuple[str, str], ...], phase: Phase, module: str) -> None:
    assert place_of(names) == (phase, module)
