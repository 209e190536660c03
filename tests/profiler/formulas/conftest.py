"""What PyTorch really calls: the calls that a function makes, in neutral terms."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import strategies as st

from goodput.formulas.architecture import Architecture, Attention, FeedForward, Layer
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


@st.composite
def _architecture(draw: st.DrawFn) -> Architecture:
    """Any language model: grouped and latent heads, windows, experts, tied or not."""
    heads = draw(st.integers(1, 6))
    kv_heads = draw(st.sampled_from([n for n in range(1, heads + 1) if heads % n == 0]))
    is_latent = draw(st.booleans())
    sizes = st.integers(1, 9)

    def attention() -> Attention:
        rotary = draw(st.integers(0, 3)) if is_latent else 0
        return Attention(
            heads=heads,
            kv_heads=heads if is_latent else kv_heads,
            head_dim=rotary + draw(sizes),
            value_dim=draw(sizes),
            window=draw(st.none() | st.integers(1, 40)),
            query_rank=draw(st.integers(0, 5)) if is_latent else 0,
            kv_rank=draw(sizes) if is_latent else 0,
            rotary_dim=rotary,
        )

    def block() -> FeedForward:
        experts = draw(st.integers(0, 6))
        if not experts:
            return FeedForward(draw(sizes), gated=draw(st.booleans()))
        return FeedForward(
            draw(sizes),
            gated=draw(st.booleans()),
            experts=experts,
            active=draw(st.integers(1, experts)),
            shared=draw(st.integers(0, 9)),
            shared_gate=draw(st.booleans()),
            expert_vectors=draw(st.integers(0, 9)),
        )

    def layer() -> Layer:
        return Layer(draw(st.integers(1, 3)), attention(), block(), draw(st.integers(0, 30)))

    return Architecture(
        family="any",
        hidden=heads * draw(sizes),
        vocabulary=draw(st.integers(1, 300)),
        layers=tuple(layer() for _ in range(draw(st.integers(1, 3)))),
        tied=draw(st.booleans()),
        positions=draw(st.integers(0, 40)),
        vectors=draw(st.integers(0, 50)),
        prediction_layers=draw(st.integers(0, 2)),
    )


@pytest.fixture(scope="session")
def architectures() -> st.SearchStrategy[Architecture]:
    """What property tests of conventions draw their models from."""
    return _architecture()
