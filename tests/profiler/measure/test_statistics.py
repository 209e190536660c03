"""Order statistics against numpy and by their properties."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from goodput.measure.samples import Samples
from goodput.measure.statistics import median, quantile, spread

VALUES = st.lists(st.floats(1e-9, 1e9), min_size=1, max_size=30)


@given(VALUES, st.floats(0, 1))
def test_quantile_is_numpy_s(values, share):
    assert quantile(values, share) == pytest.approx(np.quantile(values, share), rel=1e-9)


@given(VALUES)
def test_the_ends_are_the_least_and_the_greatest(values):
    assert quantile(values, 0) == min(values)
    assert quantile(values, 1) == max(values)
    assert min(values) <= median(values) <= max(values)


@pytest.mark.parametrize(("values", "share"), [([], 0.5), ([1.0], -0.1), ([1.0], 1.1)])
def test_no_quantile(values, share):
    with pytest.raises(ValueError, match="quantile"):
        quantile(values, share)


def test_spread():
    assert spread([2.0]) == 0
    assert spread([1.0, 1.5, 1.2]) == pytest.approx(0.5)


def test_a_rate_is_an_amount_over_a_quantile_of_the_times():
    samples = Samples((1.0, 2.0, 4.0))
    assert samples.rate(8) == 4
    assert samples.rate(8, 0) == 8
