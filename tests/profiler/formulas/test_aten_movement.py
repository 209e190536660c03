"""What copies, fills, random numbers and indexing move, and that views move nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import goodput.formulas.aten  # noqa: F401 - registers the formulas
from goodput.formulas.aten_indexing import indexed_shape
from goodput.formulas.aten_movement import NOTHING
from goodput.formulas.registry import work_of
from goodput.work import Argument, Call, TensorSpec, Work

X = TensorSpec((4, 6), "float32")
INDEX = TensorSpec((3,), "int64")
SHAPES = st.lists(st.integers(1, 6), min_size=1, max_size=4).map(tuple)


def work(name: str, *inputs: Argument) -> Work:
    found = work_of(Call(f"aten::{name}", inputs))
    assert found is not None, name
    return found


@pytest.mark.parametrize("name", sorted(NOTHING))
def test_views_and_bookkeeping_are_no_work(name):
    assert work(name, X, (24,)) == Work()
    assert work(name) == Work()


@pytest.mark.parametrize(
    ("name", "inputs", "read", "written"),
    [
        ("copy_", (X, X, False), 96, 96),
        ("copy_", (X, TensorSpec((6,), "bfloat16"), False), 12, 96),
        ("clone", (X, 0), 96, 96),
        ("clone", (TensorSpec((4, 6), "float32", (0, 1)), 0), 24, 96),
        ("_to_copy", (X, 15, None, None, None, False, None), 96, 48),
        ("_to_copy", (X, "torch.float64", None, None, None, False, None), 96, 192),
        ("_to_copy", (X, None, None, None, None, False, None), 96, 96),
        ("cat", ((X, X, X), 1), 288, 288),
        ("stack", ((X, X), 0), 192, 192),
        ("repeat", (X, (2, 1, 3)), 96, 6 * 96),
        ("constant_pad_nd", (X, (0, 2), 0.0), 96, 4 * 8 * 4),
        ("constant_pad_nd", (X, (0, -2, 1, 1), 0.0), 96, 6 * 4 * 4),
        ("roll", (X, (1,), (0,)), 96, 96),
        ("flip", (X, (0,)), 96, 96),
        ("tril", (X, 0), 96, 96),
        ("fill_", (X, 0), 0, 96),
        ("zero_", (X,), 0, 96),
        ("zeros_like", (X, None, None, None, None, 0), 0, 96),
        ("ones_like", (X, "torch.int64", None, None, None, 0), 0, 192),
        ("full_like", (X, 1.0, 5, None, None, None, None), 0, 48),
        ("zeros", ((2, 3), 7, None, None, None), 0, 48),
        ("full", ((2, 3), 1, None, None, None, None), 0, 48),
        ("full", ((2, 3), 1.0, None, None, None, None), 0, 24),
        ("new_zeros", (X, (5,), None, None, None, None), 0, 20),
        ("arange", (10, None, None, None, None), 0, 80),
        ("arange", (0, 10, 6, None, None, None), 0, 40),
        ("arange", (0, 10, 3, 6, None, None, None), 0, 16),
        ("arange", (0, 10, 3, "torch.int32", None, None, None), 0, 16),
        ("linspace", (0, 1, 5, None, None, None, None), 0, 20),
        ("eye", (3, None, None, None, None), 0, 36),
        ("eye", (3, 4, None, None, None, None), 0, 48),
        ("randperm", (7, 4, None, None, None), 0, 56),
        ("randint", (0, 9, (5,), 4, None, None, None), 0, 40),
        ("uniform_", (X, 0.0, 1.0, None), 0, 96),
        ("bernoulli_", (X, 0.5, None), 0, 96),
        ("bernoulli_", (X, X, None), 96, 96),
        ("bernoulli", (X, None), 96, 96),
        ("tril_indices", (3, 3, 0, 4, None, None, None), 0, 2 * 6 * 8),
        ("triu_indices", (3, 4, 1, 4, None, None, None), 0, 2 * 6 * 8),
        ("_local_scalar_dense", (TensorSpec((), "float64"),), 8, 0),
        ("slice_backward", (X, (9, 6), 0, 0, 4, 1), 96, 216),
        ("select_backward", (TensorSpec((6,), "float32"), (4, 6), 0, 1), 24, 96),
        ("slice_scatter", (X, TensorSpec((1, 6), "float32"), 0, 0, 1, 1), 96, 96),
        ("split_with_sizes_copy", (X, (1, 3), 0), 96, 96),
        ("gather", (X, 1, TensorSpec((4, 2), "int64"), False), 64 + 32, 32),
        ("index_select", (X, 0, INDEX), 24 + 72, 72),
        ("index_select", (X, -1, INDEX), 24 + 48, 48),
        ("index", (X, (INDEX,)), 24 + 72, 72),
        ("index", (X, (None, INDEX)), 24 + 48, 48),
        ("index_put_", (X, (INDEX,), TensorSpec((3, 6), "float32"), False), 24 + 72, 72),
        ("index_put", (X, (INDEX,), TensorSpec((3, 6), "float32"), False), 24 + 72 + 96, 96),
        ("index_fill_", (X, 0, INDEX, 0.0), 24, 72),
        ("scatter_", (X, 1, TensorSpec((4, 1), "int64"), 1.0), 32, 16),
        ("scatter", (X, 1, TensorSpec((4, 1), "int64"), X), 32 + 16 + 96, 96),
        ("bucketize", (X, TensorSpec((5,), "float32"), False, False), 96 + 20, 192),
        ("im2col", (TensorSpec((1, 2, 4, 4), "float32"), (2, 2), (1, 1), (0, 0), (2, 2)), 128, 128),
        ("_foreach_zero_", ((X, X),), 0, 192),
        ("_foreach_copy_", ((X, X), (X, X), False), 192, 192),
        ("_chunk_cat", ((X, TensorSpec((5,), "float32")), 0, 2), 116, 96 + 24),
    ],
)
def test_operator_moves(name, inputs, read, written):
    found = work(name, *inputs)

    assert (found.bytes_read, found.bytes_written) == (read, written)
    assert (found.flops, found.vector_flops, found.special) == (0, 0, 0)


def test_an_embedding_reads_the_rows_that_it_looks_up():
    weight, tokens = TensorSpec((50257, 768), "float32"), TensorSpec((2, 16), "int64")
    found = work("embedding", weight, tokens, -1)

    assert found.vector_flops == 0
    assert found.bytes_read == 32 * 8 + 32 * 768 * 4
    assert found.bytes_written == 32 * 768 * 4


def test_an_embedding_never_reads_more_than_its_table():
    weight, tokens = TensorSpec((2, 8), "float32"), TensorSpec((100,), "int64")

    assert work("embedding", weight, tokens).bytes_read == 100 * 8 + weight.bytes


def test_the_gradient_of_an_embedding_adds_rows_into_zeros():
    gradient, tokens = TensorSpec((2, 16, 8), "float32"), TensorSpec((2, 16), "int64")
    found = work("embedding_dense_backward", gradient, tokens, 100, -1)

    assert found.vector_flops == gradient.numel
    assert found.bytes_read == gradient.bytes + tokens.bytes
    assert found.bytes_written == 100 * 8 * 4


@pytest.mark.parametrize("name", ["index_add", "index_add_"])
def test_what_is_added_is_a_flop(name):
    found = work(name, X, 0, INDEX, TensorSpec((3, 6), "float32"), 1)

    assert found.vector_flops == 18
    assert work(name, X, 0, INDEX, TensorSpec((3, 6), "float32"), 0.5).vector_flops == 36


def test_scatter_reduce_and_accumulated_puts_add():
    index = TensorSpec((4, 6), "int64")

    assert work("scatter_add_", X, 1, index, X).vector_flops == 24
    assert work("scatter_reduce", X, 1, index, X, "mean").vector_flops == 24
    assert work("scatter_", X, 1, index, X, "add").vector_flops == 24
    assert work("index_put_", *(X, (INDEX,), X, True)).vector_flops == 18


def test_one_value_behind_a_mask_is_a_masked_fill():
    mask, zero = TensorSpec((4, 6), "bool"), TensorSpec((), "float32")

    assert work("index_put_", X, (mask,), zero) == work("masked_fill_", X, mask, zero)
    assert work_of(Call("aten::index_put_", (X, None, zero))) is None


def test_an_index_that_repeats_touches_no_more_than_there_is():
    many = TensorSpec((1000,), "int64")
    found = work("index_add_", X, 0, many, TensorSpec((1000, 6), "float32"), 1)

    assert found.bytes_written == X.bytes


@given(shape=SHAPES, data=st.data())
def test_a_copy_of_a_tensor_is_the_sum_of_its_parts(shape, data):
    dtype = data.draw(st.sampled_from(["float32", "bfloat16", "int64"]))
    whole, part = TensorSpec(shape, dtype), TensorSpec(shape[1:], dtype)

    assert work("clone", whole) == work("clone", part) * shape[0]
    assert work("cat", (whole, whole), 0) == work("clone", whole) * 2


@pytest.mark.parametrize(
    ("name", "flops", "special"), [("normal_", 2, 2), ("exponential_", 1, 1), ("random_", 0, 0)]
)
def test_random_numbers(name, flops, special):
    found = work(name, X)

    assert (found.vector_flops, found.special) == (flops * 24, special * 24)


@pytest.mark.parametrize(
    "call",
    [
        Call("aten::nonzero", (X,)),
        Call("aten::masked_select", (X, TensorSpec((4, 6), "bool"))),
        Call("aten::index", (X, None)),
        Call("aten::index", (X, (TensorSpec((4,), "bool"),))),
        Call("aten::cat", ((), 0)),
        Call("aten::cat", (None, 0)),
        Call("aten::_unique2", (X, True, True, False)),
        Call("aten::zeros"),
        Call("aten::copy_"),
        Call("aten::arange"),
    ],
)
def test_what_the_shapes_do_not_say_is_unknown(call):
    assert work_of(call) is None


def test_outputs_tell_sizes_that_are_in_the_data():
    mask = TensorSpec((4,), "bool")
    found = work_of(Call("aten::nonzero", (X,), (TensorSpec((5, 2), "int64"),)))
    picked = work_of(Call("aten::index", (X, (mask,)), (TensorSpec((2, 6), "float32"),)))

    assert found == Work(bytes_read=X.bytes, bytes_written=80)
    assert picked == Work(bytes_read=4 + 48, bytes_written=48)


@pytest.mark.parametrize(
    "places",
    [(0,), (1,), (2,), (0, 1), (1, 2), (0, 2), (0, 1, 2)],
)
def test_indexed_shapes_agree_with_torch(places):
    torch = pytest.importorskip("torch")
    shape = (3, 4, 5)
    index = torch.zeros(2, 1, dtype=torch.int64)
    chosen = tuple(index if place in places else slice(None) for place in range(3))
    expected = tuple(torch.zeros(shape)[chosen].shape)
    indices = tuple(TensorSpec((2, 1), "int64") if p in places else None for p in range(3))

    assert indexed_shape(TensorSpec(shape, "float32"), indices) == expected


def test_an_index_without_an_element_type_is_an_integer_unless_it_may_be_a_mask() -> None:
    source = TensorSpec((4, 6), "float32")
    untyped = work_of(Call("aten::index", (source, (TensorSpec((3,), "float32"),))))
    typed = work_of(Call("aten::index", (source, (TensorSpec((3,), "int64"),))))
    assert untyped == typed
    for shape in ((4,), (4, 6)):
        assert work_of(Call("aten::index", (source, (TensorSpec(shape, "float32"),)))) is None
