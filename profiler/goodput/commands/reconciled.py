"""What `goodput reconcile` puts together: a config or a counted program, and a device's peak."""

from __future__ import annotations

import json
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path

from goodput.capacity.datasheet import Row, full_row_of, nearest_names, rows
from goodput.errors import UsageError
from goodput.formulas.architecture_config import from_config
from goodput.formulas.conventions_counted import Counts
from goodput.formulas.conventions_diagnosis import Figure, Speed
from goodput.formulas.conventions_reconciliation import (
    Reconciliation,
    Run,
    of_model,
    of_program,
)

_CONFIG = "hf:"
_RECOMPUTE = "recompute"
_LONGEST = ("max_position_embeddings", "n_positions", "max_seq_len")
_TOKENS = 2048
"""Tokens of a sequence where neither the user nor the config says."""


def reconciled(
    target: str, seq: int | None, batch: int | None, run: Run | None, reported: Figure | None
) -> Reconciliation:
    """The reconciliation of `target`.

    Args:
        target: `hf:config.json`, or a function as `goodput count` takes it.
        seq: tokens of a sequence; None takes the config's longest, at most 2048.
        batch: sequences of a step.
        run: a speed, with the device's peak where that is known.
        reported: a figure to be explained; for a config only.

    Raises:
        UsageError: the target cannot be read, or its architecture is not known.
        NotMeasuredError: the function could not be counted.
    """
    if not target.startswith(_CONFIG):
        return _of_function(target, seq, batch, run)
    fields = config_fields(Path(target.removeprefix(_CONFIG)))
    longest = next((fields[name] for name in _LONGEST if fields.get(name)), _TOKENS)
    tokens = seq or min(longest if isinstance(longest, int) else _TOKENS, _TOKENS)
    return of_model(target, from_config(fields), tokens, batch or 1, run, reported)


def config_fields(path: Path) -> Mapping[str, object]:
    """The fields of the config in `path`, a file or the directory that holds it.

    Raises:
        UsageError: there is none.
    """
    file = path / "config.json" if path.is_dir() else path
    if not file.is_file():
        raise UsageError(
            f"there is no file {file}; give the config.json of a Hugging Face model after hf:"
        )
    try:
        fields = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"{file} is no JSON file ({error}); give a config.json") from error
    if not isinstance(fields, dict):
        raise UsageError(f"{file} is no config: it holds no object; give a config.json")
    return fields


def _of_function(
    target: str, seq: int | None, batch: int | None, run: Run | None
) -> Reconciliation:
    from goodput.recording.counting import of_target

    recording = of_target(target, batch, seq)
    calls = (
        Counts(entry.operator, entry.work, entry.phase == _RECOMPUTE)
        for entry in recording.work.entries
        if entry.work is not None
    )
    tokens = recording.tokens_per_step
    unknown = sorted({e.operator for e in recording.work.entries if e.work is None})
    missing = (f"no formula, so not counted: {', '.join(unknown)}",) if unknown else ()
    return of_program(
        target,
        calls,
        None if tokens is None else round(tokens),
        run,
        (*recording.warnings, *missing),
    )


def run_of(speed: Fraction, device: str | None, mode: str) -> Run:
    """The run at `speed` tokens/s a device, with the dense peak of `device` in `mode`.

    People write `H100`, which several rows are of: the fastest in `mode` is taken, and that is
    said. Nothing is measured against it here, and a slower one raises every MFU alike.

    Raises:
        UsageError: the datasheet has no such device, or no such peak of it.
    """
    if device is None:
        return Run(Speed(speed))
    row, assumed = _row(device, mode)
    peak = row.flops_per_s.get(mode)
    if peak is None:
        known = ", ".join(row.flops_per_s)
        raise UsageError(f"the datasheet has no {mode} peak of {row.name}; --dtype may be {known}")
    others = {
        other.name: other.flops_per_s[mode]
        for other in rows()
        if other is not row and mode in other.flops_per_s
    }
    own = {name: rate for name, rate in row.flops_per_s.items() if name != mode}
    return Run(Speed(speed, peak, mode, own, others), row.name, row.source, assumed)


def _row(device: str, mode: str) -> tuple[Row, str]:
    """The row of this name, its own or a runtime name, or of its family; and what was assumed."""
    found = full_row_of(device) or next((row for row in rows() if row.name == device), None)
    if found is not None:
        return found, ""
    family = [row for row in rows() if row.name.partition("-")[0].lower() == device.lower()]
    if not family:
        near = nearest_names(device)
        hint = f"; nearest names: {', '.join(near)}" if near else ""
        raise UsageError(
            f"{device} is no device of the datasheet{hint}; goodput peak --list shows all"
        )
    fastest = max(family, key=lambda row: row.flops_per_s.get(mode, 0.0))
    names = ", ".join(row.name for row in family)
    return fastest, f"{device} may be {names}: this is the fastest; name another with --device"
