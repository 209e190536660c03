from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from goodput.errors import UsageError
from goodput.formulas.architecture import parameters
from goodput.formulas.architecture_config import from_config
from goodput.formulas.conventions import CONVENTIONS
from goodput.formulas.conventions_choices import choices_of, evaluate
from goodput.formulas.conventions_closed import inapplicable, padded, training_flops

TOKENS = st.integers(1, 60)
NAMES = st.sampled_from(list(CONVENTIONS))


@given(data=st.data(), tokens=TOKENS, convention=NAMES)
def test_each_formula_is_what_its_choices_count(data, tokens, convention, architectures) -> None:
    # Two ways to one number: the formula as published, and decision by decision.
    model = data.draw(architectures.filter(lambda one: not inapplicable(one, convention)))
    choices = choices_of(convention, model)
    assert training_flops(model, tokens, convention) == evaluate(model, tokens, choices)


@given(data=st.data(), tokens=TOKENS)
def test_how_conventions_stand_to_one_another(data, tokens, architectures) -> None:
    model = data.draw(architectures)
    count = {
        name: training_flops(model, tokens, name)
        for name in CONVENTIONS
        if not inapplicable(model, name)
    }
    assert 2 * count["macs"] == count["exact"] <= count["dense-attention"]
    assert count["6n"] == 6 * parameters(model).active * tokens
    width = sum(layer.count * layer.attention.score_width for layer in model.layers)
    assert count["palm"] - count["6n"] == 6 * tokens**2 * width
    if not model.tied:
        tables = parameters(model).embedding + parameters(model).positions
        assert count["palm"] - count["torchtitan"] == 6 * tokens * tables
    else:
        assert count["palm"] == count["torchtitan"]


@given(data=st.data(), tokens=TOKENS, convention=NAMES, more=st.integers(2, 5))
def test_without_attention_a_token_costs_the_same_at_any_length(
    data, tokens, convention, more, architectures
) -> None:
    model = data.draw(architectures.filter(lambda one: not inapplicable(one, convention)))
    one = training_flops(model, tokens, convention)
    longer = training_flops(model, more * tokens, convention)
    # Attention alone grows faster than the tokens, and never faster than their square.
    assert more * one <= longer <= more * more * one


def test_vocabularies_are_padded_up() -> None:
    assert [padded(n) for n in (1, 128, 129, 50257)] == [128, 128, 256, 50304]


LATENT = from_config(
    {
        "model_type": "deepseek_v3",
        "hidden_size": 64,
        "num_hidden_layers": 4,
        "num_attention_heads": 4,
        "intermediate_size": 96,
        "vocab_size": 160,
    }
)
SPARSE = from_config(
    {
        "model_type": "mixtral",
        "hidden_size": 64,
        "num_hidden_layers": 4,
        "num_attention_heads": 4,
        "intermediate_size": 96,
        "vocab_size": 160,
    }
)


@pytest.mark.parametrize(
    ("model", "convention", "reason"),
    [
        (LATENT, "nanogpt", "latent"),
        (LATENT, "mosaicml", "latent"),
        (LATENT, "levanter", "latent"),
        (SPARSE, "nanogpt", "without experts"),
        (replace(SPARSE, layers=(*SPARSE.layers, LATENT.layers[0])), "levanter", "latent"),
    ],
)
def test_a_convention_that_does_not_apply_says_so(model, convention, reason) -> None:
    with pytest.raises(UsageError, match=f"{convention} does not apply to this .*{reason}"):
        training_flops(model, 16, convention)


def test_levanter_has_one_block_for_all_layers() -> None:
    other = replace(SPARSE.layers[0], feed_forward=replace(SPARSE.layers[0].feed_forward, active=1))
    mixed = replace(SPARSE, layers=(*SPARSE.layers, other))
    assert "one feed-forward block" in inapplicable(mixed, "levanter")
    assert not inapplicable(SPARSE, "levanter")


def test_an_unknown_convention_is_refused() -> None:
    with pytest.raises(UsageError, match="No convention is named"):
        training_flops(SPARSE, 16, "tflops")
