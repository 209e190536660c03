"""What each convention counts, the way from `exact` to it, and what explains a figure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from goodput.formulas.architecture import Architecture, parameters
from goodput.formulas.conventions_bridge import Bridge
from goodput.formulas.conventions_reconciliation import Reconciliation
from goodput.renderers.tables import Column, Table, filled
from goodput.renderers.terminal import (
    WIDTH,
    labelled,
    painter,
    sentences,
    table_lines,
    wrapped,
)
from goodput.units import percent, si

_DIGITS = 4
_SHOWN = 10
"""Explanations that are listed; the further ones assume what is less usual."""


@dataclass(frozen=True, slots=True)
class _Row:
    """A line of the table of bridges, as words."""

    convention: str
    term: str
    flops: str
    ratio: str
    mfu: str


def render_reconciliation(
    found: Reconciliation, *, width: int = WIDTH, colour: bool = False
) -> str:
    """The reconciliation in lines of at most `width` characters."""
    title = painter(colour, bold=True)
    refused = [f"not applied: {names} ({reason})" for names, reason in _joined(found)]
    blocks = [
        title(f"goodput reconcile: {found.title}"),
        labelled(_head(found), width),
        table_lines(_bridges(found), width, title),
        sentences("note", refused, width, painter(colour, fg="yellow")),
        _diagnosis(found, width, colour=colour),
        sentences("warning", found.warnings, width, painter(colour, fg="yellow")),
    ]
    return "\n\n".join(block for block in blocks if block) + "\n"


def _joined(found: Reconciliation) -> list[tuple[str, str]]:
    """What does not apply, by its reason."""
    names: dict[str, list[str]] = {}
    for name, reason in found.refused:
        names.setdefault(reason, []).append(name)
    return [(", ".join(own), reason) for reason, own in names.items()]


def _head(found: Reconciliation) -> Iterator[tuple[str, str]]:
    exact = found.bridges[0].flops
    if found.model is not None:
        yield "model", _model(found.model)
        batch = f" x {found.batch}" if found.batch != 1 else ""
        step = f"sequences of {found.tokens} tokens{batch}, forward and backward"
        yield "step", f"{step}: {si(exact * found.batch, 'FLOP', _DIGITS)}"
    else:
        tokens = "" if found.tokens is None else f" for {found.tokens} tokens"
        yield "step", f"as the program does it: {si(exact, 'FLOP', _DIGITS)}{tokens}"
    if found.tokens is not None:
        yield "exact", f"{si(found.per_token(exact), 'FLOP', _DIGITS)} a token"
    yield from _run(found, exact)


def _model(model: Architecture) -> str:
    own = parameters(model)
    active = f", {si(own.active, '')} of them active" if own.active != own.total else ""
    layers = f"{model.layer_count} layers, {model.hidden} wide"
    return f"{model.family}, {si(own.total, '')} parameters{active}; {layers}"


def _run(found: Reconciliation, exact: int) -> Iterator[tuple[str, str]]:
    if found.run is None:
        return
    speed = found.run.speed
    tokens = f"{si(float(speed.tokens_per_s), 'token/s')} per device"
    if speed.peak is None:
        rate = (found.per_token(exact) or 0.0) * float(speed.tokens_per_s)
        yield "speed", f"{tokens}: {si(rate, 'FLOP/s', _DIGITS)} by exact"
        return
    peak = si(speed.peak, "FLOP/s", _DIGITS)
    yield "device", f"{found.run.device}: {speed.mode} {peak}, dense ({found.run.source})"
    if found.run.assumed:
        yield "assumed", found.run.assumed
    yield "speed", f"{tokens}: an MFU of {percent(found.mfu(exact))} by exact"


def _bridges(found: Reconciliation) -> Table:
    rows = [row for bridge in found.bridges for row in _rows(found, bridge)]
    unit = "step" if found.tokens is None else "token"
    columns = (
        Column("convention", tuple(r.convention for r in rows)),
        Column("does otherwise", tuple(r.term for r in rows), least=20),
        Column(f"FLOP a {unit}", tuple(r.flops for r in rows), right=True),
        Column("of exact", tuple(r.ratio for r in rows), right=True),
        Column("MFU", tuple(r.mfu for r in rows), right=True),
    )
    notes = ["each term is what one decision adds, those above it made; they sum to the whole"]
    if any(row.mfu for row in rows):
        notes.append("MFU: of a term in percentage points")
    return Table("From exact to each convention", filled(columns), tuple(notes))


def _rows(found: Reconciliation, bridge: Bridge) -> Iterator[_Row]:
    exact = found.bridges[0].flops
    yield _Row(
        bridge.convention,
        "",
        si(_amount(found, bridge.flops), "", _DIGITS),
        percent(bridge.flops / exact if exact else None),
        _share(found, bridge.flops),
    )
    for term in bridge.terms:
        share = found.mfu(term.flops)
        yield _Row(
            "",
            term.text,
            _signed(_amount(found, term.flops)),
            f"{_change(100 * term.flops / exact, 1)} %" if exact else "",
            "" if share is None else _change(100 * share, 2),
        )


def _amount(found: Reconciliation, flops: int) -> float:
    own = found.per_token(flops)
    return float(flops) if own is None else own


def _share(found: Reconciliation, flops: int) -> str:
    share = found.mfu(flops)
    return "" if share is None else percent(share, 2)


def _change(points: float, digits: int) -> str:
    """Percentage points with their sign; what rounds to nothing has none."""
    text = f"{points:+.{digits}f}"
    return text if float(text) else text[1:]


def _signed(flops: float) -> str:
    return f"{'-' if flops < 0 else '+'}{si(abs(flops), '', _DIGITS)}"


def _diagnosis(found: Reconciliation, width: int, *, colour: bool) -> str:
    """What gives the figure that was reported."""
    if found.reported is None:
        return ""
    if not found.explanations:
        text = (
            f"nothing that was tried gives {found.reported.text}: no convention, with none, one or "
            "two of the usual deviations; look at the speed, the length of a sequence, the device "
            "and the config"
        )
        return wrapped(text, width)
    # Where little explains it, what takes much more is chance.
    most = len(found.explanations[0].deviations) + 1
    likely = [one for one in found.explanations if len(one.deviations) <= most]
    shown = likely[:_SHOWN]
    columns = (
        Column("convention", tuple(one.convention for one in shown)),
        Column("and", tuple("; ".join(one.deviations) or "-" for one in shown), least=30),
        Column("gives", tuple(_value(found, one.value) for one in shown), right=True),
    )
    more = len(found.explanations) - len(shown)
    notes = ["consistent with the figure, which proves nothing; what assumes less stands first"]
    if more:
        notes.append(f"{more} more give it too, by more or rarer deviations; --json lists them")
    table = Table(f"What gives {found.reported.text} within its rounding", columns, tuple(notes))
    return table_lines(table, width, painter(colour, bold=True))


def _value(found: Reconciliation, value: float) -> str:
    """A figure as it was reported, with one digit more."""
    assert found.reported is not None  # noqa: S101 - there is one where there are explanations
    if found.reported.quantity == "MFU":
        return percent(value, found.reported.decimals + 1)
    return si(value, found.reported.quantity, _DIGITS + 1)
