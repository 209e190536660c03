"""Text from a trace becomes calls in neutral terms; each distinct call is counted once."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from goodput.formulas.registry import register
from goodput.readers.kineto_calls import Inputs, count, distinct, literal
from goodput.readers.kineto_links import Strings
from goodput.readers.kineto_names import classify
from goodput.work import TensorSpec, Work

SEEN = []


@register("kinetocalls::counted", replace=True)
def _counted(call):
    SEEN.append(call)
    return Work(flops=call.tensors[0].numel if call.tensors else 0)


@register("kinetocalls::broken", replace=True)
def _broken(call):
    raise ValueError(f"cannot count {len(call.inputs)}")


def signature(dims, types, concrete=None, strides=None):
    concrete = concrete or [""] * len(types)
    return tuple(json.dumps(part).encode() for part in (dims, types, concrete, strides or []))


def arguments(*parts, list_dtype="bfloat16", **more):
    return Inputs(signature(*parts, **more)).arguments(list_dtype)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("None", None),
        ("True", True),
        ("False", False),
        ("-1", -1),
        ("9223372036854775807", 2**63 - 1),
        ("0.5", 0.5),
        ("1.", 1.0),
        ("1e-08", 1e-8),
        ("-inf", -math.inf),
        ("1j", 1j),
        ("[]", ()),
        ("[1, 1]", (1, 1)),
        ("[0.1, -0.2]", (0.1, -0.2)),
        ("[True, False, True]", (True, False, True)),
        ("cuda:0", "cuda:0"),
        ("__import__('os')", "__import__('os')"),
    ],
)
def test_a_scalar_in_a_trace(text, value):
    assert literal(text) == value
    assert type(literal(text)) is type(value)


@given(st.one_of(st.integers(), st.floats(allow_nan=False), st.booleans(), st.none()))
def test_every_scalar_survives_its_text(value):
    assert literal(str(value)) == value


@given(st.lists(st.integers()))
def test_every_list_survives_its_text(values):
    assert literal(str(values)) == tuple(values)


def test_tensors_scalars_and_absent_arguments_keep_their_places():
    found = arguments(
        [[8, 16], [], [], [3], []],
        ["c10::BFloat16", "Scalar", "", "long int", "double"],
        ["", "0.5", "", "", ""],
        [[16, 1], [], [], [1], []],
    )
    assert found == (
        TensorSpec((8, 16), "bfloat16", (16, 1)),
        0.5,
        None,
        TensorSpec((3,), "int64", (1,)),
        TensorSpec((), "float64", ()),
    )


def test_strides_that_do_not_fit_are_unknown():
    assert arguments([[8, 16]], ["float"], strides=[[]]) == (TensorSpec((8, 16), "float32"),)


def test_an_element_type_that_goodput_does_not_know_keeps_its_name():
    assert arguments([[8]], ["unsigned int"]) == (TensorSpec((8,), "unsigned int"),)


def test_a_list_of_tensors_takes_the_commonest_type_and_a_dropped_one_is_none():
    dims = [[[2], [3, 4]], []]
    found = arguments(dims, ["TensorList", "TensorList"])
    assert found == ((TensorSpec((2,), "bfloat16"), TensorSpec((3, 4), "bfloat16")), None)


def counted(calls, signatures):
    """`calls` as (operator, index of its signature)."""
    texts = ["", *dict.fromkeys(name for name, _ in calls)]
    names = classify(texts)
    name = np.array([texts.index(each) for each, _ in calls])
    pairs, call = distinct(name, np.array([index for _, index in calls]))
    strings = Strings(names.strings)
    return count(pairs, signatures, names, strings), call, strings.texts


def test_a_distinct_call_is_counted_once_however_often_it_ran():
    SEEN.clear()
    signatures = [signature([[8, 2]], ["float"]), signature([[4]], ["c10::Half"])]
    calls = [("kinetocalls::counted", 0)] * 50 + [("kinetocalls::counted.out", 1)] * 50
    found, call, texts = counted(calls, signatures)
    assert len(SEEN) == 2
    assert {each.attributes.get("overload") for each in SEEN} == {None, "out"}
    assert [found.work["flops"][row] for row in call.tolist()] == [16] * 50 + [4] * 50
    assert {texts[index] for index in found.shapes} == {"f32[8,2]", "f16[4]"}
    assert {texts[index] for index in found.mode} == {"float32", "float16"}


def test_a_call_without_shapes_or_formula_is_not_modelled():
    found, _, _ = counted(
        [("kinetocalls::counted", -1), ("kinetocalls::unknown", 0)], [signature([[8]], ["float"])]
    )
    assert not found.modelled.any()


def test_a_formula_that_fails_leaves_its_operator_unmodelled_and_says_so():
    found, _, _ = counted([("kinetocalls::broken", 0)], [signature([[8]], ["float"])])
    assert not found.modelled.any()
    (sentence,) = found.failures
    assert "kinetocalls::broken" in sentence
    assert "cannot count 1" in sentence


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(-1, 5)), max_size=40))
def test_the_distinct_pairs_give_back_every_event(events):
    name = np.array([n for n, _ in events], dtype=np.int64)
    shape = np.array([s for _, s in events], dtype=np.int64)
    pairs, row = distinct(name, shape)
    assert pairs[row].tolist() == [list(event) for event in events]
    assert len({tuple(pair) for pair in pairs.tolist()}) == len(pairs)


LISTS = signature([[[8], [4]]], ["TensorList"])


@pytest.mark.parametrize(
    ("others", "doubtful", "dtype"),
    [
        ([], 0, "float32"),
        (["c10::Half"], 0, "float16"),
        (["long int", "c10::BFloat16"], 0, "bfloat16"),
        (["float", "c10::BFloat16", "c10::BFloat16"], 1, "bfloat16"),
    ],
)
def test_the_type_of_a_list_is_doubtful_only_among_several_floating_types(others, doubtful, dtype):
    signatures = [LISTS, *(signature([[8, n]], [kind]) for n, kind in enumerate(others))]
    calls = [("kinetocalls::counted", index) for index in range(len(signatures))]
    found, _, texts = counted(calls, signatures)
    assert found.untyped_lists == doubtful
    assert found.list_dtype == dtype
    assert texts[found.mode[0]] == dtype
