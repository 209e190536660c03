"""What PyTorch really calls: the calls that a function makes, in neutral terms."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from goodput.work import Argument, Call, TensorSpec


def _neutral(value: object) -> Argument:
    import torch

    if isinstance(value, torch.Tensor):
        name = str(value.dtype).removeprefix("torch.").replace("e4m3fn", "e4m3")
        return TensorSpec(tuple(value.shape), name, tuple(value.stride()))
    if isinstance(value, list | tuple):
        return tuple(_neutral(part) for part in value)
    if isinstance(value, bool | int | float | complex | str):
        return value
    return None if value is None else str(value)


@pytest.fixture(scope="session")
def calls_of() -> Callable[[Callable[[], object]], list[Call]]:
    """A function that runs another and returns the operator calls below autograd, in order."""
    pytest.importorskip("torch")
    from torch.utils._python_dispatch import TorchDispatchMode

    class Recorder(TorchDispatchMode):
        def __init__(self) -> None:
            super().__init__()
            self.calls: list[Call] = []

        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            result = func(*args, **(kwargs or {}))
            places = func._schema.arguments
            given = dict(zip([place.name for place in places], args, strict=False))
            given.update(kwargs or {})
            inputs = [
                _neutral(
                    given.get(
                        place.name, place.default_value if place.has_default_value() else None
                    )
                )
                for place in places
            ]
            outputs = result if isinstance(result, tuple) else (result,)
            specs = tuple(s for s in map(_neutral, outputs) if isinstance(s, TensorSpec))
            overload = {"overload": func._schema.overload_name}
            self.calls.append(Call(func._schema.name, tuple(inputs), specs, overload))
            return result

    def run(function: Callable[[], object]) -> list[Call]:
        with Recorder() as recorder:
            function()
        return recorder.calls

    return run


@pytest.fixture(scope="session")
def named() -> Callable[[str, int], str]:
    """A function that says what PyTorch's schema calls the argument of an operator at a place."""
    torch = pytest.importorskip("torch")

    def name(operator: str, place: int) -> str:
        schemas = torch._C._jit_get_schemas_for_operator(operator)
        plain = [schema for schema in schemas if schema.overload_name in ("", "grad_input")]
        if not plain:
            pytest.skip(f"this PyTorch has no {operator}")
        return plain[0].arguments[place].name

    return name
