"""The reconciliation as JSON, in base units; whole counts are whole."""

from __future__ import annotations

from typing import Any

import msgspec

from goodput.formulas.architecture import parameters
from goodput.formulas.conventions import CONVENTIONS
from goodput.formulas.conventions_bridge import Bridge
from goodput.formulas.conventions_reconciliation import Reconciliation

SCHEMA = "goodput.reconciliation/1"


def reconciliation_json(found: Reconciliation) -> str:
    """Everything, for a program to read."""
    reported = found.reported
    content = {
        "schema": SCHEMA,
        "title": found.title,
        "model": _model(found),
        "tokens": found.tokens,
        "batch": found.batch,
        "run": _run(found),
        "conventions": [_bridge(found, bridge) for bridge in found.bridges],
        "refused": [{"convention": name, "reason": why} for name, why in found.refused],
        "reported": None
        if reported is None
        else {
            "text": reported.text,
            "quantity": reported.quantity,
            "value": float(reported.value),
            "half_unit": float(reported.half_unit),
        },
        "explanations": [
            {"convention": one.convention, "deviations": one.deviations, "value": one.value}
            for one in found.explanations
        ],
        "warnings": found.warnings,
    }
    return msgspec.json.format(msgspec.json.encode(content), indent=1).decode() + "\n"


def _model(found: Reconciliation) -> dict[str, Any] | None:
    if found.model is None:
        return None
    own = parameters(found.model)
    return {
        **msgspec.to_builtins(found.model),
        "parameters": {**msgspec.to_builtins(own), "total": own.total, "active": own.active},
    }


def _run(found: Reconciliation) -> dict[str, Any] | None:
    if found.run is None:
        return None
    speed = found.run.speed
    return {
        "device": found.run.device or None,
        "source": found.run.source or None,
        "assumed": found.run.assumed or None,
        "mode": speed.mode or None,
        "peak_flops_per_s": speed.peak,
        "tokens_per_s": float(speed.tokens_per_s),
    }


def _bridge(found: Reconciliation, bridge: Bridge) -> dict[str, Any]:
    return {
        "convention": bridge.convention,
        "counts": CONVENTIONS[bridge.convention],
        **_amounts(found, bridge.flops),
        "terms": [
            {"decision": term.decision, "text": term.text, **_amounts(found, term.flops)}
            for term in bridge.terms
        ],
    }


def _amounts(found: Reconciliation, flops: int) -> dict[str, float | int | None]:
    """FLOPs of `tokens` tokens, of one token, and as a share of the peak."""
    return {
        "flops": flops,
        "flops_per_token": found.per_token(flops),
        "mfu": found.mfu(flops),
    }
