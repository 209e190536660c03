"""Declarations: what a file says, and what is wrong with it."""

import pytest

from goodput.comparison import declared
from goodput.comparison.declared import Case, cases, reference, studies, variant
from goodput.comparison.source import object_at, pickled, unpickled
from goodput.errors import UsageError


@pytest.fixture(autouse=True)
def no_studies(monkeypatch):
    monkeypatch.setattr(declared, "_studies", {})


def make(**sizes):
    return sizes


def plain(x):
    return x


def test_a_study_is_what_was_declared():
    assert reference("op")(plain) is plain
    variant("op", name="other")(plain)
    made = cases("op", inputs=make, M=[1, 2], N=[3], dtype=["float32"])
    study = studies()["op"]
    assert (study.reference, list(study.calls)) == ("plain", ["plain", "other"])
    assert [case.name for case in made] == ["M=1 N=3 dtype=float32", "M=2 N=3 dtype=float32"]
    assert study.cases == list(made)


def test_two_of_one_name_and_two_references_are_faults_of_their_rows():
    reference("op")(plain)
    variant("op")(plain)
    variant("op")(plain)
    reference("op", name="second")(plain)
    assert list(studies()["op"].faults) == ["plain (2)", "plain (3)", "second"]


@pytest.mark.parametrize("axis", [5, "float32", []])
def test_an_axis_is_a_list(axis):
    with pytest.raises(UsageError, match="no list of values"):
        cases("op", M=axis)


def test_cases_without_an_operator_are_only_returned():
    [case] = cases(M=[1], backward=True, tolerance=0.1)
    assert case == Case({"M": 1}, None, backward=True, tolerance=(0.1, 0.0))
    assert case.name == "M=1 backward"
    assert studies() == {}


def test_a_study_goes_to_another_process_by_where_it_stands():
    reference("op")(plain)
    cases("op", inputs=make, M=[1])
    again = unpickled(pickled(studies()["op"]))
    assert again.calls["plain"].__name__ == "plain"
    assert again.cases[0].parameters == {"M": 1}
    assert object_at(__file__, "plain")(3) == 3


def test_a_closure_cannot_be_had_without_cloudpickle(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "cloudpickle", None)
    reference("op")(lambda x: x)
    with pytest.raises(UsageError, match="cloudpickle"):
        pickled(studies()["op"])
