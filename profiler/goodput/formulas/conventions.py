"""Which rule produced a number of useful FLOPs: the named conventions and what each counts."""

from __future__ import annotations

from collections.abc import Mapping

from goodput.errors import UsageError
from goodput.work import Work

EXACT = "exact"
DENSE_ATTENTION = "dense-attention"

CONVENTIONS: Mapping[str, str] = {
    EXACT: "Products with a reduction that the model's math needs; attention counts its unmasked "
    "pairs, attention backward is twice its forward.",
    DENSE_ATTENTION: "As exact, but attention counts every query-key pair, masked or not, as the "
    "Megatron and PaLM papers' formulas do.",
}
"""Every convention by name, with what it counts in one sentence."""


def check(convention: str) -> str:
    """`convention` itself, where it is one.

    Raises:
        UsageError: no convention has that name.
    """
    if convention not in CONVENTIONS:
        known = ", ".join(CONVENTIONS)
        raise UsageError(f"No convention is named {convention!r}; the known ones are: {known}.")
    return convention


def useful_flops(work: Work, convention: str) -> int:
    """The useful FLOPs `U` of `work` under `convention`.

    Raises:
        UsageError: no convention has that name.
    """
    return work.dense_flops if check(convention) == DENSE_ATTENTION else work.flops
