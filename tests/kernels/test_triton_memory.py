"""Triton's memory kernels compile for every chip to whole vectors, and count what they move."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("triton", reason="Triton is not installed (Linux only)")
pytest.importorskip("torch", reason="kernels run through torch")

from goodput_kernels import memory, triton_memory
from goodput_kernels.triton_architecture import ARCHITECTURES
from goodput_kernels.triton_compile import compile_for
from goodput_kernels.triton_memory import SWEEPS

REQUIRED = ("sm_80", "sm_90", "sm_100", "gfx942")
# Tensors read, and tensors written, by mix.
MOVES = {"read": (1, 0), "write": (0, 1), "copy": (1, 1), "in-place": (1, 1)}
MOVES |= {"two-in-one-out": (2, 1)}


def check(chip, mix, sweep):
    compiled = compile_for(chip, triton_memory.source(mix, sweep))
    assert compiled.spilled_bytes == 0
    assert compiled.shared_bytes <= 1024  # for the sum of a block alone
    assert compiled.registers <= 64  # so that 1024 threads fit on a unit
    vectors = sweep.block // (sweep.warps * chip.lanes * 4)
    loads, stores = ("ld.global.v4", "st.global.v4")
    if chip.lanes == 64:
        loads, stores = ("buffer_load_dwordx4", "buffer_store_dwordx4")
    assert (compiled.count(loads), compiled.count(stores)) == tuple(
        vectors * tensors for tensors in MOVES[mix]
    )


@pytest.mark.parametrize("name", REQUIRED)
@pytest.mark.parametrize("mix", memory.MIXES)
def test_a_mix_compiles_to_whole_vectors(name, mix):
    check(ARCHITECTURES[name], mix, SWEEPS[0])


@pytest.mark.slow
@pytest.mark.parametrize("name", ARCHITECTURES)
@pytest.mark.parametrize("mix", memory.MIXES)
def test_every_sweep_compiles_to_whole_vectors_for_every_chip(name, mix):
    for sweep in SWEEPS:
        check(ARCHITECTURES[name], mix, sweep)


@given(st.sampled_from(memory.MIXES), st.integers(1, 1 << 32))
def test_traffic_and_footprint(mix, footprint):
    found = triton_memory.candidates(mix, footprint, architecture=ARCHITECTURES["sm_90"])
    assert len({candidate.label for candidate in found}) == len(SWEEPS)
    for candidate in found:
        assert (candidate.library, candidate.unit) == ("Triton", "bytes")
        # Tensors are whole vectors: at most 64 bytes of each are left out.
        assert footprint - 3 * 64 < candidate.working_set_bytes <= max(footprint, 3 * 64)
        assert candidate.amount == candidate.working_set_bytes * (2 if mix == "in-place" else 1)


def test_a_sweep_launches_a_program_a_block_or_a_few_a_unit():
    each, persistent = SWEEPS[0], SWEEPS[-1]
    assert each.programs(each.block * 10 + 1, units=132) == 11
    assert persistent.programs(persistent.block * 10**6, units=132) == 132 * persistent.per_unit
    assert persistent.programs(persistent.block * 10, units=132) == 10


def test_what_32_bits_cannot_count_has_no_candidate():
    assert triton_memory.candidates("copy", 1 << 35, architecture=ARCHITECTURES["sm_90"]) == ()


def test_a_cpu_has_no_candidates():
    assert triton_memory.candidates("copy", 1 << 20, device="cpu") == ()


@pytest.mark.gpu
@pytest.mark.parametrize("mix", memory.MIXES)
def test_every_mix_is_right_on_the_device(mix):
    for footprint in (1 << 16, 100_000_000):
        for candidate in triton_memory.candidates(mix, footprint):
            assert candidate.verify().passed, candidate.name
