"""Attention that torch takes apart is counted by its open pairs, forward and backward."""

import pytest
import torch
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.overrides import TorchFunctionMode

from goodput.formulas.attention import causal_pairs
from goodput.frontends.torch_attention import Attended, AttentionWatch, Share, share_of
from goodput.frontends.torch_counter import WorkCounter
from goodput.frontends.torch_places import Surroundings
from goodput.work import Work

BATCH, HEADS, QUERIES, KEYS, WIDTH = 2, 3, 12, 12, 8
PER_PRODUCT = 2 * WIDTH * BATCH * HEADS


def tensors(queries=QUERIES, keys=KEYS):
    shape = (BATCH, HEADS, queries, WIDTH), (BATCH, HEADS, keys, WIDTH)
    q, k, v = torch.randn(shape[0]), torch.randn(shape[1]), torch.randn(shape[1])
    return [t.requires_grad_() for t in (q, k, v)]


def counted(run):
    counter = WorkCounter(Surroundings(module=lambda: None, optimizing_task=lambda: None))
    assert counter.enter()
    try:
        run()
    finally:
        counter.leave()
    found = counter.result()
    assert not found.failure
    return found.entries


def totals(entries, phase):
    works = [e.work for e in entries if e.phase == phase and e.work and e.operator == "aten::bmm"]
    return sum((w for w in works), Work())


@pytest.mark.parametrize(("queries", "keys"), [(12, 12), (5, 12), (12, 5)])
def test_causal_math_attention_forward_and_backward(queries, keys):
    q, k, v = tensors(queries, keys)

    def step():
        with sdpa_kernel(SDPBackend.MATH):
            functional.scaled_dot_product_attention(q, k, v, is_causal=True).sum().backward()

    entries = counted(step)
    open_pairs, pairs = causal_pairs(queries, keys), queries * keys
    forward, backward = totals(entries, "forward"), totals(entries, "backward")
    assert forward.flops == 2 * PER_PRODUCT * open_pairs
    assert forward.dense_flops == 2 * PER_PRODUCT * pairs
    assert forward.padding_flops == 2 * PER_PRODUCT * (pairs - open_pairs)
    assert backward.flops == 2 * forward.flops
    assert backward.dense_flops == 2 * forward.dense_flops


def test_a_mask_is_counted_and_dropout_takes_the_math_kernel():
    q, k, v = tensors()
    mask = torch.rand(QUERIES, KEYS) > 0.5
    mask[:, 0] = True

    def step():
        functional.scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=0.1)

    forward = totals(counted(step), "forward")
    assert forward.flops == 2 * PER_PRODUCT * int(mask.sum())


def test_products_outside_attention_are_dense():
    a, b = torch.randn(2, 4, 4, requires_grad=True), torch.randn(2, 4, 4)
    entries = counted(lambda: torch.bmm(a, b).sum().backward())
    assert totals(entries, "forward").padding_flops == 0
    assert totals(entries, "backward").padding_flops == 0


def test_a_function_mode_of_the_programs_stays_as_it_was():
    class Own(TorchFunctionMode):
        def __torch_function__(self, func, types, args=(), kwargs=None):
            del types
            return func(*args, **(kwargs or {}))

    watch = AttentionWatch()
    counter = WorkCounter(Surroundings(module=lambda: None, optimizing_task=lambda: None))
    assert counter.enter()
    own = Own()
    own.__enter__()
    counter.leave()
    assert torch.overrides._get_current_function_mode() is own
    own.__exit__(None, None, None)
    assert torch.overrides._get_current_function_mode() is None
    assert watch.current is None


def test_shares():
    assert share_of(Attended(4, 4, is_causal=False, mask=None), None) is None
    assert share_of(Attended(4, 4, is_causal=True, mask=None), None) == Share(10, 16)
    assert Share(10, 16).of(Work(flops=64, dense_flops=64)) == Work(40, 64, padding_flops=24)


@pytest.mark.parametrize("by_hand", [True, False])
def test_attention_by_hand_is_found_and_torchs_own_is_not(by_hand):
    q, k, v = tensors()

    def step():
        if by_hand:
            ((q @ k.transpose(-2, -1)).softmax(-1) @ v).sum().backward()
        else:
            with sdpa_kernel(SDPBackend.MATH):
                functional.scaled_dot_product_attention(q, k, v).sum().backward()

    counter = WorkCounter(Surroundings(module=lambda: "block", optimizing_task=lambda: None))
    assert counter.enter()
    try:
        step()
    finally:
        counter.leave()
    assert counter.result().hand_written == (("block",) if by_hand else ())
