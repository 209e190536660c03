"""The files of another commit beside the work tree, while they are needed; it is left as it is."""

from __future__ import annotations

import io
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from goodput.errors import UsageError

_SECONDS = 600


@dataclass(frozen=True, slots=True)
class Tree:
    """A commit's files.

    Attributes:
        root: the folder in it that stands for the one that was asked for.
        top: its own top, which stands for that of the work tree.
        instead_of: the top of the work tree.
        commit: in full.
        notes: sentences on the work tree that it is held against.
    """

    root: Path
    top: Path
    instead_of: Path
    commit: str
    notes: tuple[str, ...] = ()


@contextmanager
def merge_base(folder: Path, ref: str, scratch: Path) -> Iterator[Tree]:
    """The files of the commit where `ref` and the work tree's commit part.

    Args:
        folder: a folder of the work tree.
        ref: a branch, a tag or a commit.
        scratch: a folder for the files.

    Raises:
        UsageError: there is no git, no such ref, or nothing in common.
    """
    top = Path(_git(folder, "rev-parse", "--show-toplevel", why=f"{folder} is in no git work tree"))
    _git(
        folder,
        "rev-parse",
        "--verify",
        "--quiet",
        f"{ref}^{{commit}}",
        why=f"there is no commit {ref} here; fetch it first: git fetch origin",
    )
    commit = _git(
        folder,
        "merge-base",
        ref,
        "HEAD",
        why=f"{ref} and HEAD have no commit in common here; fetch more: git fetch --unshallow",
    )
    place = scratch / "base"
    inside = folder.resolve().relative_to(top.resolve())
    by_git = _added(top, place, commit)
    if not by_git:
        _extracted(top, place, commit)
    try:
        yield Tree(place / inside, place, top, commit, _notes(folder, commit))
    finally:
        if by_git:
            _run(top, "worktree", "remove", "--force", str(place))


def _notes(folder: Path, commit: str) -> tuple[str, ...]:
    notes = []
    if _run(folder, "status", "--porcelain", "-uno").stdout.strip():
        notes.append("the work tree is dirty: what is checked is its files, not a commit")
    elif _run(folder, "rev-parse", "HEAD").stdout.strip() == commit:
        notes.append("HEAD is the merge base itself: both sides are the same commit")
    return tuple(notes)


def _added(top: Path, place: Path, commit: str) -> bool:
    """Whether git made a work tree; it cannot in a checkout that is read-only."""
    return _run(top, "worktree", "add", "--detach", str(place), commit).returncode == 0


def _extracted(top: Path, place: Path, commit: str) -> None:
    """The files of a commit without a note of them in the repository.

    Raises:
        UsageError: git cannot give them.
    """
    import tarfile  # seldom needed, and slow to load

    try:
        done = subprocess.run(
            ["git", "-C", str(top), "archive", commit],  # noqa: S607 - the git that the user has
            capture_output=True,
            check=False,
            timeout=_SECONDS,
        )
        with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
            archive.extractall(place, filter="data")
    except (OSError, tarfile.TarError, subprocess.TimeoutExpired) as error:
        raise UsageError(f"git cannot give the files of {commit}: {error}") from error


def _git(folder: Path, *arguments: str, why: str) -> str:
    """What git prints.

    Raises:
        UsageError: it fails, which `why` explains.
    """
    done = _run(folder, *arguments)
    if done.returncode:
        raise UsageError(f"--against: {why}")
    return done.stdout.strip()


def _run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = ["git", "-C", str(folder), *arguments]
    try:
        return subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            timeout=_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return subprocess.CompletedProcess(command, 1, "", str(error))
