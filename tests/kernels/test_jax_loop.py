"""Work stays in the loop; where XLA takes it out, that is seen and the candidate does not run."""

from dataclasses import dataclass

import numpy as np
import pytest

jax = pytest.importorskip("jax", reason="loops are jax's")
jnp = jax.numpy

from goodput_kernels import jax_loop, jax_operands  # noqa: E402 - after the skip
from goodput_kernels.jax_hlo import Instruction, in_loops  # noqa: E402
from goodput_kernels.jax_loop import Loop, start  # noqa: E402
from goodput_kernels.jax_matmul import Dot  # noqa: E402


@dataclass(frozen=True)
class LeftAlone(Dot):
    """The same product of two operands that no pass changes: XLA takes it out."""

    def __call__(self, operand, result, *rest):  # noqa: ARG002 - that is the point
        unchanged, right = rest
        return super().__call__(unchanged, result, right)


def operands():
    left, right = (jax_operands.random_array((64, 64), "float32", "cpu", n) for n in (0, 1))
    return left, jax_operands.poison((64, 64), left.dtype, "cpu"), right


def test_a_dependent_product_is_in_the_loop():
    left, result, right = operands()
    zero = jnp.zeros((), left.dtype)
    text = jax_loop.lower(Loop(Dot("float32"), 5), left, result, zero, right).compile().as_text()
    products = [found for found in in_loops(text) if found.is_product]
    assert [found.elements for found in products] == [64 * 64]


def test_a_product_that_xla_took_out_is_refused():
    left, result, right = operands()
    with pytest.raises(RuntimeError, match="took the work out of the loop"):
        start(Loop(LeftAlone("float32"), 5), left, result, left.copy(), right)


def test_no_pass_copies_a_whole_operand():
    left, result, right = operands()
    zero = jnp.zeros((), left.dtype)
    text = jax_loop.lower(Loop(Dot("float32"), 5), left, result, zero, right).compile().as_text()
    assert not [found for found in in_loops(text) if found.opcode == "copy" and found.elements > 1]


@dataclass(frozen=True)
class Count:
    """Adds one to the last result: after so many passes it is their number."""

    def __call__(self, operand, result, *rest):  # noqa: ARG002 - a step's arguments
        return result + operand

    def is_done_by(self, instructions, elements):
        return bool(instructions) and elements > 0


@pytest.mark.parametrize("repeats", [2, 7])
def test_every_pass_runs_and_calls_go_on(repeats):
    call = start(Loop(Count(), repeats), jnp.ones(8), jnp.zeros(8))
    assert np.asarray(call()).tolist() == [repeats] * 8
    assert np.asarray(call()).tolist() == [2 * repeats] * 8


def test_a_chain_of_results_depends_by_itself():
    call = start(Loop(Count(), 5, chained=True), jnp.ones(8), jnp.zeros(8))
    assert np.asarray(call()).tolist() == [5] * 8


def test_one_pass_is_no_loop():
    with pytest.raises(ValueError, match="2 passes, not 1"):
        start(Loop(Count(), 1), jnp.ones(8), jnp.zeros(8))


def test_what_jax_cannot_do_is_a_runtime_error():
    left, result, _ = operands()
    with pytest.raises(RuntimeError, match="contracting"):
        start(Loop(Dot("float32"), 2), left, result, jnp.ones((3, 3)))


def test_a_program_is_compiled_once():
    before = jax_loop._compiled.cache_info()
    for _ in range(2):
        start(Loop(Count(), 3), jnp.ones(11), jnp.zeros(11))
    after = jax_loop._compiled.cache_info()
    assert (after.misses - before.misses, after.hits - before.hits) == (1, 1)


HLO = """HloModule jit_f

%fused (p: f32[8,8], q: f32[8,8]) -> f32[8,8] {
  %p = f32[8,8]{1,0} parameter(0)
  %q = f32[8,8]{1,0} parameter(1)
  ROOT %dot.1 = f32[8,8]{1,0} dot(%p, %q), lhs_contracting_dims={1}, rhs_contracting_dims={0}
}

%body (arg: (s32[], f32[8,8])) -> (s32[], f32[8,8]) {
  %arg = (s32[], f32[8,8]{1,0:T(8,128)}) parameter(0)
  %x = f32[8,8]{1,0:T(8,128)} get-tuple-element(%arg), index=1
  %g = (f32[8,8]{1,0}, s8[4194304]{0}) custom-call(%x, %x), custom_call_target="__cublas$gemm"
  %y = f32[8,8]{1,0} INSTRUCTION
  ROOT %t = (s32[], f32[8,8]{1,0}) tuple(%i, %y)
}

ENTRY %main (a: f32[8,8]) -> f32[8,8] {
  %a = f32[8,8]{1,0} parameter(0)
  %outside = f32[16,8]{1,0} convolution(%a, %a), dim_labels=bf_io->bf
  %w = (s32[], f32[8,8]{1,0}) while(%init), condition=%cond, body=%body
  ROOT %r = f32[8,8]{1,0} get-tuple-element(%w), index=1
}
"""


def test_hlo_of_loops_is_read_through_what_they_call():
    found = in_loops(HLO.replace("INSTRUCTION", "fusion(%x, %x), kind=kOutput, calls=%fused"))
    assert Instruction("dot", 64) in found
    assert Instruction("fusion", 64) in found
    assert Instruction("custom-call", 4194304, "__cublas$gemm") in found
    assert not [i for i in found if i.opcode == "convolution"]


def test_a_fusion_that_is_not_called_does_not_count():
    found = in_loops(HLO.replace("INSTRUCTION", "copy(%x)"))
    assert not [i for i in found if i.opcode == "dot"]
    assert [i.computes for i in found if i.opcode == "copy"] == [False]


def test_text_without_a_loop_has_nothing_in_loops():
    assert in_loops("ENTRY %main (a: f32[8]) -> f32[8] {\n  %a = f32[8]{0} parameter(0)\n}") == ()


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("__cublas$lt$matmul$f8", True),
        ("__gpu$xla.gpu.triton", True),
        ("tpu_custom_call", True),
        ("__onednn$matmul", True),
        ("__cudnn$norm", False),
        ("TopK", False),
    ],
)
def test_a_custom_call_is_a_product_by_its_target(target, expected):
    assert Instruction("custom-call", 64, target).is_product is expected
