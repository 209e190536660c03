"""Trainers' logs, by regular expressions with named groups: what a line tells, and when.

A step's line is written at its end, and tells of all steps since the line before. Groups: `step`;
`seconds`, `milliseconds` or nothing for the length of one step (then the time since the last line);
`time`, `elapsed` or nothing for when (then the steps follow each other). Other lines tell a
checkpoint, at the moment of the line before.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

from goodput.errors import UsageError
from goodput.events import wire
from goodput.events.wire import Entry
from goodput.ledger.importers.times import clock, nanoseconds

_TIME = r"(?P<time>\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(?:[.,]\d+)?)"
_SECOND_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Pattern:
    """What a line may tell: an event, and the expression that finds it."""

    event: str
    expression: re.Pattern[str]


def _patterns(**expressions: str) -> tuple[Pattern, ...]:
    return tuple(Pattern(event, re.compile(text)) for event, text in expressions.items())


TRAINERS = {
    # [2025-06-01 12:00:00] iteration  10/ 500 | ... | elapsed time per iteration (ms): 1234.5 | ...
    "megatron": _patterns(
        step=rf"(?:\[{_TIME}[^\]]*\])?\s*iteration\s+(?P<step>\d+)/.*?"
        r"elapsed time per iteration \(ms\):\s*(?P<milliseconds>[\d.]+)",
        checkpoint_save=r"successfully saved checkpoint (?:from|at) iteration\s+(?P<step>\d+)",
        checkpoint_load=r"successfully loaded checkpoint .*? at iteration (?P<step>\d+)",
    ),
    # [titan] 2025-06-01 12:00:00,123 - root - INFO - step: 10  loss:  4.5  ...  tps: 5,762  ...
    "torchtitan": _patterns(
        step=rf"{_TIME}.*?\bstep:\s*(?P<step>\d+)\s+loss:",
        checkpoint_save=rf"{_TIME}.*?Finished saving the checkpoint.*? in (?P<seconds>[\d.]+)",
        checkpoint_load=rf"{_TIME}.*?Finished loading the checkpoint.*? in (?P<seconds>[\d.]+)",
    ),
    # completed step: 10, seconds: 1.234, TFLOP/s/device: 100.1, Tokens/s/device: 5000.2, ...
    "maxtext": _patterns(
        step=rf"(?:{_TIME}.*?)?completed step: (?P<step>\d+), seconds: (?P<seconds>[\d.]+)",
        checkpoint_save=r"[Ss]aved a? ?checkpoint at step (?P<step>\d+)",
        checkpoint_load=r"restored from .*?(?:step|/)\s*(?P<step>\d+)",
    ),
    # 10%|#    | 10/100 [00:12<01:48,  1.20s/it]   and   Saving model checkpoint to x/checkpoint-10
    "huggingface": _patterns(
        step=r"\s(?P<step>\d+)/\d+ \[(?P<elapsed>[\d:-]+)<",
        checkpoint_save=r"Saving model checkpoint to .*checkpoint-(?P<step>\d+)",
        checkpoint_load=r"Loading model from .*checkpoint-(?P<step>\d+)",
    ),
}
"""The patterns that are shipped, by trainer."""


def custom(expression: str) -> tuple[Pattern, ...]:
    """A user's own expression of a step.

    Raises:
        UsageError: it is none, or it has no group `step`.
    """
    try:
        compiled = re.compile(expression)
    except re.error as error:
        raise UsageError(f"--pattern is no regular expression: {error}") from error
    if "step" not in compiled.groupindex:
        raise UsageError("--pattern needs a group (?P<step>...) and may have seconds and time")
    return (Pattern(wire.STEP, compiled),)


@dataclass(slots=True)
class _Log:
    """Where the reading of a log is: its clock, and the last step.

    `interval` is the number of steps that a line usually tells.
    """

    interval: int
    now: int | None = None
    step: int | None = None
    opened: bool = False


def entries(lines: Iterable[str], patterns: Iterable[Pattern]) -> Iterator[Entry]:
    """The entries of a ledger; a log whose steps go back shows a life that was begun again."""
    found = list(_found(lines, tuple(patterns)))
    numbers = [int(groups["step"] or 0) for event, groups in found if event == wire.STEP]
    ahead = Counter(later - one for one, later in pairwise(numbers) if later > one)
    log = _Log(ahead.most_common(1)[0][0] if ahead else 1)
    for event, groups in found:
        yield from _told(event, groups, log)


def _found(
    lines: Iterable[str], patterns: tuple[Pattern, ...]
) -> Iterator[tuple[str, dict[str, str | None]]]:
    """What the lines tell: the event, and the groups of its expression."""
    for line in lines:
        for pattern in patterns:
            # tqdm writes over its line: the last part is what stands.
            match = pattern.expression.search(line.rsplit("\r", 1)[-1])
            if match is not None:
                yield pattern.event, match.groupdict()
                break


def _told(event: str, found: dict[str, str | None], log: _Log) -> Iterator[Entry]:
    length = _length(found)
    at = _moment(found, log, length)
    if event != wire.STEP:
        yield from _checkpoint(event, found, log, at, length)
        return
    number = int(found["step"] or 0)
    again = log.step is not None and number <= log.step
    count = _count(number, log)
    if length is not None:
        start = at - length * count
    else:
        start = log.now if log.now is not None and not again else at
    if not log.opened or again:
        yield Entry(wire.OPEN, time_ns=start)
        log.opened = True
    if length is None and (again or log.now is None):
        count = 0  # when its first line is written is all that is known of a life's first steps
    for place in range(count):
        low, high = (start + (at - start) * k // count for k in (place, place + 1))
        yield Entry(wire.STEP, start_ns=low, end_ns=high, step=number - count + place + 1)
    log.now, log.step = at, number


def _checkpoint(
    event: str, found: dict[str, str | None], log: _Log, at: int, length: int | None
) -> Iterator[Entry]:
    step = found.get("step")
    number = log.step if step is None else int(step)
    if event == wire.CHECKPOINT_LOAD:
        yield Entry(wire.OPEN, time_ns=at - (length or 0))
        log.opened, log.step = True, number
    yield Entry(event, start_ns=at - (length or 0), end_ns=at, step=number)
    log.now = at


def _length(found: dict[str, str | None]) -> int | None:
    """Nanoseconds of one step, where the line tells them."""
    if found.get("milliseconds"):
        return round(float(found["milliseconds"] or 0) * 1_000_000)
    if found.get("seconds"):
        return round(float(found["seconds"] or 0) * _SECOND_NS)
    return None


def _moment(found: dict[str, str | None], log: _Log, length: int | None) -> int:
    """When the line was written."""
    if found.get("time"):
        return nanoseconds(found["time"])
    if found.get("elapsed"):
        return clock(found["elapsed"] or "")
    since = 0 if log.now is None else log.now
    if length is None:
        return since
    return since + length * _count(int(found.get("step") or 0), log)


def _count(number: int, log: _Log) -> int:
    """How many steps the line of step `number` tells: of a life's first line, the usual number."""
    if log.step is not None and number > log.step:
        return number - log.step
    return max(min(log.interval, number), 1)
