import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from goodput.units import parse, percent, ranges, seconds, si

PREFIXES = {
    "p": -4,
    "n": -3,
    "u": -2,
    "m": -1,
    "": 0,
    "k": 1,
    "M": 2,
    "G": 3,
    "T": 4,
    "P": 5,
    "E": 6,
}
UNITS = st.sampled_from(["", "FLOP", "FLOP/s", "B", "B/s", "s", "token/s"])


@given(
    mantissa=st.floats(1.0, 999.0),
    power=st.sampled_from(sorted(PREFIXES.values())),
    sign=st.sampled_from([1, -1]),
    unit=UNITS,
    digits=st.integers(3, 6),
)
def test_parse_undoes_si_to_the_printed_digits(
    mantissa: float, power: int, sign: int, unit: str, digits: int
) -> None:
    value = sign * mantissa * 1000.0**power
    back = parse(si(value, unit, digits))
    # Half a unit of the last printed digit, and a little for the binary fractions.
    last_digit = 10.0 ** (math.floor(math.log10(abs(value))) - digits + 1)
    assert abs(back - value) <= 0.5 * last_digit * (1 + 1e-6) + 1e-12 * abs(value)


@pytest.mark.parametrize(("prefix", "power"), PREFIXES.items())
def test_every_prefix_is_a_power_of_a_thousand(prefix: str, power: int) -> None:
    assert si(2.5 * 1000.0**power, "B") == f"2.50 {prefix}B"
    assert parse(f"2.50 {prefix}B") == pytest.approx(2.5 * 1000.0**power)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0 s"),
        (None, "n/a"),
        (999.4e-6, "999 us"),
        (999.6e-6, "1.00 ms"),
        (0.012345, "12.3 ms"),
        (-0.5, "-500 ms"),
    ],
)
def test_seconds(value: float | None, text: str) -> None:
    assert seconds(value) == text


def test_percent() -> None:
    assert percent(0.1234) == "12.3 %"
    assert percent(None) == "n/a"


def test_no_number_no_quantity() -> None:
    with pytest.raises(ValueError, match="no quantity"):
        parse("fast")


@given(st.sets(st.integers(0, 60)))
def test_ranges_name_every_number_once(numbers: set[int]) -> None:
    named: list[int] = []
    for part in filter(None, ranges(numbers).split(", ")):
        low, _, high = part.partition("-")
        named += range(int(low), int(high or low) + 1)
    assert named == sorted(numbers)


def test_ranges_are_as_short_as_can_be() -> None:
    assert ranges((3, 0, 1, 2, 8, 8)) == "0-3, 8"
    assert ranges(()) == ""
