"""What `import goodput` promises beside what the house test holds."""

import pytest

import goodput


@pytest.mark.parametrize("name", sorted(set(goodput.__all__) - {"__version__"}))
def test_a_public_name_is_what_it_says(name: str) -> None:
    assert callable(getattr(goodput, name))
    assert getattr(goodput, name).__name__ == name


def test_dir_lists_them() -> None:
    assert set(goodput.__all__) == set(dir(goodput))


def test_another_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'measure_everything'"):
        _ = goodput.measure_everything
