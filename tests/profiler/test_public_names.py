"""What `import goodput` promises."""

import pkgutil

import pytest

import goodput


@pytest.mark.parametrize("name", sorted(set(goodput.__all__) - {"__version__"}))
def test_every_public_name_is_there_and_documented(name: str) -> None:
    public = getattr(goodput, name)
    assert callable(public)
    assert public.__doc__
    assert public.__name__ == name


def test_no_submodule_bears_a_public_name() -> None:
    submodules = {module.name for module in pkgutil.iter_modules(goodput.__path__)}
    assert submodules
    assert not submodules & set(goodput.__all__)


def test_dir_lists_them() -> None:
    assert set(goodput.__all__) == set(dir(goodput))


def test_another_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'measure_everything'"):
        _ = goodput.measure_everything
