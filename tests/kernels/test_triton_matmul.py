"""Triton's matrix products compile for every chip without one, within its bounds, for its units."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

triton = pytest.importorskip("triton", reason="Triton is not installed (Linux only)")
torch = pytest.importorskip("torch", reason="kernels run through torch")

from goodput_kernels import triton_matmul, triton_tiles  # noqa: E402 - skips
from goodput_kernels.triton_architecture import ARCHITECTURES  # noqa: E402 - the same
from goodput_kernels.triton_compile import compile_for  # noqa: E402 - the same

REQUIRED = ("sm_80", "sm_90", "sm_100", "gfx942")
INSTRUCTION = {
    "ampere": "mma.sync",
    "hopper": "wgmma.mma_async",
    "blackwell": "tcgen05.mma",
    "cdna3": "v_mfma",
    "cdna4": "v_mfma",
}
FETCH = {"ampere": ("cp.async.c",), "hopper": ("cp.async.bulk.tensor",)}
FETCH |= {"blackwell": FETCH["hopper"]}
FETCH |= dict.fromkeys(("cdna3", "cdna4"), ("buffer_load", "global_load"))  # by Triton's version
# One of each width is compiled every time: strict float32, 16 bits, and 8 bits.
QUICK = ("float32", "bfloat16", "float8_e4m3")


def every_tile(chips, modes=triton_tiles.MODES):
    return [
        pytest.param(ARCHITECTURES[name], mode, tile, id=f"{name}-{mode}-{tile.name(mode)}")
        for name in chips
        for mode in modes
        for tile in triton_tiles.tiles(mode, ARCHITECTURES[name])
    ]


def first_of_each(chips):
    chosen = {}
    for parameter in every_tile(chips, QUICK):
        chip, mode, _ = parameter.values
        chosen.setdefault((chip.name, mode), parameter)
    return list(chosen.values())


def product(chip, mode, tile, edge=4096):
    return triton_matmul.Product(mode, 1, edge, edge, edge, tile, "cuda", float8=chip.float8)


def check(chip, mode, tile):
    compiled = compile_for(chip, triton_matmul.source(product(chip, mode, tile)))
    assert compiled.spilled_bytes == 0
    assert 0 < compiled.shared_bytes <= chip.shared_bytes
    assert 64 <= compiled.registers <= (512 if chip.family.startswith("cdna") else 255)
    # The matrix unit does it (NVIDIA's vector units for strict float32), and fetches overlap.
    vector = mode == "float32" and not chip.family.startswith("cdna")
    unit = "fma.rn.f32" if vector else INSTRUCTION[chip.family]
    if (chip.name, mode) == ("sm_103", "int8"):
        unit = INSTRUCTION["ampere"]  # B300 gave up int8 in its tensor memory units
    assert compiled.count(unit) > 0
    assert any(map(compiled.count, FETCH["ampere" if vector else chip.family]))


@pytest.mark.parametrize(("chip", "mode", "tile"), first_of_each(REQUIRED))
def test_a_product_compiles_within_bounds(chip, mode, tile):
    check(chip, mode, tile)


@pytest.mark.slow
@pytest.mark.parametrize(("chip", "mode", "tile"), every_tile(ARCHITECTURES))
def test_every_tile_compiles_within_bounds_for_every_chip(chip, mode, tile):
    check(chip, mode, tile)


def test_a_tile_that_is_too_large_is_found_out():
    tile = triton_tiles.Tile(256, 256, 32, 4, 2)
    chip = ARCHITECTURES["sm_80"]
    compiled = compile_for(chip, triton_matmul.source(product(chip, "bfloat16", tile)))
    assert compiled.spilled_bytes > 0
    with pytest.raises(AssertionError):
        check(chip, "bfloat16", tile)


def test_the_code_is_searched_by_whole_instructions():
    chip = ARCHITECTURES["sm_80"]
    source = triton_matmul.source(product(chip, "float32", triton_tiles.Tile(32, 32, 64, 4, 1)))
    compiled = compile_for(chip, source)
    assert compiled.count("fma.rn.f32") == 32 * 32 * 16 // 128  # one thread's part of a tile's
    assert compiled.count("mma.sync") == 0


@given(
    st.sampled_from(sorted(ARCHITECTURES)),
    st.sampled_from(triton_tiles.MODES),
    st.tuples(*[st.integers(1, 5)] * 4),
)
def test_a_candidate_counts_its_multiply_adds_and_its_bytes(name, mode, sizes):
    batch, m, n, k = sizes[0], *(256 * size for size in sizes[1:])
    chip = ARCHITECTURES[name]
    found = triton_matmul.candidates(mode, batch, m, n, k, "cuda", architecture=chip)
    assert len(found) == len(triton_tiles.tiles(mode, chip))
    assert len({candidate.label for candidate in found}) == len(found)
    operand = {"float32": 4, "tf32": 4, "bfloat16": 2, "float16": 2}.get(mode, 1)
    result = {"int8": 4, "float8_e4m3": 2}.get(mode, operand)
    for candidate in found:
        assert candidate.library == "Triton"
        assert candidate.unit == "flops"
        assert candidate.amount == 2 * batch * m * n * k
        assert candidate.working_set_bytes == batch * ((m + n) * k * operand + m * n * result)


def test_every_chip_has_tiles_for_what_it_has():
    for chip in ARCHITECTURES.values():
        modes = {mode for mode in triton_tiles.MODES if triton_tiles.tiles(mode, chip)}
        lacking = {"float8_e4m3"} if chip.float8 is None else set()
        lacking |= {"tf32"} if chip.family == "cdna4" else set()
        assert modes == set(triton_tiles.MODES) - lacking


def test_sizes_that_a_kernel_cannot_do_have_no_candidate():
    ampere, hopper = ARCHITECTURES["sm_80"], ARCHITECTURES["sm_90"]
    asked = {"device": "cuda", "architecture": ampere}
    assert triton_matmul.candidates("bfloat16", 1, 100, 100, 1000, **asked) == ()
    assert triton_matmul.candidates("bfloat16", 1, 100, 100, 1024, **asked) != ()
    asked = {"device": "cuda", "architecture": hopper}
    # Rows of descriptors are multiples of 16 bytes; a batch must not share a tile.
    assert triton_matmul.candidates("bfloat16", 1, 100, 104, 1000, **asked) != ()
    assert triton_matmul.candidates("bfloat16", 1, 100, 100, 1000, **asked) == ()
    assert triton_matmul.candidates("bfloat16", 2, 100, 104, 1000, **asked) == ()


def test_a_mode_or_a_chip_without_kernels_has_no_candidates():
    assert triton_matmul.candidates("complex64", 1, 256, 256, 256, "cuda") == ()
    chip = ARCHITECTURES["sm_80"]
    assert triton_matmul.candidates("float8_e4m3", 1, 256, 256, 256, architecture=chip) == ()


def test_a_cpu_has_no_candidates():
    assert triton_matmul.candidates("bfloat16", 1, 256, 256, 256, device="cpu") == ()


def test_zeros_are_named():
    chip = ARCHITECTURES["sm_90"]
    found = triton_matmul.candidates("bfloat16", 2, 256, 256, 256, data="zeros", architecture=chip)
    assert found[0].name == "tma-128x256x64-w8-s4-halves 2x256x256x256 bfloat16 zeros"


@pytest.mark.gpu
@pytest.mark.parametrize("mode", triton_tiles.MODES)
def test_every_product_is_right_on_the_device(mode):
    sizes = [(1, 2816, 1536, 4096), (1, 1000, 1008, 1024), (3, 512, 512, 512)]
    found = [c for size in sizes for c in triton_matmul.candidates(mode, *size)]
    if not found:
        pytest.skip(f"no kernels for {mode} on {torch.cuda.get_device_name()}")
    failed = [f"{c.name}: {checked}" for c in found if not (checked := c.verify()).passed]
    assert not failed
