"""What XLA made of a program is told where it is not what the jaxpr asks for."""

import jax
import jax.numpy as jnp
import pytest
from jax import lax

from goodput.frontends.jax_count import Step, count_step
from goodput.readers import xplane
from goodput.readers.hlo import program_of
from goodput.readers.hlo_work import total
from goodput.readers.xspace import module_message
from goodput.recording.two_counts import differences
from goodput.trace.recording import WorkEntry, WorkPass
from goodput.trace.table import Invocations, Phase, StepTime, Trace
from goodput.work import Work

N = 32
PRODUCT = 2 * N**3


def counted(useful, again=0):
    entries = [
        WorkEntry("lax::dot_general", phase, "", "", "float32", Work(flops=flops))
        for phase, flops in (("forward", useful), ("recompute", again))
    ]
    return WorkPass(tuple(entries))


def ran(useful, again=0, *, modelled=True):
    columns = {
        "step": [0, 0],
        "phase": [Phase.FORWARD, Phase.RECOMPUTE],
        "flops": [useful, again],
        "modelled": [modelled, True],
        "operator": [1, 0],
    }
    return Trace(None, "jax", (StepTime(0, 1, 1, 0, 0),), Invocations.of(columns), ("", "mystery"))


def test_equal_counts_are_not_told():
    assert differences(counted(1000, 100), ran(1000, 100)) == ()
    assert differences(counted(100_000), ran(100_001)) == ()
    assert differences(WorkPass(), ran(7)) == ()


@pytest.mark.parametrize(
    ("asked", "executed", "sentence"),
    [
        ((1000, 500), (1000, 0), "500 FLOP were the same as in the forward pass"),
        ((1000, 0), (1000, 500), "computes 500 FLOP again"),
        ((1000, 0), (1500, 0), "added 500 FLOP, by padding"),
        ((1000, 0), (500, 0), "found 500 FLOP that are computed twice"),
    ],
)
def test_each_difference_has_its_reason(asked, executed, sentence):
    (told,) = differences(counted(*asked), ran(*executed))
    assert sentence in told


def test_what_has_no_formula_is_named_instead():
    (told,) = differences(counted(1000), ran(0, modelled=False))
    assert "what mystery does is not known" in told


# Real programs: what ran is the count of the optimised HLO, and is told beside the jaxpr's.


def scanned(w, x):
    return jnp.square(lax.scan(lambda h, p: (jnp.tanh(h @ p), None), x, w)[0]).mean()


def rematted(w, x):
    layer = jax.checkpoint(lambda h, p: (jnp.tanh(h @ p), None))
    return jnp.square(lax.scan(layer, x, w)[0]).mean()


def rematted_by_hand(w, x):
    for p in w:
        x = jax.checkpoint(lambda h, p: jnp.tanh(jnp.tanh(h @ p) @ p))(x, p)
    return jnp.square(x).mean()


def convolved(w, x):
    numbers = ("NHWC", "HWIO", "NHWC")
    y = lax.conv_general_dilated(x, w, (1, 1), "SAME", dimension_numbers=numbers)
    return jnp.square(y).mean()


SQUARES = jnp.ones((3, N, N)), jnp.ones((N, N))
PROGRAMS = {
    "scan": (scanned, SQUARES),
    "remat in a scan": (rematted, SQUARES),
    "remat that XLA may remove": (rematted_by_hand, SQUARES),
    "convolution": (convolved, (jnp.ones((3, 3, 4, 8)), jnp.ones((2, 8, 8, 4)))),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_what_ran_is_the_count_of_each_instruction(name, tmp_path):
    function, inputs = PROGRAMS[name]
    step = jax.jit(jax.grad(function)).lower(*inputs).compile()
    with jax.profiler.trace(str(tmp_path)):
        for number in range(2):
            with jax.profiler.StepTraceAnnotation("step", step_num=number):
                step(*inputs).block_until_ready()
    (file,) = tmp_path.rglob("*.xplane.pb")
    trace = xplane.read(file)
    (module,) = step.runtime_executable().hlo_modules()
    message = module_message(module.as_serialized_hlo_module_proto(), "a module")
    of_program, unknown = total(program_of(message))
    assert not unknown
    assert trace.invocations.flops.sum() == 2 * of_program.flops > 0
    assert trace.invocations.modelled.all()
    work = count_step(Step(jax.grad(function), inputs)).work
    again = sum(e.work.flops for e in work.entries if e.work and e.phase == "recompute")
    told = differences(work, trace)
    assert ("remat" in name) == bool(again)
    if name == "remat that XLA may remove":
        # Whether it does is up to the release of XLA; either way the two counts add up.
        asked = sum(e.work.flops for e in work.entries if e.work)
        assert bool(told) == (of_program.flops != asked)
    else:
        assert told == ()
