"""Triton's chains compile for every chip to the operations that they count, in a loop."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

triton = pytest.importorskip("triton", reason="Triton is not installed (Linux only)")
torch = pytest.importorskip("torch", reason="kernels run through torch")

import triton.language as tl  # noqa: E402 - after the skips

from goodput_kernels import triton_chain, triton_latency  # noqa: E402 - the same
from goodput_kernels.triton_architecture import ARCHITECTURES  # noqa: E402 - the same
from goodput_kernels.triton_chain import (  # noqa: E402 - the same
    ACCUMULATORS,
    MULTIPLY_ADDS,
    PER_THREAD,
    SPECIAL,
    STEPS,
    Chain,
)
from goodput_kernels.triton_compile import Source, compile_for  # noqa: E402 - the same

REQUIRED = ("sm_80", "sm_90", "sm_100", "gfx942")
CHAINS = [("multiply-add", dtype) for dtype in MULTIPLY_ADDS]
CHAINS += [(name, "float32") for name in SPECIAL]
NVIDIA = {
    ("multiply-add", "float32"): "fma.rn.f32",
    ("multiply-add", "float64"): "fma.rn.f64",
    ("multiply-add", "int32"): "mad.lo.s32",
    ("exp2", "float32"): "ex2.approx.ftz.f32",
    ("rsqrt", "float32"): "rsqrt.approx.ftz.f32",
    ("sigmoid", "float32"): "ex2.approx.f32",
}
AMD = {
    ("multiply-add", "float32"): "v_pk_fma_f32",
    ("multiply-add", "float64"): "v_fma_f64",
    ("multiply-add", "int32"): "v_mad_u64_u32",
    ("exp2", "float32"): "v_exp_f32",
    ("rsqrt", "float32"): "v_rsq_f32",
    ("sigmoid", "float32"): "v_exp_f32",
}
EACH_ROUND = ACCUMULATORS * STEPS * PER_THREAD


def operations(chip, chain, compiled):
    """The operations on one value that the code holds."""
    names = AMD if chip.lanes == 64 else NVIDIA
    name = names[chain.operation, chain.dtype]
    pairs = compiled.count(f"{name}x2")
    # AMD's pairs are of their own name; NVIDIA's begin as the single one does.
    return compiled.count(name) * (2 if "_pk_" in name else 1) + pairs


def check(name, operation, dtype):
    chip = ARCHITECTURES[name]
    chain = Chain(operation, dtype, chip.lanes)
    compiled = compile_for(chip, triton_chain.source(chain))
    assert (compiled.spilled_bytes, compiled.shared_bytes) == (0, 0)
    assert compiled.registers <= 64
    found = operations(chip, chain, compiled)
    # Where the compiler unrolls the loop, it holds a whole number of rounds.
    assert found > 0
    assert found % EACH_ROUND == 0
    assert compiled.count("s_cbranch" if chip.lanes == 64 else "bra") > 0


@pytest.mark.parametrize("name", REQUIRED)
@pytest.mark.parametrize(("operation", "dtype"), CHAINS)
def test_a_chain_compiles_to_what_it_counts(name, operation, dtype):
    check(name, operation, dtype)


@pytest.mark.slow
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_chain_compiles_to_what_it_counts_for_every_chip(name):
    for operation, dtype in CHAINS:
        check(name, operation, dtype)


@triton.jit
def dropped_kernel(values, result, rounds, factor: tl.constexpr, steps: tl.constexpr):
    a = tl.load(values)
    b = a
    for _ in tl.range(rounds):
        for _ in tl.static_range(steps):
            a = tl.fma(a, factor, b)
    tl.store(result, b)


def test_a_chain_whose_result_is_dropped_is_found_out():
    signature = {"values": "*fp32", "result": "*fp32", "rounds": "i32"}
    constants = {"factor": 0.5, "steps": STEPS}
    source = Source(dropped_kernel, signature, constants, triton_chain.options())
    assert compile_for(ARCHITECTURES["sm_90"], source).count("fma.rn.f32") == 0


@given(st.sampled_from(CHAINS), st.integers(1, 100))
def test_a_chain_counts_its_operations(chain, rounds):
    operation, dtype = chain
    asked = {"device": "cpu", "rounds": rounds, "architecture": ARCHITECTURES["sm_90"]}
    if operation == "multiply-add":
        (found,) = triton_chain.multiply_add_candidates(dtype, **asked)
    else:
        named = {c.name.split()[0]: c for c in triton_chain.special_candidates(**asked)}
        found = named[operation]
    elements = Chain(operation, dtype, 32, rounds, "cpu").elements
    each, unit = (2, "flops") if operation == "multiply-add" else (1, "special")
    assert (found.library, found.unit) == ("Triton", unit)
    assert found.amount == each * ACCUMULATORS * STEPS * rounds * elements
    assert found.working_set_bytes == 2 * elements * getattr(torch, dtype).itemsize


def test_the_reference_of_a_chain():
    x = torch.tensor([0.5, 1.0, 1.5], dtype=torch.float64)
    # a = a / 2 + x contracts to 2 x, whatever it begins with; four of them make 8 x.
    assert torch.allclose(triton_chain.chained(Chain("multiply-add", "float32", 32, 8), x), 8.0 * x)
    assert torch.allclose(triton_chain.chained(Chain("rsqrt", "float32", 32, 8), x), 4.0 + 0.0 * x)
    # a = 3 a + 1, 64 times, in integers that wrap round at 32 bits.
    one = torch.tensor([1], dtype=torch.int32)
    wrapped = triton_chain.chained(Chain("multiply-add", "int32", 32, 4), one)
    power = pow(3, 64)
    exact = sum(start * power for start in (1, 2, -1, 1)) + 4 * (power - 1) // 2
    assert int(wrapped) == (exact + 2**31) % 2**32 - 2**31


@pytest.mark.parametrize("name", REQUIRED)
def test_the_empty_kernel_is_empty(name):
    compiled = compile_for(ARCHITECTURES[name], triton_latency.source())
    assert (compiled.spilled_bytes, compiled.shared_bytes) == (0, 0)
    assert compiled.count("ld.global") + compiled.count("global_load") == 0
    assert compiled.count("ret" if name.startswith("sm_") else "s_endpgm") == 1


def test_a_cpu_has_no_candidates():
    assert triton_chain.multiply_add_candidates(device="cpu") == ()
    assert triton_chain.special_candidates(device="cpu") == ()
    assert triton_latency.candidates(device="cpu") == ()


@pytest.mark.gpu
def test_every_chain_is_right_on_the_device():
    found = [c for dtype in MULTIPLY_ADDS for c in triton_chain.multiply_add_candidates(dtype)]
    for candidate in [*found, *triton_chain.special_candidates()]:
        checked = candidate.verify()
        assert checked.passed, (candidate.name, checked)
    for candidate in triton_latency.candidates():
        candidate.prepare()()
