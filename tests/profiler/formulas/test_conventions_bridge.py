from __future__ import annotations

from dataclasses import fields

from hypothesis import given
from hypothesis import strategies as st

from goodput.formulas.conventions import CONVENTIONS
from goodput.formulas.conventions_bridge import ORDER, TEXTS, bridge, bridges
from goodput.formulas.conventions_choices import Choices, choices_of
from goodput.formulas.conventions_closed import inapplicable, training_flops

TOKENS = st.integers(1, 60)


@given(data=st.data(), tokens=TOKENS)
def test_terms_sum_exactly_to_the_difference(data, tokens, architectures) -> None:
    model = data.draw(architectures)
    exact = training_flops(model, tokens, "exact")
    for way in bridges(model, tokens):
        assert exact + sum(term.flops for term in way.terms) == way.flops
        assert way.flops == training_flops(model, tokens, way.convention)
        assert all(term.flops for term in way.terms)


@given(data=st.data(), tokens=TOKENS)
def test_every_convention_that_applies_has_a_bridge(data, tokens, architectures) -> None:
    model = data.draw(architectures)
    found = [way.convention for way in bridges(model, tokens)]
    assert found[0] == "exact"
    assert set(found) == {name for name in CONVENTIONS if not inapplicable(model, name)}


@given(data=st.data(), tokens=st.integers(2, 60))
def test_the_bridge_to_dense_attention_is_the_masked_pairs(data, tokens, architectures) -> None:
    way = bridge(data.draw(architectures), tokens, "dense-attention")
    assert [term.decision for term in way.terms][-1] == "pairs"
    assert all(term.flops > 0 for term in way.terms)


@given(data=st.data(), convention=st.sampled_from(list(CONVENTIONS)))
def test_every_decision_that_a_convention_makes_has_words(data, convention, architectures) -> None:
    choices = choices_of(convention, data.draw(architectures))
    for field in fields(Choices):
        value = getattr(choices, field.name)
        assert value == field.default or (field.name, value) in TEXTS


def test_decisions_are_made_once_each() -> None:
    assert len(set(ORDER)) == len(ORDER) == len(fields(Choices))
