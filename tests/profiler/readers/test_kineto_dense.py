"""A trace says which attention it counts dense: where a mask's values, or a mask, are unknown."""

import pytest

EFFICIENT = "aten::_scaled_dot_product_efficient_attention"
MATH = "aten::_scaled_dot_product_attention_math"
HEADS = [[2, 3, 8, 4]] * 3
MASK = [2, 3, 8, 8]


def attention(written, start, mask, name=EFFICIENT, causal="False"):
    """One fused attention and its kernel, `start` in microseconds."""
    types = ["float"] * 3 + ["float" if mask else "", "Scalar", "Scalar", "Scalar"]
    shapes = [*HEADS, mask, [], [], []]
    concrete = ["", "", "", "", "True", "0.", causal]
    written.op(name, start, start + 10, shapes, types=types, concrete=concrete)
    written.run(start + 1, start + 1, start + 2, start + 9)


def backward(written, start, mask):
    bias = "float" if mask else ""
    types = ["float"] * 4 + [bias] + ["float"] * 4 + ["Scalar"] * 3
    shapes = [HEADS[0], *HEADS, mask, HEADS[0], [2, 3, 8], [], [], [], [], []]
    concrete = [""] * 9 + ["0.", "[True, True, True, False]", "False"]
    written.op(EFFICIENT + "_backward", start, start + 10, shapes, types=types, concrete=concrete)
    written.run(start + 1, start + 1, start + 2, start + 9)


def told(written, word):
    return [sentence for sentence in written.read().trace.warnings if word in sentence]


def test_a_mask_tensor_is_told_once_an_operator_with_its_calls_and_modules(written):
    for index, module in enumerate(("layers.0", "layers.1", "layers.1")):
        start = 20 * index
        written.module(module, start, start + 15)
        attention(written, start + 2, MASK)
    (sentence,) = told(written, "mask")
    assert sentence.startswith(f"{EFFICIENT} has a mask tensor (3 calls, in layers.0 and 1 more)")
    assert "masked pairs are counted as useful" in sentence
    assert "a live `goodput run` counts the mask exactly" in sentence


def test_the_backward_is_told_with_its_forward(written):
    attention(written, 0, MASK)
    backward(written, 20, MASK)
    (sentence,) = told(written, "mask")
    assert sentence.startswith(f"{EFFICIENT} has a mask tensor (1 call and 1 of its backward);")


def test_a_backward_alone_is_told_too(written):
    backward(written, 20, MASK)
    (sentence,) = told(written, "mask")
    assert sentence.startswith(f"{EFFICIENT}_backward has a mask tensor (1 call);")


@pytest.mark.parametrize("causal", ["False", "True"])
@pytest.mark.parametrize("mask", [[], [0]])
def test_no_mask_is_no_note(written, mask, causal):
    attention(written, 0, mask, causal=causal)
    backward(written, 20, mask)
    assert told(written, "mask") == []


def test_two_operators_are_two_sentences(written):
    attention(written, 0, MASK)
    attention(written, 20, MASK, "aten::_scaled_dot_product_cudnn_attention")
    assert len(told(written, "has a mask tensor")) == 2


def test_our_own_trace_has_no_note_for_its_masks_were_counted(written):
    for number, start in enumerate((0, 20)):
        written.annotation(f"goodput::boundary#{number}", start, start + 1)
    attention(written, 2, MASK)
    products(written, 40)
    assert told(written, "mask") == []


def test_a_mask_outside_of_the_steps_is_not_told(written):
    written.annotation("ProfilerStep#1", 100, 120)
    attention(written, 0, MASK)
    attention(written, 102, [])
    assert told(written, "mask") == []


def test_attention_that_torch_took_apart_has_its_own_name(written):
    types = ["float"] * 4
    written.op(MATH, 0, 100, [*HEADS, MASK], types=types, concrete=[""] * 4)
    products(written, 10)
    (sentence,) = told(written, "mask")
    assert sentence.startswith(f"{MATH} has a mask tensor (1 call)")


def products(written, start, module="", softmax_in="", keys=8):
    """Attention by hand: scores, softmax, values, each with a kernel."""
    left, right = [6, 8, 4], [6, 4, keys]
    written.module(module, start, start + 40) if module else None
    written.op("aten::bmm", start + 1, start + 10, [left, right])
    written.run(start + 2, start + 2, start + 3, start + 9)
    written.module(softmax_in, start + 11, start + 20) if softmax_in else None
    written.op(
        "aten::_softmax",
        start + 12,
        start + 19,
        [[2, 3, 8, keys]],
    )
    written.run(start + 13, start + 13, start + 14, start + 18)
    written.op("aten::bmm", start + 21, start + 30, [[6, 8, keys], [6, keys, 4]])
    written.run(start + 22, start + 22, start + 23, start + 29)


@pytest.mark.parametrize("softmax_in", ["", "layers.0.attention.softmax"])
def test_attention_by_hand_is_told_with_its_module(written, softmax_in):
    products(written, 0, "layers.0.attention", softmax_in)
    products(written, 50, "layers.1.attention")
    (sentence,) = told(written, "by hand")
    assert "by hand in layers.0.attention and 1 more, so every pair" in sentence


def test_attention_by_hand_in_no_module(written):
    products(written, 0)
    (sentence,) = told(written, "by hand")
    assert "in a module that the trace does not name" in sentence


def test_products_without_a_softmax_between_are_no_attention(written):
    written.op("aten::bmm", 0, 9, [[6, 8, 4], [6, 4, 8]])
    written.run(1, 1, 2, 8)
    written.op("aten::bmm", 10, 19, [[6, 8, 8], [6, 8, 4]])
    written.run(2, 11, 12, 18)
    assert told(written, "by hand") == []


def test_a_softmax_over_other_scores_is_no_attention(written):
    written.op("aten::bmm", 0, 9, [[6, 8, 4], [6, 4, 9]])
    written.run(1, 1, 2, 8)
    written.op("aten::_softmax", 10, 19, [[6, 8, 8]])
    written.run(2, 11, 12, 18)
    written.op("aten::bmm", 20, 29, [[6, 8, 8], [6, 8, 4]])
    written.run(3, 21, 22, 28)
    assert told(written, "by hand") == []
