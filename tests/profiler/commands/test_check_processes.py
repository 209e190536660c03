"""`goodput check` with fresh processes: what a case may do to itself and to no other."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from goodput.cli import status_of
from goodput.commands import timed_runs
from goodput.commands.case_runs import CountedRun, Site
from goodput.commands.timed_runs import Sides
from goodput.gates import looks
from goodput.gates.baselines import Baseline
from goodput.gates.blessing import held_against
from goodput.gates.declarations import Case
from goodput.gates.observation import METHOD
from goodput.gates.observed_run import CaseRun
from goodput.gates.trees import merge_base
from goodput.report.verdicts import Tier

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


# --- the measured tier, with processes that are made up -------------------------------------------


class Processes:
    """Answers of fresh processes, the step of each tree taking as long as a test says."""

    def __init__(self, seconds: dict[str, float]):
        self.seconds = seconds
        self.started: list[str] = []

    def answered(self, case, request, place, folder, seed) -> tuple[bytes, str]:
        del case, folder
        assert request["anchor"] == "compute"
        name = place.root.name
        self.started.append(name)
        step = self.seconds[name] * (1 + 1e-4 * seed)
        timed = {
            "rounds": {"step": [step] * 5, "anchor": [0.001] * 5},
            "anchor": "4096x4096x4096 bfloat16",
            "amount": 1e9,
            "device": {"kind": "cuda", "name": "NVIDIA H200"},
            "environment": {"torch": "2.13.0"},
        }
        return json.dumps({"timed": timed}).encode(), ""


COUNTS = {"useful_flops": 1e10, "useful_flops.bfloat16": 1e10}


def timed_run(
    processes: Processes, monkeypatch, base: str = "", baseline: Baseline | None = None
) -> CaseRun:
    monkeypatch.setattr(timed_runs, "answered", processes.answered)
    counts = CountedRun(
        CaseRun("gpt", Tier.EXACT, {"program": "x"}, (COUNTS,), method=METHOD), None
    )
    place = Site(Path("base")) if base else None
    sides = Sides(Site(Path("head")), place, counts, counts if base else None)
    return timed_runs.timed(
        Case("gpt", "a.py:b", device="NVIDIA H200"), sides, Path("x"), lambda _: baseline, 1
    )


def test_both_trees_run_in_turns_until_a_verdict_stands(monkeypatch) -> None:
    processes = Processes({"head": 0.1, "base": 0.1})
    run = timed_run(processes, monkeypatch, base="base")
    assert len(run.processes) == len(run.before) == looks.LOOKS[0][0]
    assert processes.started[:4] == ["base", "head", "head", "base"]
    assert not run.again


def test_a_regression_is_confirmed_in_further_processes(monkeypatch) -> None:
    processes = Processes({"head": 0.11, "base": 0.1})
    run = timed_run(processes, monkeypatch, base="base")
    assert len(run.again) == len(run.before_again) == looks.CONFIRMING
    assert len(processes.started) == 2 * (9 + 9)


def test_a_stored_baseline_is_held_by_new_processes_alone(monkeypatch) -> None:
    first = timed_run(Processes({"head": 0.1}), monkeypatch)
    assert len(first.processes) == 9
    assert first.processes[0]["mfu"] == pytest.approx(1e10 / 989.4e12 / 0.1, rel=0.01)
    baseline = held_against(first, "")
    again = Processes({"head": 0.1})
    timed_run(again, monkeypatch, baseline=baseline)
    assert again.started == ["head"] * 9


def test_a_case_of_another_device_is_not_measured(monkeypatch) -> None:
    monkeypatch.setattr(timed_runs, "answered", Processes({"head": 0.1}).answered)
    counts = CountedRun(CaseRun("gpt", Tier.EXACT, {}, (COUNTS,)), None)
    sides = Sides(Site(Path("head")), None, counts, None)
    case = Case("gpt", "a.py:b", device="TPU v5p")
    run = timed_runs.timed(case, sides, Path("x"), lambda _: None, 1)
    assert run.status == 3
    assert "declared for TPU v5p" in run.error


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
