"""What masks in compiled graphs are made of: worked out from the inputs, or left unknown."""

import pytest

torch = pytest.importorskip("torch")

from torch.fx.experimental.proxy_tensor import make_fx  # noqa: E402 - after the skip

from goodput.frontends.torch_graph_nodes import Sizes  # noqa: E402 - the same
from goodput.frontends.torch_graph_values import GraphValues  # noqa: E402 - the same


def value_of_result(function, *inputs, traced_with=None):
    """The value of what a function gives, by its graph traced with symbols for sizes."""
    traced = make_fx(function, tracing_mode="symbolic")(*(traced_with or inputs))
    nodes = tuple(traced.graph.nodes)
    result = nodes[-1].args[0]
    return GraphValues(nodes, inputs, Sizes(nodes, inputs)).of(result)


def padding_mask(lengths, x):
    places = torch.arange(x.shape[0], device=x.device)
    return (places < lengths[:, None]) & (places[:, None, None] >= places).any(0)


def test_a_mask_is_what_the_program_makes_of_the_inputs_of_the_call():
    lengths, x = torch.tensor([3, 7]), torch.ones(9)
    traced_with = torch.tensor([1, 2]), torch.ones(5)
    found = value_of_result(padding_mask, lengths, x, traced_with=traced_with)
    assert torch.equal(found, padding_mask(lengths, x))


def random_mask(x):
    return torch.rand_like(x) > 0.5


def product_mask(x):
    return (x @ x) > 0


def written_mask(x):
    mask = x > 0
    mask[0].zero_()
    return mask.logical_not()


def unset_mask(x):
    return torch.empty_like(x) > 0


@pytest.mark.parametrize("function", [random_mask, product_mask, written_mask, unset_mask])
def test_what_cannot_be_known_without_running_the_program_is_left_unknown(function):
    assert value_of_result(function, torch.ones(4, 4)) is None
