"""Living modules and optimizers on hollow tensors, and back as they were.

A module that was built with real weights is counted on shapes: its parameters and buffers give way
to tensors without memory, for as long as the count takes. Counts nothing.
"""

from __future__ import annotations

import gc
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, TypeAlias

import torch

from goodput.frontends.torch_modules import living_modules
from goodput.frontends.torch_private import is_meta, parameter_of

_PLAIN = frozenset({torch.Tensor, torch.nn.Parameter})
_META = torch.device("meta")

_Emptied: TypeAlias = tuple[dict[str, Any], dict[str, Any]]
"""The parameters or the buffers of a module as it keeps them, and those that were real."""


@contextmanager
def hollow_modules(root: torch.nn.Module | None = None) -> Iterator[None]:
    """Inside, modules and optimizers hold shapes instead of values.

    Args:
        root: the only module that runs, with what is inside it; without one they are all that live.
    """
    twins: dict[int, torch.Tensor] = {}
    emptied: list[_Emptied] = []
    with ExitStack() as stack:
        stack.callback(_fill, emptied)
        for module in living_modules() if root is None else root.modules():
            _empty(module, twins, emptied)
        for optimizer in living_optimizers() if root is None else ():
            stack.enter_context(_hollow_optimizer(optimizer, twins))
        yield


def hollow(value: Any) -> Any:
    """`value`, an input, with every real floating tensor in it replaced by one without memory."""
    if isinstance(value, torch.Tensor):
        return _twin(value, {})
    if type(value) in (list, tuple):
        return type(value)(hollow(item) for item in value)
    if type(value) is dict:
        return {key: hollow(item) for key, item in value.items()}
    return value


def living_optimizers() -> list[torch.optim.Optimizer]:
    """Every optimizer that there is."""
    return [item for item in gc.get_objects() if issubclass(type(item), torch.optim.Optimizer)]


def _empty(
    module: torch.nn.Module, twins: dict[int, torch.Tensor], emptied: list[_Emptied]
) -> None:
    """Puts twins in the place of a module's own tensors, and what was there into `emptied`."""
    fields = module.__dict__
    found = False
    for home in (fields["_parameters"], fields["_buffers"]):
        own = {name: tensor for name, tensor in home.items() if _is_real(tensor)} if home else None
        if own:
            found = True
            emptied.append((home, own))
            home.update({name: _twin_of(tensor, twins) for name, tensor in own.items()})
    names = fields.get("_flat_weights_names") if found else None
    if names is not None:
        # Recurrent modules keep a second list of their weights.
        emptied.append((fields, {"_flat_weights": fields.get("_flat_weights")}))
        fields["_flat_weights"] = [getattr(module, name, None) for name in names]


def _fill(emptied: list[_Emptied]) -> None:
    """Gives modules back what was theirs."""
    for home, own in emptied:
        home.update(own)


@contextmanager
def _hollow_optimizer(
    optimizer: torch.optim.Optimizer, twins: dict[int, torch.Tensor]
) -> Iterator[None]:
    groups = [(group, group["params"]) for group in optimizer.param_groups]
    state = optimizer.state
    for group, parameters in groups:
        group["params"] = [_twin(parameter, twins) for parameter in parameters]
    optimizer.state = defaultdict(dict)
    for parameter, values in state.items():
        own = {name: _twin(value, twins) for name, value in values.items()}
        optimizer.state[_twin(parameter, twins)] = own
    try:
        yield
    finally:
        optimizer.state = state
        for group, parameters in groups:
            group["params"] = parameters


def _is_real(tensor: Any) -> bool:
    return type(tensor) in _PLAIN and not is_meta(tensor) and tensor.layout is torch.strided


def _twin(tensor: Any, twins: dict[int, torch.Tensor]) -> Any:
    """What stands for a tensor; whole numbers keep their values, in a copy of their own."""
    return _twin_of(tensor, twins) if _is_real(tensor) else tensor


def _twin_of(tensor: torch.Tensor, twins: dict[int, torch.Tensor]) -> torch.Tensor:
    known = twins.get(id(tensor))
    if known is None:
        known = twins[id(tensor)] = _made(tensor)
    return known


def _made(tensor: torch.Tensor) -> torch.Tensor:
    asks = tensor.requires_grad
    if not asks and not (tensor.dim() and (tensor.is_floating_point() or tensor.is_complex())):
        return tensor.detach().clone()
    twin = torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device=_META)
    if type(tensor) is torch.nn.Parameter:
        return parameter_of(twin, requires_grad=asks)
    return twin.requires_grad_() if asks else twin
