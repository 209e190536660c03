"""Modules and phases from the names around an equation."""

import pytest

from goodput.trace.scopes import place_in, place_of
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
        ((JVP, ("scope", "a"), JVP, ("scope", "a")), Phase.FORWARD, "a.a"),
    ],
)
def test_place(names: tuple[tuple[str, str], ...], phase: Phase, module: str) -> None:
    assert place_of(names) == (phase, module)


@pytest.mark.parametrize(
    ("path", "phase", "module", "primitive"),
    [
        ("jit(step)/jvp(GPT)/block/dot_general", Phase.FORWARD, "GPT.block", "dot_general"),
        ("jit(f)/jvp()/while/body/eval_jaxpr/block/tanh", Phase.FORWARD, "block", "tanh"),
        ("jit(f)/transpose(jvp(GPT))/block/mul", Phase.BACKWARD, "GPT.block", "mul"),
        (
            "jit(f)/transpose(jvp())/while/body/closed_call/checkpoint/rematted_computation/tanh",
            *(Phase.RECOMPUTE, "", "tanh"),
        ),
        (
            "jit(f)/jvp()/jit(dynamic_index_in_dim)/dynamic_slice",
            *(Phase.FORWARD, "", "dynamic_slice"),
        ),
        (
            "jit(f)/transpose(jvp(GPT))/jvp(GPT)/checkpoint/block/dot_general",
            *(Phase.BACKWARD, "GPT.block", "dot_general"),
        ),
        (
            "jit(f)/step/transpose(jvp(GPT))/stack/step/jvp(GPT)/stack/rematted_computation/b/tanh",
            *(Phase.RECOMPUTE, "step.GPT.stack.b", "tanh"),
        ),
        ("jit(f)/transpose(jvp(a))/a/a/dot_general", Phase.BACKWARD, "a.a.a", "dot_general"),
        ("jit(f)/optimizer/sub;jit(f)/optimizer/mul", Phase.OPTIMIZER, "optimizer", "sub"),
        ("jit(f)/cond/branch_1_fun/layer/add", Phase.FORWARD, "layer", "add"),
        ("jit(f)/jvp(bsd,de->bse)/dot_general", Phase.FORWARD, "", "dot_general"),
        ("", Phase.FORWARD, "", ""),
    ],
)
def test_a_path(path, phase, module, primitive):
    assert place_in(path) == (phase, module, primitive)
