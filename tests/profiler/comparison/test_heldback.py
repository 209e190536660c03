"""Sizes that nobody named: together where the reference runs on them, else one by one."""

from hypothesis import given
from hypothesis import strategies as st

from goodput.comparison.declared import Case
from goodput.comparison.heldback import tried

CASE = Case({"M": 512, "heads": 8, "N": 48, "dtype": "float32", "flag": True})


def changed(one, case=CASE):
    return {k for k, v in case.parameters.items() if one.parameters[k] != v}


def test_all_sizes_change_at_once_in_one_case():
    [one] = tried(CASE, 1, lambda _: True)
    assert changed(one) == {"M", "N"}
    assert one.parameters["M"] in {384, 256, 320}
    assert one.parameters["N"] in {32, 16}


def test_where_that_is_refused_each_size_is_tried_by_itself():
    asked = []

    def runs(case):
        asked.append(changed(case))
        return changed(case) != {"M", "N"}

    assert {frozenset(changed(one)) for one in tried(CASE, 1, runs)} == {
        frozenset({"M"}),
        frozenset({"N"}),
    }
    assert asked.count({"M", "N"}) == 3


def test_a_size_that_has_to_stay_is_left_and_the_others_are_tried():
    found = tried(CASE, 1, lambda case: case.parameters["M"] == 512)
    assert [changed(one) for one in found] == [{"N"}]


def test_nothing_is_tried_where_nothing_is_a_size_and_one_size_is_not_tried_twice():
    asked = []
    assert tried(Case({"heads": 8}), 1, lambda _: True) == ()
    assert tried(Case({"M": 64}), 1, lambda case: bool(asked.append(case))) == ()
    assert len(asked) == 3


@given(st.integers(32, 10_000), st.integers(0, 2**32))
def test_sizes_that_are_equal_stay_so_and_are_smaller(size, seed):
    case = Case({"M": size, "N": size})
    for one in tried(case, seed, lambda _: True):
        assert one.parameters["M"] == one.parameters["N"] < size
        assert size % 16 or one.parameters["M"] % 16 == 0
