"""What elementwise operators cost: each once an element, in place as out of place."""

from __future__ import annotations

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import goodput.formulas.aten  # noqa: F401 - registers the formulas
from goodput.formulas.aten_activation import BACKWARD, FORWARD, LOSSES, WITH_INPLACE
from goodput.formulas.aten_pointwise import ARITHMETIC, FOREACH, FUNCTIONS, OUT_OF_PLACE, Row
from goodput.formulas.pointwise import broadcast, category, elementwise, promote
from goodput.formulas.registry import work_of
from goodput.work import ITEM_BYTES, Argument, Call, TensorSpec, Work

SHAPES = st.lists(st.integers(1, 9), max_size=4).map(tuple)
SHAPE = (3, 5)
NUMEL = 15
X = TensorSpec(SHAPE, "float32")
ROWS = {**ARITHMETIC, **OUT_OF_PLACE, **WITH_INPLACE, **FORWARD, **BACKWARD}


def work(name: str, *inputs: Argument) -> Work:
    found = work_of(Call(f"aten::{name}", inputs))
    assert found is not None, name
    return found


def operands(row: Row, tensor: TensorSpec) -> list[Argument]:
    """Arguments that put `tensor` in the operands' places, and 1 elsewhere."""
    last = max((*row.at, row.scale or 0))
    return [tensor if place in row.at else 1 for place in range(last + 1)]


@pytest.mark.parametrize(
    ("name", "inputs", "flops", "special"),
    [
        ("add", (X, X, 1), 1, 0),
        ("add", (X, X, 0.5), 2, 0),
        ("sub", (X, 2.0, 1), 1, 0),
        ("mul", (X, X), 1, 0),
        ("div", (X, X), 1, 0),
        ("div", (X, X, "floor"), 2, 0),
        ("exp", (X,), 0, 1),
        ("rsqrt", (X,), 0, 1),
        ("sigmoid", (X,), 3, 1),
        ("relu", (X,), 1, 0),
        ("silu", (X,), 4, 1),
        ("gelu", (X, "none"), 4, 1),
        ("gelu", (X, "tanh"), 8, 1),
        ("gelu", (X, None), 4, 1),
        ("gelu_backward", (X, X, "tanh"), 17, 1),
        ("pow", (X, 2), 1, 0),
        ("pow", (X, 3.0), 2, 0),
        ("pow", (X, 0.5), 0, 1),
        ("pow", (X, X), 0, 1),
        ("pow", (2.0, X), 0, 1),
        ("clamp", (X, 0.0, None), 1, 0),
        ("clamp", (X, 0.0, 1.0), 2, 0),
        ("clamp_min_", (X, 0), 1, 0),
        ("addcmul", (X, X, X, 1), 2, 0),
        ("addcmul", (X, X, X, 0.1), 3, 0),
        ("addcdiv_", (X, X, X, -0.1), 3, 0),
        ("lerp", (X, X, 0.1), 3, 0),
        ("where", (TensorSpec(SHAPE, "bool"), X, X), 0, 0),
        ("masked_fill_", (X, TensorSpec(SHAPE, "bool"), 0), 0, 0),
        ("eq", (X, X), 0, 0),
        ("threshold_backward", (X, X, 0), 0, 0),
        ("tanh_backward", (X, X), 3, 0),
        ("native_dropout", (X, 0.1, True), 2, 0),
        ("mse_loss", (X, X, 0), 2, 0),
        ("mse_loss", (X, X, 1), 3, 0),
    ],
)
def test_operator_costs_this_for_each_element(name, inputs, flops, special):
    found = work(name, *inputs)

    assert (found.vector_flops, found.special) == (flops * NUMEL, special * NUMEL)
    assert found.flops == 0


@pytest.mark.parametrize("name", sorted(ROWS))
def test_each_input_is_read_once_and_each_output_written_once(name):
    row = ROWS[name]
    found = work(name, *operands(row, X))
    written = {"bool": 1, "complex": 8}.get(row.result, 4)

    assert found.bytes_read == len(row.at) * X.bytes
    assert found.bytes_written == row.outputs * NUMEL * written


@pytest.mark.parametrize("name", sorted({*ARITHMETIC, *WITH_INPLACE, *FUNCTIONS}))
@settings(max_examples=8)
@given(shape=SHAPES)
def test_in_place_costs_what_out_of_place_costs(name, shape):
    x = TensorSpec(shape, "bfloat16")
    inputs = operands(ROWS[name], x) if name in ROWS else [x, 0.5]
    plain, inplace = work(name, *inputs), work(f"{name}_", *inputs)

    assert (plain.vector_flops, plain.special) == (inplace.vector_flops, inplace.special)
    assert plain.bytes_read == inplace.bytes_read


@pytest.mark.parametrize("name", sorted(FOREACH))
@settings(max_examples=8)
@given(shapes=st.lists(SHAPES, min_size=1, max_size=4))
def test_a_list_costs_the_sum_of_its_items(name, shapes):
    tensors = [TensorSpec(shape, "float32") for shape in shapes]
    count = len(ROWS[name].at) if name in ROWS else 2
    single = sum((work(name, *([x] * count)) for x in tensors), Work())
    inplace = sum(
        (work(f"{name}_" if name not in OUT_OF_PLACE else name, *([x] * count)) for x in tensors),
        Work(),
    )

    assert work(f"_foreach_{name}", *([tuple(tensors)] * count)) == single
    assert work(f"_foreach_{name}_", *([tuple(tensors)] * count)) == inplace


def test_a_list_with_a_number_for_each_item():
    found = work("_foreach_addcdiv_", (X, X), (X, X), (X, X), (1, -0.5))

    assert found == work("addcdiv_", X, X, X, 1) + work("addcdiv_", X, X, X, -0.5)


@pytest.mark.parametrize("missing", [(), None])
def test_a_list_that_was_not_recorded_is_unknown(missing):
    assert work_of(Call("aten::_foreach_add_", (missing, missing, 1))) is None
    assert work_of(Call("aten::_foreach_add_", ((X,), (X,), 1))) is not None


def test_a_call_without_shapes_is_unknown():
    for name in ("add", "relu_", "gelu", "mse_loss", "native_dropout", "nll_loss_forward", "glu"):
        assert work_of(Call(f"aten::{name}")) is None, name


@pytest.mark.parametrize("dtype", ["int64", "bool", "uint8"])
def test_integer_arithmetic_moves_bytes_only(dtype):
    x = TensorSpec(SHAPE, dtype)
    found = work("add", x, x, 1)

    assert (found.vector_flops, found.special) == (0, 0)
    assert found.bytes == 3 * x.bytes


def test_integers_divide_as_floats():
    found = work("div", TensorSpec(SHAPE, "int64"), 2)

    assert found.vector_flops == NUMEL
    assert found.bytes_written == 4 * NUMEL


def test_complex_arithmetic_counts_its_real_operations():
    x = TensorSpec(SHAPE, "complex64")

    assert work("add", x, x, 1).vector_flops == 2 * NUMEL
    assert work("mul", x, x).vector_flops == 6 * NUMEL
    assert work("abs", x).bytes_written == 4 * NUMEL


def test_a_broadcast_input_is_stored_once():
    expanded = TensorSpec(SHAPE, "float32", (0, 1))

    assert work("add", X, expanded, 1).bytes_read == X.bytes + 5 * 4


def test_an_output_that_is_given_is_no_input():
    assert work("add", X, X, 1, X) == work("add", X, X, 1)


@pytest.mark.parametrize(("name", "reduction"), [(name, row[1]) for name, row in LOSSES.items()])
def test_a_reduced_loss_writes_one_number(name, reduction):
    inputs: list[Argument] = [X, X, *([None] * (reduction - 2)), 1]
    found = work(name, *inputs)

    assert found.bytes_written == 4
    inputs[reduction] = 0
    assert work(name, *inputs).bytes_written == X.bytes
    assert found.vector_flops == work(name, *inputs).vector_flops + NUMEL


def test_negative_log_likelihood_reads_one_element_of_each_row():
    scores, target = TensorSpec((8, 1000), "float32"), TensorSpec((8,), "int64")
    forward = work("nll_loss_forward", scores, target, None, 1, -100)
    backward = work("nll_loss_backward", TensorSpec((), "float32"), scores, target, None, 1, -100)

    assert (forward.vector_flops, forward.bytes_read) == (8, 8 * 8 + 8 * 4)
    assert backward.bytes_written == scores.bytes


def test_a_gated_unit_halves_its_input():
    found = work("glu", TensorSpec((3, 10), "float32"), -1)

    assert (found.vector_flops, found.special, found.bytes_written) == (60, 15, 60)


@settings(deadline=None)  # the first call imports torch
@given(st.lists(SHAPES, min_size=1, max_size=3))
def test_broadcast_agrees_with_torch(shapes):
    torch = pytest.importorskip("torch")
    try:
        expected = tuple(torch.broadcast_shapes(*shapes))
    except RuntimeError:
        with pytest.raises(ValueError):
            broadcast(shapes)
    else:
        assert broadcast(shapes) == expected


# torch promotes neither eight bits of floating point nor wide unsigned integers.
UNPROMOTED = ("float8", "uint16", "uint32", "uint64")
DTYPES = [name for name in ITEM_BYTES if not name.startswith(UNPROMOTED)]


@settings(deadline=None)
@given(
    st.sampled_from(DTYPES),
    st.sampled_from(DTYPES),
    st.booleans(),
    st.booleans(),
)
def test_types_promote_as_in_torch(left, right, left_is_wide, right_is_wide):
    assume("float16" not in (left, right) or not f"{left}{right}".count("complex"))  # complex32
    torch = pytest.importorskip("torch")
    shapes = [(2,) if wide else () for wide in (left_is_wide, right_is_wide)]
    tensors = [
        torch.zeros(shape, dtype=getattr(torch, name))
        for shape, name in zip(shapes, (left, right), strict=True)
    ]
    specs = [TensorSpec(shape, name) for shape, name in zip(shapes, (left, right), strict=True)]

    assert promote(specs) == str(torch.result_type(*tensors)).removeprefix("torch.")


@settings(deadline=None)
@given(st.sampled_from(DTYPES), st.sampled_from([True, 1, 1.0, 1j]))
def test_numbers_promote_as_in_torch(name, number):
    assume((name, number) != ("float16", 1j))  # complex32 has no neutral name
    torch = pytest.importorskip("torch")
    expected = torch.result_type(torch.zeros(2, dtype=getattr(torch, name)), number)

    assert promote((TensorSpec((2,), name), number)) == str(expected).removeprefix("torch.")


@given(SHAPES, st.integers(0, 9), st.integers(0, 9))
def test_elementwise_is_linear_in_its_costs(shape, flops, special):
    x = TensorSpec(shape, "float32")
    found = elementwise((x,), (x,), flops=flops, special=special)

    assert found.vector_flops == flops * x.numel
    assert found.special == special * x.numel
    assert found.bytes == 2 * x.bytes


def test_categories():
    assert [category(name) for name in ("bool", "uint8", "int64", "bfloat16", "complex64")] == [
        0,
        1,
        1,
        2,
        3,
    ]


def test_rows_have_the_schemas_places():
    """Every operand of every row is a tensor or number of the schema, every scale a number."""
    torch = pytest.importorskip("torch")
    for name, row in ROWS.items():
        packet = getattr(torch.ops.aten, name)
        schemas = [getattr(packet, each)._schema for each in packet.overloads()]
        tensors = [s for s in schemas if "Tensor" in {str(a.type) for a in s.arguments}]
        fitting = [s for s in tensors if len(s.arguments) > max(row.at)]
        assert fitting, name
        kinds = {str(s.arguments[place].type) for s in fitting for place in row.at}
        assert "Tensor" in kinds, (name, kinds)
        assert kinds <= {"Tensor", "Optional[Tensor]", "number", "int", "float", "complex"}, name
        if row.scale is not None:
            long = [s for s in fitting if len(s.arguments) > row.scale]
            assert {s.arguments[row.scale].name for s in long} & {"alpha", "value"}, name
