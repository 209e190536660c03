"""Triton kernels counted from their text: by Triton's own interpreter, by hand, and by formula."""

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

triton = pytest.importorskip("triton", reason="Triton is not installed (Linux only)")
torch = pytest.importorskip("torch", reason="tensors are torch's")

import triton.language as tl  # noqa: E402 - skips

from goodput.frontends.triton_kernels import launched, ttir_of  # noqa: E402 - the same
from goodput.readers.ttir import count_kernel  # noqa: E402 - the same
from goodput_kernels import triton_chain, triton_matmul_kernels, triton_memory  # noqa: E402

HERE = Path(__file__).parent
ORACLE = HERE / "interpreted_triton_counts.py"


def kernels_module():
    path = HERE / "counted_triton_kernels.py"
    spec = importlib.util.spec_from_file_location("counted_triton_kernels", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # its dataclass looks itself up
    spec.loader.exec_module(module)
    return module


KERNELS = kernels_module()


def hollow(elements, dtype="float16"):
    return torch.empty(elements, dtype=getattr(torch, dtype), device="meta")


def arguments(launch, make=hollow):
    tensors = [make(elements, dtype) for dtype, elements in launch.tensors.values()]
    return (*tensors, *launch.numbers.values())


@pytest.fixture(scope="module")
def interpreted(repository):
    environment = os.environ | {"TRITON_INTERPRET": "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, os.fspath(ORACLE)]
    run = subprocess.run(
        command, cwd=repository, env=environment, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


@pytest.mark.skipif(
    triton.__version__.startswith("3.6."),
    reason="Triton 3.6's interpreter makes scalars of arrays, which NumPy 2.4 refuses",
)
@pytest.mark.parametrize("passes", [True, False], ids=["as it runs", "as it is written"])
@pytest.mark.parametrize("name", KERNELS.LAUNCHES)
def test_counts_are_the_interpreter_s(name, passes, interpreted):
    launch = KERNELS.LAUNCHES[name]
    if launch.kernel is KERNELS.scaled_product and name not in interpreted:
        pytest.skip("the interpreter of this Triton has no scaled products")
    text, values = ttir_of(
        launch.kernel, arguments(launch), launch.constants, launch.grid, passes=passes
    )
    found = count_kernel(text, launch.grid, values)
    assert figures(found) == dict.fromkeys(figures(found), 0) | interpreted[name]
    assert found.notes == ()


def figures(found):
    return {
        "dot": found.issued_flops,
        "vector": found.vector_flops,
        "special": found.special,
        "loaded": found.loaded_bytes,
        "stored": found.stored_bytes,
        "atomic": found.atomic_bytes,
        "read": found.read_bytes,
        "written": found.written_bytes,
    }


def ones(elements, dtype):
    return torch.ones(elements, dtype=getattr(torch, dtype))


@pytest.mark.skipif(
    triton.__version__.startswith("3.6."),
    reason="Triton 3.6's interpreter makes scalars of arrays, which NumPy 2.4 refuses",
)
@pytest.mark.parametrize("name", KERNELS.MEASURED)
def test_what_depends_on_whole_numbers_in_memory_is_measured_and_said(name, interpreted):
    launch = KERNELS.MEASURED[name]
    found = launched(launch.kernel, arguments(launch, ones), launch.constants, launch.grid)
    assert figures(found.count) == dict.fromkeys(figures(found.count), 0) | interpreted[name]
    (warning,) = found.warnings
    assert "whole numbers that its tensors hold" in warning


def count(kernel, tensors, numbers, constants, grid):
    found = launched(kernel, (*tensors, *numbers), constants, grid)
    assert found.warnings == ()
    return found.count


def product(kernel, sizes, tile, grid, **constants):
    m, n, k = sizes
    numbers = (*sizes, k, n, n) if kernel is KERNELS.masked_product else sizes
    names = dict(zip(("rows", "columns", "depth"), tile, strict=True))
    tensors = [hollow(m * k), hollow(k * n), hollow(m * n)]
    return count(kernel, tensors, numbers, names | constants, grid)


def cdiv(a, b):
    return -(-a // b)


def test_a_product_that_no_tile_divides():
    found = product(KERNELS.masked_product, (200, 150, 100), (64, 64, 32), (4, 3))
    assert found.issued_flops == 12_582_912
    assert found.useful_flops == 6_000_000
    assert found.read_bytes == 70_000
    assert found.written_bytes == 60_000
    work = found.work
    assert (work.flops, work.padding_flops) == (6_000_000, 6_582_912)


SIZES = st.tuples(*[st.integers(1, 300)] * 3)
TILES = st.tuples(*[st.sampled_from((16, 32, 64))] * 3)


@settings(deadline=None, max_examples=25)
@given(SIZES, TILES)
def test_a_product_of_any_size_in_any_tiles(sizes, tile):
    tiles = tuple(cdiv(size, edge) for size, edge in zip(sizes, tile, strict=True))
    m, n, k = sizes
    padded = [count * edge for count, edge in zip(tiles, tile, strict=True)]
    found = product(KERNELS.masked_product, sizes, tile, tiles[:2])
    assert found.issued_flops == 2 * padded[0] * padded[1] * padded[2]
    assert found.useful_flops == 2 * m * n * k
    assert found.read_bytes == 2 * (m * k + k * n)
    assert found.written_bytes == 2 * m * n
    assert found.loaded_bytes == 2 * (m * k * tiles[1] + k * n * tiles[0])


@settings(deadline=None, max_examples=15)
@given(SIZES, TILES)
def test_rows_that_wrap_round_are_padding_too(sizes, tile):
    m, n, k = sizes
    grid = (cdiv(m, tile[0]) * cdiv(n, tile[1]),)
    found = product(KERNELS.wrapped_product, sizes, tile, grid, group=3)
    assert found.useful_flops == 2 * m * n * k
    assert found.read_bytes == 2 * (m * k + k * n)
    assert found.written_bytes == 2 * m * n


@settings(deadline=None, max_examples=15)
@given(SIZES, TILES, st.integers(1, 9))
def test_a_persistent_product_does_the_same(sizes, tile, programs):
    m, n, k = sizes
    found = product(KERNELS.persistent_product, sizes, tile, (programs,))
    assert found.useful_flops == 2 * m * n * k
    assert found.read_bytes == 2 * (m * k + k * n)
    assert found.issued_flops >= found.useful_flops


@settings(deadline=None, max_examples=15)
@given(st.integers(1, 300), st.integers(1, 3), st.sampled_from((16, 32, 64)))
def test_causal_attention_needs_the_pairs_on_and_below_the_diagonal(tokens, heads, block):
    tensors = [hollow(heads * tokens * 64) for _ in range(4)]
    constants = {"block_m": 64, "block_n": block, "width": 64}
    grid = (cdiv(tokens, 64), heads)
    found = count(KERNELS.attention, tensors, (tokens, 0.18), constants, grid)
    pairs = heads * tokens * (tokens + 1) // 2
    assert found.useful_flops == 4 * 64 * pairs
    assert found.read_bytes == 3 * 2 * heads * tokens * 64


def test_a_large_product_is_counted_whole():
    found = product(KERNELS.masked_product, (4096, 4096, 4096), (64, 64, 32), (64, 64))
    assert found.issued_flops == found.useful_flops == 2 * 4096**3
    assert found.read_bytes == 2 * 2 * 4096**2


# Our own kernels, for which benchmarks know the amounts.


def test_our_persistent_product():
    kernel = triton_matmul_kernels.pointer_kernel
    batch, m, n, k = 2, 200, 272, 256
    constants = {
        "programs": 3,
        "block_m": 64,
        "block_n": 64,
        "block_k": 64,
        "group": 8,
        "accumulator": tl.float32,
        "precision": "ieee",
        "promote": 0,
        "widen": False,
    }
    tensors = [hollow(batch * m * k), hollow(batch * n * k), hollow(batch * m * n)]
    found = count(kernel, tensors, (batch, m, n, k), constants, (3,))
    assert found.issued_flops == 2 * batch * 256 * 320 * 256
    assert found.useful_flops == 2 * batch * m * n * k
    assert found.read_bytes == 2 * batch * (m * k + n * k)
    assert found.written_bytes == 2 * batch * m * n


@pytest.mark.parametrize("halves", [True, False])
def test_our_product_by_descriptors(halves):
    from triton.tools.tensor_descriptor import TensorDescriptor

    m, n, k = 200, 272, 256
    shapes = ((m, k, 64), (n, k, 64), (m, n, 32 if halves else 64))
    tensors = [
        TensorDescriptor.from_tensor(torch.empty(rows, columns, dtype=torch.float16), [64, width])
        for rows, columns, width in shapes
    ]
    constants = {
        "programs": 3,
        "block_m": 64,
        "block_n": 64,
        "block_k": 64,
        "group": 8,
        "accumulator": tl.float32,
        "precision": "ieee",
        "promote": 0,
        "widen": False,
        "specialize": False,
        "flatten": True,
        "halves": halves,
    }
    kernel = triton_matmul_kernels.descriptor_kernel
    found = count(kernel, tensors, (1, m, n, k), constants, (3,))
    assert found.issued_flops == 2 * 256 * 320 * 256
    assert found.useful_flops == 2 * m * n * k
    assert found.read_bytes == 2 * (m * k + n * k)
    assert found.written_bytes == 2 * m * n


@pytest.mark.parametrize("dtype", ["float32", "int32"])
def test_our_chains(dtype):
    chain = triton_chain.Chain("multiply-add", dtype, 32, 2, "cpu")
    tensors = [hollow(chain.elements, dtype)] * 2
    grid = (chain.elements // chain.block,)
    found = count(chain.kernel, tensors, (chain.rounds,), chain.constants, grid)
    steps = 4 * triton_chain.STEPS * chain.rounds
    begun_and_ended = 6  # x + x, -x, x * x, and three sums
    floating = dtype == "float32"
    assert found.vector_flops == floating * (2 * steps + begun_and_ended) * chain.elements
    assert found.read_bytes == found.written_bytes == 4 * chain.elements


def test_our_special_functions():
    chain = triton_chain.Chain("exp2", "float32", 32, 2, "cpu")
    tensors = [hollow(chain.elements, "float32")] * 2
    grid = (chain.elements // chain.block,)
    found = count(chain.kernel, tensors, (chain.rounds,), chain.constants, grid)
    assert found.special == 4 * triton_chain.STEPS * chain.rounds * chain.elements


def test_our_copies():
    tensors = [hollow(100_001, "float32"), hollow(100_001, "float32")]
    kernel = triton_memory.copy_kernel
    found = count(kernel, tensors, (100_001, 7), {"block": 1024}, (7,))
    assert found.loaded_bytes == found.read_bytes == 400_004
    assert found.stored_bytes == found.written_bytes == 400_004


# What cannot be counted, and what an author says.


@triton.jit
def by_length(x, y, lengths, block: tl.constexpr):
    pid = tl.program_id(0)
    total = 0.0
    for first in range(0, tl.load(lengths + pid), block):
        total += tl.sum(tl.load(x + first + tl.arange(0, block)), 0)
    tl.store(y + pid, total)


@triton.jit
def with_assembly(x, y, block: tl.constexpr):
    at = tl.arange(0, block)
    values = tl.inline_asm_elementwise(
        "shf.l.wrap.b32 $0, $1, $1, 3;", "=r,r", [tl.load(x + at)], tl.int32, is_pure=True, pack=1
    )
    tl.store(y + at, values)


@triton.jit
def gathered(table, places, y, width: tl.constexpr):
    row = tl.load(places + tl.program_id(0))
    at = tl.arange(0, width)
    tl.store(y + tl.program_id(0) * width + at, tl.load(table + row * width + at))


@triton.jit
def wrong(x, block: tl.constexpr):
    tl.store(x + tl.arange(0, block), unheard_of)  # noqa: F821 - the point


REFUSED = {
    "a loop by data": (by_length, 3, {"block": 16}, r"scf\.for: .* depends on data \(tt\.load\)"),
    "assembly": (with_assembly, 2, {"block": 32}, r"tt\.elementwise_inline_asm: no rule"),
    "an error": (wrong, 1, {"block": 16}, "does not compile"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_kernel_that_cannot_be_counted_is_named_with_its_operation(what):
    kernel, tensors, constants, why = REFUSED[what]
    for _ in range(2):  # what is remembered is told again
        found = launched(kernel, [hollow(64, "int32")] * tensors, constants, (4,))
        assert found.count is None
        assert found.work is None
        (warning,) = found.warnings
        assert kernel.fn.__name__ in warning
        assert re.search(why, warning), warning


def test_addresses_that_depend_on_data_are_a_bound_and_said_so():
    tensors = [hollow(8 * 64), hollow(4, "int64"), hollow(4 * 64)]
    found = launched(gathered, tensors, {"width": 64}, (4,))
    assert found.count.loaded_bytes == found.count.read_bytes == 4 * (8 + 128)
    assert found.count.written_bytes == 4 * 128
    (warning,) = found.warnings
    assert "gathered" in warning
    assert "tt.load" in warning


def stating(flops, moved):
    def say(_grid, metadata, args):
        assert metadata.name == "stated"
        return {"name": "stated", "flops32": flops, "bytes": moved * args["size"]}

    def stated(x, y, size, block: tl.constexpr):
        at = tl.program_id(0) * block + tl.arange(0, block)
        tl.store(y + at, tl.load(x + at, mask=at < size) * 2.0, mask=at < size)

    return triton.jit(stated, launch_metadata=say)


def test_what_an_author_says_is_kept_and_compared():
    tensors = [hollow(1024, "float32")] * 2
    right = launched(stating(1024, 8), (*tensors, 1000), {"block": 1024}, (1,))
    assert right.warnings == ()
    assert (right.stated.flops, right.stated.bytes) == (1024, 8000)
    low = launched(stating(10, 80), (*tensors, 1000), {"block": 1024}, (1,))
    assert low.count == right.count
    flops, moved = low.warnings
    assert "stated says 10 FLOP, and 1,024 are counted" in flops
    assert "stated says 80,000 bytes, and 8,000 are counted" in moved


def tuned():
    configurations = [triton.Config({"block": block}) for block in (64, 128)]

    def summed(x, y, size, block: tl.constexpr, even: tl.constexpr):
        at = tl.program_id(0) * block + tl.arange(0, block)
        values = tl.load(x + at) if even else tl.load(x + at, mask=at < size)
        tl.store(y + tl.program_id(0), tl.sum(values, 0))

    heuristics = triton.heuristics({"even": lambda args: args["size"] % args["block"] == 0})
    return triton.autotune(configurations, key=["size"])(heuristics(triton.jit(summed)))


def test_a_tuned_kernel_is_counted_with_the_chosen_configuration_or_the_first():
    kernel = tuned()
    tensors = [hollow(1000, "float32")] * 2
    first = launched(kernel, (*tensors, 1000), {}, lambda meta: (cdiv(1000, meta["block"]),))
    assert first.count.loaded_bytes == 4000
    assert first.count.vector_flops == 16 * 63
    (warning,) = first.warnings
    assert "first of its 2 configurations" in warning
    kernel.best_config = kernel.configs[1]
    chosen = launched(kernel, (*tensors, 1000), {}, lambda meta: (cdiv(1000, meta["block"]),))
    assert chosen.count.vector_flops == 8 * 127
    assert chosen.warnings == ()


# Where a product is useful.


@triton.jit
def with_epilogue(  # noqa: PLR0913, PLR0917 - a kernel has no other way to be told
    a, b, c, extra, m, n, limit, block: tl.constexpr, how: tl.constexpr
):
    row = tl.arange(0, block)
    column = tl.arange(0, block)
    x = tl.load(a + row[:, None] * block + column[None, :])
    y = tl.load(b + row[:, None] * block + column[None, :])
    total = tl.dot(x, y)
    some = row[:, None] < limit
    at = row[:, None] * block + column[None, :]
    if how == "added":
        total += tl.load(extra + at, mask=some, other=0.0)
    elif how == "scaled":
        total *= tl.load(extra + at, mask=some, other=0.0)
    elif how == "biased":
        total += tl.where(some, 0.0, -1.0e6)
    elif how == "filled":
        total = tl.where(some, total, float("-inf"))
    elif how == "rectified":
        total = tl.where(total > 0, total, 0.0)
    elif how == "stored twice":
        tl.store(extra + at, total, mask=some)
    inside = (row[:, None] < m) & (column[None, :] < n)
    tl.store(c + at, total, mask=inside)


NEEDED = {
    "plain": 20 * 30,
    "added": 20 * 30,  # a residual that only some rows have
    "scaled": 5 * 30,
    "biased": 5 * 30,
    "filled": 5 * 30,
    "rectified": 20 * 30,
    "stored twice": 20 * 30 + 5 * 2,  # some rows whole
}


@pytest.mark.parametrize("how", NEEDED)
def test_a_product_is_useful_where_its_result_is_needed(how):
    tensors = [hollow(1024, "float32")] * 4
    found = count(with_epilogue, tensors, (20, 30, 5), {"block": 32, "how": how}, (1,))
    assert found.issued_flops == 2 * 32**3
    assert found.useful_flops == 2 * NEEDED[how] * 32


def test_a_product_of_which_nothing_is_stored_is_padding():
    tensors = [hollow(1024, "float32")] * 4
    found = count(with_epilogue, tensors, (0, 0, 0), {"block": 32, "how": ""}, (1,))
    assert found.useful_flops == 0
