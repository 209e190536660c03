from __future__ import annotations

import pytest

from goodput.errors import UsageError
from goodput.formulas.conventions import CONVENTIONS, useful_flops
from goodput.work import Work

WORK = Work(flops=3, dense_flops=5, recompute_flops=7, padding_flops=11, vector_flops=13)


def test_exact_counts_unmasked_pairs_and_dense_attention_all() -> None:
    assert useful_flops(WORK, "exact") == 3
    assert useful_flops(WORK, "dense-attention") == 5


def test_every_convention_is_explained_in_a_sentence() -> None:
    assert set(CONVENTIONS) == {"exact", "dense-attention"}
    assert all(meaning.endswith(".") for meaning in CONVENTIONS.values())


def test_an_unknown_convention_is_answered_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"'mfu'.*exact, dense-attention"):
        useful_flops(WORK, "mfu")
