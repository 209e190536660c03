"""`goodput check` with fresh processes: what a case may do to itself and to no other."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from goodput.cli import status_of
from goodput.gates.trees import merge_base

PROJECT = """
[case.crashes]
target = "crashes.py:step"
[case.hangs]
target = "hangs.py:step"
timeout_seconds = 2
[case.absent]
target = "absent.py:step"
[case.unready]
target = "good.py:stepp"
[case.good]
target = "good.py:step"
tiers = ["exact", "modelled"]
device = "NVIDIA H200"
budget = { useful_flops = "1 MFLOP" }
"""
GOOD = """
import torch
def step():
    return torch.nn.Linear(64, 64, bias=False), (torch.randn(64, 64),)
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "goodput.toml").write_text(PROJECT)
    (tmp_path / "crashes.py").write_text("def step():\n    import os\n    os._exit(7)\n")
    (tmp_path / "hangs.py").write_text("import time\ntime.sleep(60)\ndef step(): ...\n")
    (tmp_path / "good.py").write_text(GOOD)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_case_that_fails_stops_no_other(project, capsys) -> None:
    assert status_of(["check", "--json", "run.json"]) == 2  # the absent ones; 3 applies too
    said = " ".join(capsys.readouterr().out.split())
    assert "case crashes: it ended with status 7" in said
    assert "case hangs: it was still running after 2 s and was stopped" in said
    assert "case absent: there is no file" in said
    assert "has no function stepp; did you mean step?" in said
    out = json.loads((project / "run.json").read_text())
    assert out["statuses"] == [2, 3]  # a budget is held before anything is blessed
    good = [one for one in out["results"] if one["case"] == "good"]
    assert {one["verdict"] for one in good} <= {"PASS", "INCOMPARABLE"}
    (counted,) = [r for r in out["runs"] if (r["case"], r["tier"]) == ("good", "exact")]
    assert len(counted["processes"]) == 3
    assert counted["processes"][0]["useful_flops"] == 2 * 64**3
    assert status_of(["baseline", "bless", "run.json", "--case", "good", "--reason", "first"]) == 0
    assert status_of(["check", "run.json", "--case", "good"]) == 0


# --- --against REF --------------------------------------------------------------------------------


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
    done = subprocess.run(
        ["git", "-C", os.fspath(folder), *identity, *arguments],  # noqa: S607 - any git
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


@pytest.fixture
def repository_of_two(project: Path) -> Path:
    git(project, "init", "-q", "-b", "main")
    git(project, "add", ".")
    git(project, "commit", "-qm", "first")
    git(project, "checkout", "-qb", "change")
    (project / "good.py").write_text(GOOD.replace("64, 64, bias", "64, 128, bias"))
    git(project, "commit", "-qam", "second")
    git(project, "checkout", "-q", "main")
    git(project, "commit", "-q", "--allow-empty", "-m", "main went on")
    git(project, "checkout", "-q", "change")
    return project


def test_the_merge_base_is_laid_beside_and_taken_away(repository_of_two, tmp_path) -> None:
    before = (
        git(repository_of_two, "status", "--porcelain"),
        git(repository_of_two, "worktree", "list"),
    )
    with merge_base(repository_of_two, "main", tmp_path / "scratch") as tree:
        assert (tree.root / "good.py").read_text() == GOOD
        assert not tree.notes
    assert before == (
        git(repository_of_two, "status", "--porcelain"),
        git(repository_of_two, "worktree", "list"),
    )


def test_a_checkout_that_git_cannot_write_to_is_enough(
    repository_of_two, tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr("goodput.gates.trees._added", lambda *_: False)
    with merge_base(repository_of_two, "main", tmp_path / "scratch") as tree:
        assert (tree.root / "good.py").read_text() == GOOD


def test_a_dirty_tree_is_told(repository_of_two, tmp_path) -> None:
    (repository_of_two / "good.py").write_text("# changed")
    with merge_base(repository_of_two, "main", tmp_path / "scratch") as tree:
        assert "dirty" in tree.notes[0]


def test_a_change_against_the_merge_base(repository_of_two, capsys) -> None:
    del repository_of_two
    assert status_of(["check", "--case", "good", "--tier", "exact", "--against", "main"]) == 1
    said = capsys.readouterr().out
    assert "useful_flops was 524.3 kFLOP and is 1.049 MFLOP (+100.00%)" in " ".join(said.split())
    assert "aten::mm" in said
    assert "the merge base with main" in said


@pytest.mark.parametrize("ref", ["no-such-branch", "origin/main"])
def test_a_ref_that_is_not_there_is_told(repository_of_two, ref, capsys) -> None:
    del repository_of_two
    assert status_of(["check", "--case", "good", "--against", ref]) == 2
    assert f"there is no commit {ref} here" in capsys.readouterr().err


def test_outside_of_git_there_is_nothing_to_hold_against(project, capsys) -> None:
    del project
    assert status_of(["check", "--against", "main"]) == 2
    assert "in no git work tree" in capsys.readouterr().err
