"""The buckets that every device nanosecond of a job falls into one of, and their layers."""

from __future__ import annotations

from dataclasses import dataclass

from goodput.events import wire

INFRASTRUCTURE, FRAMEWORK, PROGRAM = "infrastructure", "framework", "program"
LAYERS = (INFRASTRUCTURE, FRAMEWORK, PROGRAM)

KEPT = "kept steps"
LOST = "lost steps"
UNFINISHED = "unfinished steps"
UNSAVED = "unsaved steps"
UNATTRIBUTED = "unattributed"
DOWN = "down"
ELASTIC = "elastic down"


@dataclass(frozen=True, slots=True)
class Bucket:
    """One bucket: the layer that loses its time ("" where it is not lost), what it is, a remedy."""

    name: str
    layer: str
    meaning: str
    advice: str = ""


BUCKETS = (
    Bucket(KEPT, "", "steps that a later checkpoint or the clean end kept"),
    Bucket(
        LOST,
        FRAMEWORK,
        "steps done and lost to a failure, to be done again",
        "save more often: goodput job what-if tells how often",
    ),
    Bucket(UNFINISHED, FRAMEWORK, "steps that were cut off or failed", "fewer failures"),
    Bucket(
        UNSAVED,
        FRAMEWORK,
        "steps that nothing has kept yet",
        "they count once a checkpoint or the clean end keeps them",
    ),
    Bucket(wire.INITIALISATION, FRAMEWORK, "starting up", "cache images, imports and set-up"),
    Bucket(wire.COMPILE, FRAMEWORK, "compiling", "cache compiled programs across restarts"),
    Bucket(wire.DATA_WAIT, FRAMEWORK, "waiting for input", "more loader workers, or prefetching"),
    Bucket(
        wire.CHECKPOINT_SAVE,
        FRAMEWORK,
        "saving while training waits",
        "save asynchronously, or less often: goodput job what-if tells how often",
    ),
    Bucket(wire.CHECKPOINT_LOAD, FRAMEWORK, "loading a checkpoint", "load in parallel, or nearer"),
    Bucket(wire.EVALUATION, FRAMEWORK, "evaluating", "evaluate less often, or elsewhere"),
    Bucket(wire.CUSTOM, FRAMEWORK, "events of the program's own", ""),
    Bucket(UNATTRIBUTED, FRAMEWORK, "up, and no event says what for", "say more events around it"),
    Bucket(wire.QUEUE, INFRASTRUCTURE, "waiting in a queue", "a smaller or a reserved job"),
    Bucket(wire.ALLOCATION, INFRASTRUCTURE, "machines being made ready", "keep them warm"),
    Bucket(
        wire.RESTART,
        INFRASTRUCTURE,
        "from an end to the next start",
        "notice failures sooner, and keep spare machines",
    ),
    Bucket(ELASTIC, INFRASTRUCTURE, "paid for, and not at work", "replace lost machines sooner"),
    Bucket(DOWN, INFRASTRUCTURE, "not up, and no event says why", "say queue and allocation"),
)
"""All buckets; a custom event's own name is told beside its bucket."""

NAMES = tuple(bucket.name for bucket in BUCKETS)
BY_NAME = {bucket.name: bucket for bucket in BUCKETS}

SLOWDOWN = Bucket(
    "slowdown",
    PROGRAM,
    "what kept steps take beyond the ideal",
    "goodput run tells which operators to work on",
)
"""Part of the kept steps, where the ideal step time is known."""
