import pytest
from hypothesis import given
from hypothesis import strategies as st

from goodput.renderers.ratios import efficiency, ratio
from goodput.report.model import LIMIT


@given(
    st.floats(LIMIT, 1e6, exclude_min=True), st.sampled_from(["", "compute", "memory", "vector"])
)
def test_nothing_above_the_limit_is_a_plain_percentage(value: float, bound: str) -> None:
    assert ratio(value) == "error"
    assert efficiency(value, bound) in {"error", "> 100 %"}


@pytest.mark.parametrize(("value", "text"), [(None, "n/a"), (0.0, "0.0 %"), (LIMIT, "103.0 %")])
def test_the_rest_is(value: float | None, text: str) -> None:
    assert ratio(value) == text
    assert efficiency(value, "memory") == text
