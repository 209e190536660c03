"""Formulas of torch's own table, and those that a program put there: they count here too."""

from __future__ import annotations

from typing import Any

from goodput.errors import FormulaError
from goodput.frontends.torch_private import packet_of
from goodput.work import Call, Work


def torch_formulas() -> dict[Any, Any]:
    """Torch's table of formulas, by all overloads of an operator."""
    from torch.utils.flop_counter import flop_registry

    return flop_registry


def torch_work(
    func: Any, args: tuple[Any, ...], kwargs: Any, result: Any, call: Call
) -> Work | None:
    """Work by a formula registered with torch's own `register_flop_formula`."""
    formula = torch_formulas().get(packet_of(func))
    if formula is None:
        return None
    try:
        flops = int(formula(*args, **kwargs, out_val=result))
    except Exception as error:  # the formula is the user's code
        raise FormulaError(
            f"the formula registered with torch for {call.name} failed: {error}"
        ) from error
    return Work.of_products(flops, call)
