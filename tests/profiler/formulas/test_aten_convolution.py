from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import goodput.formulas.aten
from goodput.formulas.aten_convolution import BACKWARD, FORWARD
from goodput.formulas.registry import has_formula, work_of
from goodput.work import Call, TensorSpec, Work

assert goodput.formulas.aten.MODULES


def spec(*shape: int, dtype: str = "float32") -> TensorSpec:
    return TensorSpec(shape, dtype)


def counted(calls: list[Call], name: str) -> list[Work]:
    return [work for call in calls if call.name == name and (work := work_of(call))]


GENERAL = ((1, 1), (1, 1), (1, 1), False, (0, 0), 1)


def test_work_column_by_column() -> None:
    call = Call("aten::convolution", (spec(2, 3, 8, 8), spec(4, 3, 3, 3), spec(4), *GENERAL))
    flops = 2 * 2 * 8 * 8 * 4 * 3 * 9
    assert work_of(call) == Work(
        flops=flops,
        dense_flops=flops,
        vector_flops=2 * 4 * 64,
        bytes_read=4 * (2 * 3 * 64 + 4 * 27 + 4),
        bytes_written=4 * 2 * 4 * 64,
    )


def test_every_back_ends_name_counts_the_same() -> None:
    x, w, b = spec(2, 3, 8, 8), spec(4, 3, 3, 3), spec(4)
    ones, names = (1, 1), "aten::"
    same = [
        Call(names + "convolution", (x, w, b, *GENERAL)),
        Call(names + "_convolution", (x, w, b, *GENERAL, False, False, True, True)),
        Call(names + "convolution_overrideable", (x, w, b, *GENERAL)),
        Call(names + "mkldnn_convolution", (x, w, b, ones, ones, ones, 1)),
        Call(names + "miopen_convolution", (x, w, b, ones, ones, ones, 1, False, False)),
        Call(names + "_slow_conv2d_forward", (x, w, (3, 3), b, ones, ones)),
        Call(names + "slow_conv_dilated2d", (x, w, (3, 3), b, ones, ones, ones)),
        Call(names + "_nnpack_spatial_convolution", (x, w, b, ones, ones)),
    ]
    first = work_of(same[0])
    assert first is not None
    assert [work_of(call) for call in same] == [first] * len(same)
    cudnn = work_of(Call(names + "cudnn_convolution", (x, w, ones, ones, ones, 1)))
    bare = work_of(Call(names + "convolution", (x, w, None, *GENERAL)))
    assert cudnn == bare
    fused = (x, w, spec(2, 4, 8, 8), 1, b, ones, ones, ones, 1)
    add_relu = work_of(Call(names + "cudnn_convolution_add_relu", fused))
    assert add_relu == first + Work(vector_flops=2 * 512, bytes_read=4 * 512)
    relu = work_of(Call(names + "cudnn_convolution_relu", (x, w, b, ones, ones, ones, 1)))
    assert relu == first + Work(vector_flops=512)


def test_one_padding_stands_for_all_dimensions() -> None:
    x, w = spec(2, 3, 8, 8), spec(4, 3, 3, 3)
    one = work_of(Call("aten::mkldnn_convolution", (x, w, None, (1,), (1,), (1,), 1)))
    two = work_of(Call("aten::mkldnn_convolution", (x, w, None, (1, 1), (1, 1), (1, 1), 1)))
    assert one == two is not None


def test_a_trace_without_shapes_or_strides_is_unknown_not_zero() -> None:
    x, w = spec(2, 3, 8, 8), spec(4, 3, 3, 3)
    assert all(work_of(Call(name)) is None for name in (*FORWARD, *BACKWARD))
    assert work_of(Call("aten::convolution", (x, w, None))) is None
    # A back end's own operator says whether it is transposed; a result says its own shape.
    shaped = Call("aten::cudnn_convolution", (x, w), (spec(2, 4, 8, 8),))
    assert work_of(shaped) is not None


@pytest.mark.parametrize("name", ["conv2d", "conv_transpose2d", "thnn_conv2d", "slow_conv3d"])
def test_composites_are_left_to_what_runs_inside_them(name: str) -> None:
    assert not has_formula(f"aten::{name}")


def gradient_call(mask: tuple[bool, bool, bool] | None, groups: int = 1) -> Call:
    fixed = (spec(2, 8, 6, 6), spec(2, 4, 8, 8), spec(8, 4 // groups, 3, 3), (8,))
    rest = ((1, 1), (0, 0), (1, 1), False, (0, 0), groups)
    return Call("aten::convolution_backward", (*fixed, *rest, *([mask] if mask else [])))


@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize("of_input", [True, False])
@pytest.mark.parametrize("of_weight", [True, False])
@pytest.mark.parametrize("of_bias", [True, False])
def test_the_output_mask_is_honoured(groups, of_input, of_weight, of_bias) -> None:
    work = work_of(gradient_call((of_input, of_weight, of_bias), groups))
    forward = 2 * 2 * 36 * 8 * (4 // groups) * 9
    assert work is not None
    assert work.flops == work.dense_flops == forward * (of_input + of_weight)
    assert work.vector_flops == of_bias * 2 * 8 * 36
    gradient, source, weight = 2 * 8 * 36, 2 * 4 * 64, 8 * (4 // groups) * 9
    any_mask = of_input or of_weight or of_bias
    assert work.bytes_read == 4 * (any_mask * gradient + of_input * weight + of_weight * source)
    assert work.bytes_written == 4 * (of_input * source + of_weight * weight + of_bias * 8)


def test_without_an_output_mask_a_gradient_is_unknown() -> None:
    assert work_of(gradient_call(None)) is None


def test_names_of_old_traces_agree_with_todays() -> None:
    g, x, w = spec(2, 8, 6, 6), spec(2, 4, 8, 8), spec(8, 4, 3, 3)
    sizes = ((0, 0), (1, 1), (1, 1), 1)
    both = (True, True)
    today = work_of(gradient_call((True, True, False)))
    cudnn = Call("aten::cudnn_convolution_backward", (x, g, w, *sizes, False, False, True, both))
    mkldnn = Call("aten::mkldnn_convolution_backward", (x, g, w, *sizes, (True, True, False)))
    assert work_of(cudnn) == work_of(mkldnn) == today


CASE = st.tuples(
    st.integers(1, 3),  # dimensions
    st.integers(1, 2),  # images
    st.sampled_from([1, 2, 3]),  # groups
    st.integers(1, 2),  # channels of a group, in
    st.integers(1, 2),  # channels of a group, out
    st.integers(1, 3),  # kernel
    st.integers(1, 2),  # stride
    st.integers(0, 1),  # padding
    st.integers(1, 2),  # dilation
    st.booleans(),  # transposed
)


@settings(max_examples=40, deadline=None)
@given(case=CASE)
def test_pytorchs_forward_and_backward_for_every_geometry(calls_of, case) -> None:
    torch = pytest.importorskip("torch")
    rank, images, groups, ins, outs, kernel, stride, padding, dilation, transposed = case
    x = torch.ones(images, ins * groups, *(7,) * rank, device="meta", requires_grad=True)
    first = (ins * groups, outs) if transposed else (outs * groups, ins)
    w = torch.ones(*first, *(kernel,) * rank, device="meta", requires_grad=True)
    b = torch.ones(outs * groups, device="meta", requires_grad=True)
    many = [[value] * rank for value in (stride, padding, dilation)]
    sizes: list[tuple[int, ...]] = []

    def program() -> None:
        y = torch.convolution(x, w, b, *many, transposed, [0] * rank, groups)
        sizes.append(tuple(y.shape))
        y.backward(torch.ones_like(y))

    calls = calls_of(program)
    (forward,) = counted(calls, "aten::convolution")
    (backward,) = counted(calls, "aten::convolution_backward")
    # Each position of the larger channel side meets every tap of the other side's group.
    outer = 7**rank * ins if transposed else math.prod(sizes[0][2:]) * outs
    inner = (outs if transposed else ins) * kernel**rank
    assert forward.flops == 2 * images * groups * outer * inner
    assert forward.bytes_written == 4 * math.prod(sizes[0])
    assert forward.vector_flops == math.prod(sizes[0])
    assert backward.flops == 2 * forward.flops
    assert backward.bytes_written == 4 * (x.numel() + w.numel() + b.numel())


@pytest.mark.parametrize("transposed", [False, True])
def test_flop_counter_mode_agrees_where_it_is_right(calls_of, transposed) -> None:
    torch = pytest.importorskip("torch")
    from torch.utils.flop_counter import FlopCounterMode

    layer = torch.nn.ConvTranspose2d if transposed else torch.nn.Conv2d
    model = torch.nn.Sequential(torch.nn.Conv2d(3, 6, 1), layer(6, 5, 3, stride=2, padding=1))
    x = torch.ones(2, 3, 9, 9)
    with FlopCounterMode(display=False) as counter:
        model(x).sum().backward()
    calls = calls_of(lambda: model(x).sum().backward())
    names = ("aten::convolution", "aten::convolution_backward")
    ours = sum(work.flops for name in names for work in counted(calls, name))
    assert ours == counter.get_total_flops()


def test_a_depthwise_weight_gradient_is_not_counted_as_dense(calls_of) -> None:
    torch = pytest.importorskip("torch")
    layer = torch.nn.Conv2d(32, 32, 3, padding=1, groups=32)
    x = torch.ones(4, 32, 16, 16, requires_grad=True)
    calls = calls_of(lambda: layer(x).sum().backward())
    (backward,) = counted(calls, "aten::convolution_backward")
    assert backward.flops == 2 * 589_824  # FlopCounterMode of torch 2.13 says 19,464,192


FORWARD_PLACES = [
    (name, getattr(row, field), words)
    for name, row in FORWARD.items()
    for field, words in {
        "stride": ("stride",),
        "padding": ("padding",),
        "dilation": ("dilation",),
        "bias": ("bias",),
        "groups": ("groups",),
        "transposed": ("transposed",),
        "output_padding": ("output_padding",),
        "also": ("z",),
    }.items()
    if getattr(row, field) >= 0
    and not (field == "dilation" and name.endswith(("_slow_conv2d_forward", "slow_conv3d_forward")))
    and not (field == "groups" and "depthwise" in name and "miopen" not in name)
]


@pytest.mark.parametrize(("name", "place", "words"), FORWARD_PLACES)
def test_forward_arguments_stand_where_pytorch_has_them(named, name, place, words) -> None:
    assert named(name, place) in words


@pytest.mark.parametrize(
    "name",
    [
        "aten::convolution_backward",
        "aten::convolution_backward_overrideable",
        "aten::_slow_conv2d_backward",
        "aten::mps_convolution_backward",
        "aten::mps_convolution_transpose_backward",
    ],
)
def test_backward_arguments_stand_where_pytorch_has_them(named, name) -> None:
    row = BACKWARD[name]
    assert named(name, row.gradient) == "grad_output"
    assert named(name, row.source) in ("input", "self")
    assert named(name, row.weight) == "weight"
    if row.transposed >= 0:
        assert named(name, row.transposed) == "transposed"
