from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from goodput.errors import UsageError
from goodput.formulas.attention import Pairs, attention, attention_backward
from goodput.formulas.conventions import (
    BY_OPERATOR,
    CONVENTIONS,
    FLOP_COUNTER_OPERATORS,
    Counted,
    check_by_operator,
    split,
    useful_flops,
)
from goodput.work import Work

WORK = Work(flops=4, dense_flops=6, recompute_flops=8, padding_flops=10, vector_flops=13)
COUNTS = st.integers(0, 10**15).map(lambda half: 2 * half)


def test_exact_counts_unmasked_pairs_and_dense_attention_all() -> None:
    assert useful_flops(WORK, "exact") == 4
    assert useful_flops(WORK, "dense-attention") == 6


def test_a_multiply_add_is_one_of_two_flop() -> None:
    assert useful_flops(WORK, "macs") == 2


def test_flop_counter_mode_knows_its_own_operators_alone() -> None:
    assert useful_flops(Work(flops=8, dense_flops=8), "flopcountermode", "aten::mm") == 8
    assert useful_flops(Work(flops=8, dense_flops=8), "flopcountermode", "aten::_grouped_mm") == 0


def test_flop_counter_mode_counts_five_products_backward_over_all_pairs() -> None:
    torch_counts = pytest.importorskip("torch.utils.flop_counter")
    shape = (2, 3, 20, 8)
    pairs = Pairs(rows=2 * 3 * 20, dense=2400, unmasked=2 * 3 * 210, computed=2 * 3 * 210)
    name = "aten::_scaled_dot_product_flash_attention"
    forward = useful_flops(attention(pairs, 8, 8), "flopcountermode", name)
    backward = useful_flops(attention_backward(pairs, 8, 8), "flopcountermode", f"{name}_backward")
    assert forward == torch_counts.sdpa_flop_count(shape, shape, shape)
    assert backward == torch_counts.sdpa_backward_flop_count(shape, shape, shape, shape)


def test_the_operators_of_flop_counter_mode_are_those_of_torch() -> None:
    torch_counts = pytest.importorskip("torch.utils.flop_counter")
    names = {str(key) for key in torch_counts.flop_registry}
    known = {f"aten::{name.removeprefix('aten.')}" for name in names if name.startswith("aten.")}
    # Newer versions know more; the list is that of 2.13.
    assert known >= FLOP_COUNTER_OPERATORS


@given(
    counts=st.tuples(COUNTS, COUNTS, COUNTS),
    masked=COUNTS,
    again=st.integers(0, 1),
    convention=st.sampled_from(BY_OPERATOR),
)
def test_what_is_executed_is_split_without_a_rest(counts, masked, again, convention) -> None:
    flops, recompute, padding = counts
    counted = Counted(flops, flops + masked, recompute, padding, again=again, listed=1)
    found = split(counted, convention)
    executed = {
        "exact": flops + recompute + padding,
        "dense-attention": flops + masked + recompute,
        "macs": (flops + recompute + padding) // 2,
    }
    whole = found.useful + found.recompute + found.padding
    if convention in executed:
        assert whole == executed[convention]
        assert not (again and found.useful)
    else:
        # It sums all that it knows as one.
        assert whole == found.useful


def test_every_convention_is_explained_in_a_sentence() -> None:
    assert {"exact", "dense-attention", "flopcountermode", "macs"} == set(BY_OPERATOR)
    assert set(CONVENTIONS) == {
        *BY_OPERATOR,
        *("palm", "megatron", "torchtitan", "nanogpt", "mosaicml", "levanter", "hf", "6n"),
    }
    assert all(meaning.endswith(".") for meaning in CONVENTIONS.values())


def test_an_unknown_convention_is_answered_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"'mfu'.*exact, dense-attention"):
        useful_flops(WORK, "mfu")


@pytest.mark.parametrize("convention", sorted(set(CONVENTIONS) - set(BY_OPERATOR)))
def test_a_formula_on_a_model_says_nothing_of_operators(convention: str) -> None:
    with pytest.raises(UsageError, match=rf"{convention} is a formula.*goodput reconcile"):
        check_by_operator(convention)
    with pytest.raises(UsageError, match="does not apply"):
        useful_flops(WORK, convention)
