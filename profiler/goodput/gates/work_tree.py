"""What git says of the folder that is checked: its commit, whether it is clean. Changes nothing."""

from __future__ import annotations

import subprocess
from pathlib import Path

_SECONDS = 60


def commit_of(folder: Path) -> str:
    """The commit that is checked out, with `+` where files differ from it; "" without git."""
    commit = _said(folder, "rev-parse", "--short=12", "HEAD")
    if not commit:
        return ""
    return f"{commit}+" if _said(folder, "status", "--porcelain", "-uno") else commit


def _said(folder: Path, *arguments: str) -> str:
    """What git prints; "" where it fails or is not there."""
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments],  # noqa: S607 - the git that the user has
            capture_output=True,
            text=True,
            check=False,
            timeout=_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
