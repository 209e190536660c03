"""What a program tells of its padding: executed, not useful, and exact in every pass."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import goodput
from goodput.errors import UsageError
from goodput.formulas.conventions import EXACT, useful_flops
from goodput.formulas.told import told_now
from goodput.frontends.torch_count import Count, Step, Unshaped, count_step, on_values

BATCH, TOKENS, WIDTH, HEADS, VOCABULARY = 3, 16, 32, 4, 50
LENGTHS = (16, 5, 9)
KEEP = torch.tensor([[place < length for place in range(TOKENS)] for length in LENGTHS])
USEFUL = sum(LENGTHS)
CAUSAL = sum(n * (n + 1) // 2 for n in LENGTHS)
SQUARES = sum(n * n for n in LENGTHS)
WEIGHTS = 4 * WIDTH * WIDTH + WIDTH * VOCABULARY


class Model(nn.Module):
    """Embedding, one attention and a head; `how` it attends."""

    def __init__(self, how: str = "causal") -> None:
        super().__init__()
        self.how = how
        self.table = nn.Embedding(VOCABULARY, WIDTH)
        self.qkv = nn.Linear(WIDTH, 3 * WIDTH, bias=False)
        self.out = nn.Linear(WIDTH, WIDTH, bias=False)
        self.head = nn.Linear(WIDTH, VOCABULARY, bias=False)

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor | None = None, labels: Tensor | None = None
    ) -> Tensor:
        x = self.table(input_ids)
        q, k, v = self.qkv(x).unflatten(-1, (3, HEADS, -1)).permute(2, 0, 3, 1, 4)
        mixed = self.attend(q, k, v, attention_mask)
        logits = self.head(self.out(mixed.transpose(1, 2).flatten(-2)))
        if labels is None:
            return logits.sum()
        return functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=-100)

    def attend(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
        if self.how == "by hand":
            return torch.softmax(q @ k.transpose(-1, -2), -1) @ v
        if self.how == "mask" and mask is not None:
            open_ = torch.ones(TOKENS, TOKENS, dtype=torch.bool).tril() & mask[:, None, None].bool()
            return functional.scaled_dot_product_attention(q, k, v, attn_mask=open_)
        causal = self.how == "causal"
        return functional.scaled_dot_product_attention(q, k, v, is_causal=causal)


def ids() -> Tensor:
    return torch.zeros(BATCH, TOKENS, dtype=torch.long)


def on_real_data(step: Step) -> Count:
    return on_values(lambda: step, Unshaped("", "asked for", 0))


WAYS = pytest.mark.parametrize("count", [count_step, on_real_data], ids=["shapes", "values"])


def sums(found: Count) -> dict[str, tuple[int, int]]:
    """Useful and executed FLOPs by phase."""
    phases: dict[str, tuple[int, int]] = {}
    for entry in found.work.entries:
        if entry.work is not None:
            before = phases.get(entry.phase, (0, 0))
            useful = useful_flops(entry.work, EXACT)
            executed = entry.work.executed_flops
            phases[entry.phase] = before[0] + useful, before[1] + executed
    return phases


PAIRS = {"causal": CAUSAL, "mask": CAUSAL, "full": SQUARES, "by hand": SQUARES}


@WAYS
@pytest.mark.parametrize("how", sorted(PAIRS))
def test_padded_tokens_are_executed_and_not_useful(how: str, count: Any) -> None:
    model, mask = Model(how), KEEP.long()
    told = count(Step(model, {"input_ids": ids(), "attention_mask": mask}, train=True))
    plain = count(Step(model, {"input_ids": ids(), "attention_mask": KEEP | True}, train=True))
    forward = 2 * USEFUL * WEIGHTS + 4 * PAIRS[how] * WIDTH
    assert sums(told)["forward"][0] == forward
    assert sums(told)["backward"][0] == 2 * forward
    for phase in ("forward", "backward"):
        if how != "mask":  # its own mask differs between the two
            assert sums(told)[phase][1] == sums(plain)[phase][1]
    sentence = (
        f"{BATCH * TOKENS - USEFUL} of {BATCH * TOKENS} tokens of the counted step are padding, as "
        "attention_mask told: what is done for them is executed and not useful"
    )
    assert told.work.told == (sentence,)
    assert plain.work.told == ()
    moved = sum(entry.told_flops for entry in told.work.entries)
    assert 0 < moved <= sum(entry.work.padding_flops for entry in told.work.entries if entry.work)


def test_padding_on_the_left_counts_alike() -> None:
    model = Model()
    left, right = KEEP.flip(1).long(), KEEP.long()
    counts = [sums(count_step(Step(model, (ids(), mask), train=True))) for mask in (left, right)]
    assert counts[0] == counts[1]


def test_labels_tell_what_stands_behind_the_last_one() -> None:
    # The prompt's labels are ignored too, and are no padding.
    labels = torch.where(KEEP, 1, -100)
    labels[0, :4] = -100
    found = count_step(Step(Model(), {"input_ids": ids(), "labels": labels}, train=True))
    assert sums(found)["forward"][0] == 2 * USEFUL * WEIGHTS + 4 * CAUSAL * WIDTH
    assert "as labels told" in found.work.told[0]


def test_a_mask_tells_before_labels() -> None:
    labels = torch.full((BATCH, TOKENS), -100)
    inputs = {"input_ids": ids(), "attention_mask": KEEP, "labels": labels}
    found = count_step(Step(Model(), inputs))
    assert sums(found)["forward"][0] == 2 * USEFUL * WEIGHTS + 4 * CAUSAL * WIDTH


@WAYS
def test_a_program_tells_it_itself(count: Any) -> None:
    model = Model()

    def step() -> None:
        goodput.useful_tokens(KEEP)
        model(ids()).backward()

    forward = 2 * USEFUL * WEIGHTS + 4 * CAUSAL * WIDTH
    found = count(Step(step))
    assert sums(found)["forward"][0] == forward
    assert sums(found)["backward"][0] == 2 * forward
    assert "as goodput.useful_tokens told" in found.work.told[0]


@pytest.mark.parametrize("masks", [(KEEP, KEEP | True), (KEEP | True, KEEP)], ids=["last", "first"])
def test_each_micro_batch_has_its_own_padding_backward_too(masks: tuple[Tensor, Tensor]) -> None:
    model = Model()

    def step() -> None:
        losses = [model(ids(), attention_mask=mask) for mask in masks]
        for loss in losses:
            loss.backward()

    whole = BATCH * TOKENS
    forward = 2 * (USEFUL + whole) * WEIGHTS
    forward += 4 * (CAUSAL + BATCH * TOKENS * (TOKENS + 1) // 2) * WIDTH
    found = sums(count_step(Step(step)))
    assert found["forward"][0] == forward
    assert found["backward"][0] == 2 * forward


def test_a_padded_vocabulary_and_a_padded_capacity() -> None:
    head = nn.Linear(WIDTH, 64, bias=False)
    experts, rows = torch.randn(4, WIDTH, 8), torch.randn(4, 12, WIDTH)

    def step() -> None:
        goodput.useful_size(VOCABULARY, of=64)
        goodput.useful_size(30, of=48)
        (head(torch.randn(7, WIDTH)).sum() + (rows @ experts).sum()).backward()

    found = count_step(Step(step))
    useful = 2 * 7 * WIDTH * VOCABULARY, 2 * 30 * WIDTH * 8
    assert sums(found)["forward"] == (sum(useful), 2 * 7 * WIDTH * 64 + 2 * 48 * WIDTH * 8)
    assert sums(found)["backward"][0] == useful[0]
    assert len(found.work.told) == 2


def test_frozen_weights_have_no_gradient_to_count() -> None:
    model = Model()
    model.qkv.requires_grad_(requires_grad=False)
    found = sums(count_step(Step(model, (ids(),), train=True)))
    pairs = BATCH * TOKENS * (TOKENS + 1) // 2
    rows = 2 * BATCH * TOKENS
    forward = rows * WEIGHTS + 4 * pairs * WIDTH
    assert found["forward"][0] == forward
    assert found["backward"][0] == 2 * forward - rows * 3 * WIDTH * WIDTH


def test_nothing_is_kept_where_nobody_listens() -> None:
    goodput.useful_tokens(KEEP)
    goodput.useful_size(1, of=2)
    assert told_now().mask is None
    assert not told_now().sizes


@pytest.fixture(autouse=True)
def nobody_listens() -> Iterator[None]:
    yield
    assert told_now().mask is None


@pytest.mark.parametrize("mask", [torch.ones(3), 7, torch.ones(1, 2, 3)])
def test_a_mask_of_another_rank(mask: object) -> None:
    with pytest.raises(UsageError, match=r"give a tensor of \[batch, tokens\]"):
        goodput.useful_tokens(mask)


@pytest.mark.parametrize(("useful", "of"), [(-1, 2), (3, 2), (0, 0)])
def test_a_size_that_cannot_be(useful: int, of: int) -> None:
    with pytest.raises(UsageError, match="give 0 <= useful <= of"):
        goodput.useful_size(useful, of=of)
