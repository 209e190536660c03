"""The cached profile, read and written; trouble with it is a sentence and stops nothing."""

from __future__ import annotations

from pathlib import Path

from goodput.calibration import cache
from goodput.calibration.cache import Profile
from goodput.errors import UsageError


def stored(path: Path) -> tuple[Profile | None, tuple[str, ...]]:
    """The profile in `path`, if there is one that can be used, and a sentence if not."""
    try:
        return cache.read(path), ()
    except UsageError as error:
        return None, (f"the cached capacity could not be used ({error}), so it is measured again",)


def keep(path: Path, profile: Profile, unlocked: str) -> tuple[str, ...]:
    """Store the profile; the sentences say what went wrong with the cache."""
    notes = []
    try:
        cache.write(path, profile)
    except OSError as error:
        notes.append(
            f"the measured capacity could not be kept in {path.parent} ({error.strerror}), so the "
            "next run measures again; name a writable directory in GOODPUT_CACHE"
        )
    if unlocked and not notes:
        notes.append(f"{unlocked}, so other processes of this host may have measured meanwhile")
    return tuple(notes)
