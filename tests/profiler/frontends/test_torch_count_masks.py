"""Masks by their spans say what the masks themselves say, which are computed beside them."""

import operator
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from goodput.frontends.torch_count import Count, Step, count_step
from goodput.frontends.torch_count_masks import note_spans, spans_of

HEADS, DEPTH = 2, 8
LIMIT = "goodput.frontends.torch_count_tensors._COMPUTED"
BELOW = "goodput.frontends.torch_count_tensors._SMALL"
WORDS = {"lt": operator.lt, "le": operator.le, "gt": operator.gt, "ge": operator.ge}
WORDS["eq"] = operator.eq

places = st.lists(st.integers(-4, 12), min_size=1, max_size=9)


def hollow_mask(word: str, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """The comparison without values, but for what is noted on it."""
    mask = WORDS[word](left, right).to("meta")
    note_spans(f"aten::{word}", (left, right), mask)
    return mask


@settings(deadline=None)
@given(places, places, st.sampled_from(sorted(WORDS)), st.booleans())
def test_a_comparison_of_positions(
    queries: list[int], keys: list[int], word: str, mirrored: bool
) -> None:
    rows, columns = torch.tensor(queries)[:, None], torch.tensor(sorted(keys))[None]
    left, right = (rows, columns) if mirrored else (columns, rows)
    spans = spans_of(hollow_mask(word, left, right))
    truth = WORDS[word](left, right)
    assert spans is not None
    assert spans.open_entries(truth) == truth.sum().item()


@settings(deadline=None)
@given(places, places, st.integers(0, 9))
def test_two_masks_at_once_in_a_batch(queries: list[int], keys: list[int], width: int) -> None:
    rows, columns = torch.tensor(queries)[:, None], torch.tensor(sorted(keys))[None]
    masks = hollow_mask("le", columns, rows), hollow_mask("gt", columns, rows - width)
    both = masks[0] & masks[1]
    note_spans("aten::bitwise_and", masks, both)
    wide = both.expand(3, 2, *both.shape)
    note_spans("aten::expand", (both,), wide)
    truth = ((columns <= rows) & (columns > rows - width)).expand(3, 2, *both.shape)
    spans = spans_of(wide)
    assert spans is not None
    assert spans.open_entries(wide) == truth.sum().item()


def test_what_has_no_spans() -> None:
    unsorted, rows = torch.tensor([[3, 1, 2]]), torch.arange(3)[:, None]
    assert spans_of(hollow_mask("le", unsorted, rows)) is None
    assert spans_of(hollow_mask("le", unsorted.sort().values.float(), rows)) is None
    mask = hollow_mask("le", rows.T, rows)
    assert spans_of(mask) is not None
    mask[:, :1] = True
    assert spans_of(mask) is None


def attention_flops(masked: Callable[[int], torch.Tensor], tokens: int) -> tuple[int, bool]:
    """Useful FLOPs of one masked attention call, and whether anything had to be told of it."""

    def call() -> torch.Tensor:
        heads = torch.empty(1, HEADS, tokens, DEPTH)
        mask = masked(tokens).expand(1, 1, tokens, tokens)
        return torch.nn.functional.scaled_dot_product_attention(heads, heads, heads, mask)

    found: Count = count_step(Step(call))
    flops = [entry.work.flops for entry in found.work.entries if entry.work is not None]
    return sum(flops), bool(found.warnings)


def sliding(tokens: int) -> torch.Tensor:
    place = torch.arange(tokens)
    return (place <= place[:, None]) & (place > place[:, None] - 5)


def chunked(tokens: int) -> torch.Tensor:
    place = torch.arange(tokens)
    return (place <= place[:, None]) & (place // 7 == place[:, None] // 7)


def prefixed(tokens: int) -> torch.Tensor:
    """What is no span of keys: a prefix that all see, beside a window."""
    place = torch.arange(tokens)
    return sliding(tokens) | (place < 3).expand(tokens, tokens)


@pytest.mark.parametrize("masked", [sliding, chunked])
def test_a_mask_that_is_too_large_counts_as_one_that_is_not(
    monkeypatch: pytest.MonkeyPatch, masked: Callable[[int], torch.Tensor]
) -> None:
    truth = 2 * 2 * HEADS * DEPTH * int(masked(40).sum())
    assert attention_flops(masked, 40) == (truth, False)
    monkeypatch.setattr(LIMIT, 100)
    monkeypatch.setattr(BELOW, 0)
    assert attention_flops(masked, 40) == (truth, False)


def test_a_large_mask_of_another_kind_is_a_bound_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LIMIT, 100)
    monkeypatch.setattr(BELOW, 0)
    assert attention_flops(prefixed, 40) == (2 * 2 * HEADS * DEPTH * 40 * 40, True)


def test_a_window_over_a_hundred_thousand_tokens() -> None:
    tokens, window = 100_000, 5  # 10**10 entries, which nobody computes
    pairs = tokens * window - window * (window - 1) // 2
    assert attention_flops(sliding, tokens) == (2 * 2 * HEADS * DEPTH * pairs, False)
