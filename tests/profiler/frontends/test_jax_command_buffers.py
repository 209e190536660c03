"""Command buffers are off in profiled steps alone. The compiler of a CPU takes the same options."""

import jax
import jax.numpy as jnp
import pytest

from goodput.frontends import jax_command_buffers, jax_passes
from goodput.frontends.jax_command_buffers import CommandBuffers, device_has_them
from goodput.frontends.jax_private import COMPILER
from goodput.frontends.jax_program import JaxProgram
from goodput.frontends.step_instruments import PassOptions
from goodput.measure.clock import HostClock

OPTION = "xla_gpu_enable_command_buffer"


@pytest.fixture
def compiled(monkeypatch):
    """The options of each compilation, as XLA gets them."""
    options = COMPILER.get_compile_options
    found = []

    def noted(*args, **kwargs):
        found.append(dict(kwargs.get("env_options_overrides") or {}))
        return options(*args, **kwargs)

    monkeypatch.setattr(COMPILER, "get_compile_options", noted)
    return found


def test_functions_are_compiled_anew_without_and_then_with_them(compiled):
    function, x, buffers = jax.jit(lambda x: x * 3 + 1), jnp.ones(7), CommandBuffers()
    before = function(x).tolist()
    compiled.clear()
    original = COMPILER.get_compile_options
    buffers.off([function])
    buffers.off([function])
    assert function(x).tolist() == before
    assert compiled == [{OPTION: ""}]
    buffers.on([function])
    assert function(x).tolist() == before
    assert compiled == [{OPTION: ""}, {}]
    buffers.on([function])
    assert COMPILER.get_compile_options is original


def test_only_the_profiled_steps_go_without(compiled, monkeypatch, tmp_path):
    monkeypatch.setattr(jax_passes, "device_has_them", lambda: True)
    program = JaxProgram(PassOptions(steps=4, warmup=2), HostClock(), tmp_path)
    program.attach()
    step, x = jax.jit(lambda x: x @ x / 9), jnp.ones((9, 9))
    states = []
    for _ in range(40):
        compiled.clear()
        x = step(x)
        states += [(program._passes.state.name, options) for options in compiled]
    program.finish()
    assert states == [("WARMUP", {}), ("PROFILE", {OPTION: ""}), ("DONE", {})]


@pytest.mark.parametrize(
    ("kind", "flags", "has"),
    [
        ("cuda", "", True),
        ("hip", "--xla_gpu_autotune_level=0", True),
        ("cuda", f"--{OPTION}=", False),
        ("cuda", f"--{OPTION}=FUSION", True),
        ("cpu", "", False),
        ("tpu", "", False),
    ],
)
def test_where_there_are_any(kind, flags, has, monkeypatch):
    monkeypatch.setattr(jax_command_buffers, "kind_of", lambda _: kind)
    monkeypatch.setenv("XLA_FLAGS", flags)
    assert device_has_them() is has
