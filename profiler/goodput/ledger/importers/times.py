"""Times as other systems write them, in whole nanoseconds since 1970."""

from __future__ import annotations

from datetime import UTC, datetime

from goodput.errors import TraceFormatError

_SECOND_NS = 1_000_000_000
_FORMS = ("%Y-%m-%d %H:%M:%S,%f", "%Y-%m-%d %H:%M:%S.%f", "%Y-%m-%d %H:%M:%S")


def nanoseconds(value: object) -> int:
    """A number of seconds, or a date with a time; one without a zone is UTC.

    Raises:
        TraceFormatError: it is neither.
    """
    if isinstance(value, int | float):
        # Seconds of today have ten digits; a float of them is exact to a quarter of a microsecond.
        return value * _SECOND_NS if isinstance(value, int) else round(value * _SECOND_NS)
    text = str(value).strip()
    try:
        return _of(datetime.fromisoformat(text))
    except ValueError:
        pass
    for form in _FORMS:
        try:
            return _of(datetime.strptime(text, form).replace(tzinfo=UTC))
        except ValueError:
            continue
    raise TraceFormatError(f"{text!r} is no time; write seconds since 1970 or 2026-01-31T12:00:00Z")


def _of(moment: datetime) -> int:
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    whole = int(aware.replace(microsecond=0).timestamp())
    return whole * _SECOND_NS + aware.microsecond * 1000


def clock(text: str) -> int:
    """`1:02:03`, `02:03` or `1-02:03:04` in nanoseconds.

    Raises:
        TraceFormatError: it is none.
    """
    days, _, rest = text.rpartition("-")
    parts = rest.split(":")
    if not all(part.isdigit() for part in parts) or not (days.isdigit() or not days):
        raise TraceFormatError(f"{text!r} is no time of the form 1:02:03")
    seconds = 0
    for part in parts:
        seconds = 60 * seconds + int(part)
    return (seconds + 86_400 * int(days or 0)) * _SECOND_NS
