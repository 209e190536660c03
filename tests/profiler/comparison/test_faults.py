"""What an error of the user's code says in a row."""

import pytest

from goodput.comparison.faults import raised, said
from goodput.errors import UsageError

NO_GPU = RuntimeError("0 active drivers ([]). There should only be one.")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ValueError("no kernel"), "it raises ValueError: no kernel"),
        (UsageError("a variant must be of torch"), "a variant must be of torch"),
        (RuntimeError("no active drivers"), "it raises RuntimeError: no active drivers"),
    ],
)
def test_ours_are_sentences_and_others_have_their_type(error, words):
    assert raised(error) == words


def test_triton_without_a_device_says_what_to_type():
    assert raised(NO_GPU) == said(NO_GPU)
    assert said(NO_GPU).startswith("Triton finds no GPU here; --target sm_90")
