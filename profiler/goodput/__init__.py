"""What fraction of a device became useful model math, operator by operator.

The public names below are loaded when first used, so that importing goodput imports no framework,
no numpy, and costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from goodput.commands.compared import compare
    from goodput.commands.counted import count
    from goodput.commands.ledger import Ledger
    from goodput.commands.record import record
    from goodput.commands.stored import load
    from goodput.comparison.declared import cases, reference, variant
    from goodput.formulas.custom import formula
    from goodput.formulas.told import useful_size, useful_tokens
    from goodput.work import Call, TensorSpec, Work

__all__ = [
    "Call",
    "Ledger",
    "TensorSpec",
    "Work",
    "__version__",
    "cases",
    "compare",
    "count",
    "formula",
    "load",
    "record",
    "reference",
    "useful_size",
    "useful_tokens",
    "variant",
]
__version__ = "0.1.0"

# No submodule may bear one of these names: its import would replace the function.
_HOMES = {
    "Call": "goodput.work",
    "Ledger": "goodput.commands.ledger",
    "TensorSpec": "goodput.work",
    "Work": "goodput.work",
    "cases": "goodput.comparison.declared",
    "compare": "goodput.commands.compared",
    "count": "goodput.commands.counted",
    "formula": "goodput.formulas.custom",
    "load": "goodput.commands.stored",
    "record": "goodput.commands.record",
    "reference": "goodput.comparison.declared",
    "useful_size": "goodput.formulas.told",
    "useful_tokens": "goodput.formulas.told",
    "variant": "goodput.comparison.declared",
}


def __getattr__(name: str) -> object:
    """The public name `name`, loaded from where it lives."""
    if name not in _HOMES:
        raise AttributeError(f"module 'goodput' has no attribute {name!r}")
    found = globals()[name] = getattr(import_module(_HOMES[name]), name)
    return found


def __dir__() -> list[str]:
    """The public names."""
    return sorted(__all__)
