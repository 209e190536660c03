"""cdist and pdist as PyTorch calls them: useful FLOPs where it is a product, vector work else."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import goodput.formulas.aten
from goodput.formulas.distance import pair_distances, pair_distances_backward
from goodput.formulas.registry import work_of
from goodput.work import Call, TensorSpec

assert goodput.formulas.aten.MODULES
FEATURES = 16


def spec(*shape: int) -> TensorSpec:
    return TensorSpec(shape, "float32")


def test_by_product_and_one_by_one() -> None:
    few, many = (spec(10, 16), spec(12, 16)), (spec(32, 16), spec(40, 16))
    one = work_of(Call("aten::_cdist_forward", (*few, 2.0, None)))
    assert one is not None
    assert (one.flops, one.vector_flops, one.special) == (0, 3 * 120 * 16, 120)
    product = work_of(Call("aten::_cdist_forward", (*many, 2.0, None)))
    assert product is not None
    assert (product.flops, product.special) == (2 * 32 * 40 * 18, 1280)
    assert product == work_of(Call("aten::_euclidean_dist", many))
    direct = work_of(Call("aten::_cdist_forward", (*many, 2.0, 2)))
    manhattan = work_of(Call("aten::_cdist_forward", (*many, 1.0, None)))
    assert direct is not None
    assert manhattan is not None
    assert direct.vector_flops == manhattan.vector_flops == 3 * 1280 * 16
    assert (direct.special, manhattan.special) == (1280, 0)
    assert direct.flops == 0


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.sampled_from([1.0, 2.0, 3.0, float("inf")]))
def test_pytorch_takes_the_way_that_is_counted(calls_of, p, r, power) -> None:
    torch = pytest.importorskip("torch")
    calls = calls_of(lambda: torch.cdist(torch.randn(p, FEATURES), torch.randn(r, FEATURES), power))
    names = {"aten::_cdist_forward", "aten::_euclidean_dist"}
    (call,) = [call for call in calls if call.name in names]
    work = work_of(call)
    assert work is not None
    by_product = power == 2 and max(p, r) > 25
    assert call.name == ("aten::_euclidean_dist" if by_product else "aten::_cdist_forward")
    assert work.flops == (2 * p * r * (FEATURES + 2) if by_product else 0)
    if not by_product:
        assert work.special == pair_distances(p * r, FEATURES, power).special
    assert work.bytes_written == sum(output.bytes for output in call.outputs)


@pytest.mark.parametrize("power", [1.0, 2.0, 1.5])
def test_the_gradients_as_pytorch_calls_them(calls_of, power) -> None:
    torch = pytest.importorskip("torch")
    x, y = (torch.randn(n, FEATURES, requires_grad=True) for n in (5, 6))

    def step() -> None:
        (torch.cdist(x, y, power).sum() + torch.pdist(x, power).sum()).backward()

    calls = [call for call in calls_of(step) if call.name.endswith("dist_backward")]
    assert sorted(call.name for call in calls) == ["aten::_cdist_backward"] * 2 + [
        "aten::_pdist_backward"
    ]
    for call in calls:
        work = work_of(call)
        assert work is not None
        both = call.name == "aten::_pdist_backward"
        expected = pair_distances_backward(10 if both else 30, FEATURES, power, ends=1 + both)
        assert (work.flops, work.vector_flops) == (0, expected.vector_flops)
        assert work.special == expected.special
        assert work.bytes_written == sum(output.bytes for output in call.outputs)


@given(st.integers(2, 50))
def test_pdist_meets_each_pair_once(points) -> None:
    work = work_of(Call("aten::_pdist_forward", (spec(points, FEATURES), 2.0)))
    assert work is not None
    pairs = points * (points - 1) // 2
    assert work.vector_flops == pair_distances(pairs, FEATURES).vector_flops
    assert work.bytes_written == 4 * pairs


NAMES = (
    "_cdist_forward",
    "_cdist_backward",
    "_euclidean_dist",
    "_pdist_forward",
    "_pdist_backward",
)


def test_calls_without_shapes_are_unknown() -> None:
    assert [work_of(Call(f"aten::{name}")) for name in NAMES] == [None] * len(NAMES)
