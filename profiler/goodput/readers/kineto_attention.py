"""Which products belong to causal attention that torch took apart (its `math` kernel).

Such attention is recorded as plain batched products over all pairs. The composite call around them,
or around the forward product of a backward one, says that it is causal; a mask's values are in no
trace, so masked attention stays dense.
"""

from __future__ import annotations

import numpy as np

from goodput.formulas.attention import causal_pairs
from goodput.readers.kineto_calls import Inputs
from goodput.readers.kineto_events import Column, Events
from goodput.readers.kineto_links import NOBODY, HostLinks, at
from goodput.readers.kineto_names import Names
from goodput.trace.table import Integers
from goodput.work import TensorSpec

_PRODUCTS = ("aten::bmm", "aten::baddbmm")
# Where the schema of the composite has its mask and its causal flag.
_MASK, _CAUSAL = 3, 5


def open_pairs_only(
    columns: dict[str, Column], owner: Integers, links: HostLinks, names: Names, events: Events
) -> dict[str, Column]:
    """The columns with the masked pairs of causal products moved from `flops` to `padding_flops`.

    Args:
        columns: the rows' columns.
        owner: the host event of each row, `NOBODY` without one.
        links: the host's events, and the attention each belongs to.
        names: what their names mean.
        events: the file, for the shapes of the attention calls.
    """
    products = [names.strings.index(name) for name in _PRODUCTS if name in names.strings]
    attention = at(links.attention, owner, NOBODY)
    rows = np.nonzero(np.isin(columns["operator"], products) & (attention != NOBODY))[0]
    if not len(rows):
        return columns
    signature = links.host.signature[attention[rows]]
    flops = columns["flops"].copy()
    for number in np.unique(signature).tolist():
        unmasked, pairs = _pairs(events, number)
        chosen = rows[signature == number]
        # Exact: a product over all pairs is a whole number of FLOP for each pair.
        flops[chosen] = flops[chosen] // pairs * unmasked
    padding = columns["padding_flops"] + columns["flops"] - flops
    return {**columns, "flops": flops, "padding_flops": padding}


def _pairs(events: Events, signature: int) -> tuple[int, int]:
    """Open and all pairs of one head; (1, 1) where all are open or nothing says which."""
    if signature < 0:
        return 1, 1
    inputs = Inputs(events.signatures[signature]).arguments("float32")
    query, key = (*inputs, None, None)[:2]
    masked = len(inputs) > _MASK and isinstance(inputs[_MASK], TensorSpec)
    causal = len(inputs) > _CAUSAL and inputs[_CAUSAL] is True
    if masked or not causal or not (isinstance(query, TensorSpec) and isinstance(key, TensorSpec)):
        return 1, 1
    queries, keys = query.shape[-2], key.shape[-2]
    return (causal_pairs(queries, keys), queries * keys) if queries * keys else (1, 1)
