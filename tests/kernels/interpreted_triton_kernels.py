"""Every Triton kernel in Triton's interpreter against float64, on a CPU; broken ones are found out.

Run by test_triton_interpreter.py in a process of its own: the interpreter has to be chosen before
Triton is imported. By hand: TRITON_INTERPRET=1 python -m pytest THIS_FILE
"""

import os
from dataclasses import replace

import pytest
import triton

from goodput_kernels import memory, triton_chain, triton_latency, triton_matmul, triton_memory
from goodput_kernels.triton_architecture import ARCHITECTURES
from goodput_kernels.verification import verify

pytestmark = pytest.mark.skipif(
    os.environ.get("TRITON_INTERPRET") != "1", reason="TRITON_INTERPRET=1 chooses the interpreter"
)

# Edges that no tile divides, where the kernel takes them; more tiles than programs.
SIZE = (1, 200, 272, 256)
BATCH = (2, 256, 512, 128)


def products(name, modes, size=SIZE, first=None):
    chip = ARCHITECTURES[name]
    for mode in modes:
        yield from triton_matmul.candidates(mode, *size, device="cpu", architecture=chip)[:first]


ALL = ("float32", "tf32", "bfloat16", "float16", "float8_e4m3", "int8")
# Triton 3.7's interpreter has no name for CDNA3's float8; 3.9's has.
KNOWS_AMD_S_FLOAT8 = tuple(map(int, triton.__version__.split(".")[:2])) >= (3, 9)
CHECKED = {
    candidate.name: candidate
    for candidate in (
        *products("sm_80", ALL, first=1),
        *products("sm_89", ("float8_e4m3",), first=1),
        *products("sm_90", ALL[1:], first=1),
        *products("sm_90", ("bfloat16",)),
        *products("sm_100", ("float16",)),
        *(products("gfx942", ("float8_e4m3",), first=1) if KNOWS_AMD_S_FLOAT8 else ()),
        *products("sm_80", ("int8",), BATCH, first=1),
        *products("sm_90", ("bfloat16",), BATCH, first=2),
    )
}


@pytest.mark.parametrize("candidate", CHECKED.values(), ids=CHECKED)
def test_a_product_is_right(candidate):
    checked = candidate.verify()
    assert checked.passed, checked
    assert checked.error > 0 or candidate.name.endswith("int8")


MEMORY = {
    candidate.name: candidate
    for mix in memory.MIXES
    for footprint in (1 << 10, 200_000)
    for candidate in triton_memory.candidates(mix, footprint, "cpu", ARCHITECTURES["sm_90"])
}
CHIP = {"device": "cpu", "rounds": 2, "architecture": ARCHITECTURES["sm_90"]}
CHAINS = {
    candidate.name: candidate
    for candidate in (
        *triton_chain.special_candidates(**CHIP),
        *(
            c
            for d in triton_chain.MULTIPLY_ADDS
            for c in triton_chain.multiply_add_candidates(d, **CHIP)
        ),
    )
}


@pytest.fixture(autouse=True)
def few_blocks(monkeypatch):
    # The interpreter takes a tenth of a second for each program of a chain.
    monkeypatch.setattr(triton_chain, "_BLOCKS_PER_UNIT", 1)


@pytest.mark.parametrize("candidate", MEMORY.values(), ids=MEMORY)
def test_memory_is_moved_as_it_should_be(candidate):
    assert candidate.verify().error == 0


@pytest.mark.parametrize("candidate", CHAINS.values(), ids=CHAINS)
def test_a_chain_is_right(candidate):
    checked = candidate.verify()
    assert checked.passed, checked


def test_the_empty_kernel_runs():
    (candidate,) = triton_latency.candidates("cpu", ARCHITECTURES["sm_90"])
    assert candidate.prepare()() is None


class Tampered:
    """A kernel launched as asked, but for what is changed in its sizes (batch, m, n, k)."""

    def __init__(self, kernel, **changes):
        self.kernel = kernel
        self.changes = changes

    def __getitem__(self, grid):
        def launch(left, right, result, batch, m, n, k, **constants):
            sizes = {"batch": batch, "m": m, "n": n, "k": k}
            for name, change in self.changes.items():
                sizes[name] += change
            self.kernel[grid](left, right, result, *sizes.values(), **constants)

        return launch


BROKEN = {
    "the last row is not written": ("sm_80", {"m": -1}, float("inf")),
    "the last products are left out": ("sm_90", {"k": -64}, 0.5),
    "the last matrix of a batch is left out": ("sm_90", {"batch": -1}, float("inf")),
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_broken_product_fails(how, monkeypatch):
    name, changes, error = BROKEN[how]
    kernel = "descriptor_kernel" if name == "sm_90" else "pointer_kernel"
    broken = Tampered(getattr(triton_matmul, kernel), **changes)
    monkeypatch.setattr(triton_matmul, kernel, broken)
    checked = next(products(name, ["bfloat16"], BATCH if "batch" in how else SIZE)).verify()
    assert not checked.passed
    assert checked.error == pytest.approx(error, rel=0.1)


class Shortened:
    """A kernel launched as asked, but for one of its arguments, which is less."""

    def __init__(self, kernel, place, by=1):
        self.kernel = kernel
        self.place = place
        self.by = by

    def __getitem__(self, grid):
        def launch(*arguments, **constants):
            changed = list(arguments)
            changed[self.place] -= self.by
            self.kernel[grid](*changed, **constants)

        return launch


@pytest.mark.parametrize("mix", memory.MIXES)
def test_a_vector_left_out_is_found_out(mix, monkeypatch):
    found = triton_memory._MIXES[mix]
    broken = Shortened(found.kernel, len(found.tensors), by=4)
    changed = {mix: replace(found, kernel=broken)}
    monkeypatch.setattr(triton_memory, "_MIXES", triton_memory._MIXES | changed)
    for candidate in triton_memory.candidates(mix, 3 << 12, "cpu", ARCHITECTURES["sm_90"]):
        assert not candidate.verify().passed


@pytest.mark.parametrize("operation", ["multiply-add", "rsqrt", "sigmoid"])
def test_a_chain_that_does_too_little_is_found_out(operation, monkeypatch):
    name = "multiply_add_kernel" if operation == "multiply-add" else "special_kernel"
    monkeypatch.setattr(triton_chain, name, Shortened(getattr(triton_chain, name), 2))
    chain = triton_chain.Chain(operation, "float32", 32, 1, "cpu")
    assert not verify(triton_chain._kernel(chain)).passed
