from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from goodput.formulas.conventions import BY_OPERATOR, useful_flops
from goodput.formulas.conventions_counted import Counts, counted_bridges
from goodput.work import Work

FLASH = "aten::_scaled_dot_product_flash_attention"
HALVES = st.integers(0, 10**9).map(lambda half: 2 * half)


@st.composite
def calls(draw: st.DrawFn) -> Counts:
    flops = draw(HALVES)
    dense = flops + draw(HALVES) if flops else 0
    # Products that a backward kernel repeats are a part of its own.
    repeated = draw(st.sampled_from([0, flops // 2])) if dense == flops else 0
    work = Work(flops=flops, dense_flops=dense, recompute_flops=repeated)
    return Counts(draw(st.sampled_from(["aten::mm", FLASH, "mine::op"])), work, draw(st.booleans()))


@given(st.lists(calls(), max_size=6))
def test_terms_sum_exactly_to_the_difference(every) -> None:
    ways = counted_bridges(every)
    assert tuple(way.convention for way in ways) == BY_OPERATOR
    for way in ways:
        assert ways[0].flops + sum(term.flops for term in way.terms) == way.flops


@given(st.lists(calls(), max_size=6))
def test_each_convention_is_the_sum_of_its_calls(every) -> None:
    for way in counted_bridges(every):
        if way.convention == "macs":
            assert 2 * way.flops == sum(one.work.flops for one in every if not one.again)
        elif way.convention != "flopcountermode":
            assert way.flops == sum(
                useful_flops(one.work, way.convention) for one in every if not one.again
            )


def test_what_flop_counter_mode_does_otherwise() -> None:
    product = Work(flops=100, dense_flops=100)
    attention = Work(flops=40, dense_flops=80, recompute_flops=10)
    ways = counted_bridges(
        [
            Counts("aten::mm", product, again=False),
            Counts("aten::mm", product, again=True),
            Counts(f"{FLASH}_backward", attention, again=False),
            Counts("mine::op", product, again=False),
        ]
    )
    found = {term.decision: (term.flops, term.text) for term in ways[2].terms}
    assert found["pairs"][0] == 40
    assert found["recompute"][0] == 100
    assert found["fifth_product"][0] == 20
    assert found["unlisted"] == (-100, "no formula there: mine::op")
    assert ways[2].flops == 100 + 100 + 80 + 20
