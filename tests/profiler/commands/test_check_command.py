"""`goodput check` and `goodput baseline`: statuses, reports, and what a bad file cannot break."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import msgspec
import pytest

from goodput.cli import status_of
from goodput.gates import run_file
from goodput.gates.observation import METHOD, OperatorFigures, Place
from goodput.gates.observed_run import CaseRun
from goodput.report.verdicts import CheckReport, Tier

VALUES = {"useful_flops": 1e6, "executed_flops": 1e6, "bytes": 5e3, "operator_calls": 10.0}
OWN = {
    "a": "a.py:step",
    "b": "b.py:step",
}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    text = "".join(f'[case.{name}]\ntarget = "{target}"\n' for name, target in OWN.items())
    (tmp_path / "goodput.toml").write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    return tmp_path


def run_of(case: str, values=VALUES, **fields: object) -> CaseRun:
    whole = {
        "fingerprint": {"program": OWN.get(case, "")},
        "processes": (values,) * 3,
        "method": METHOD,
        "commit": "0123456789ab",
        "reproduce": f"goodput check --tier exact --case {case}",
        **fields,
    }
    return CaseRun(case, Tier.EXACT, **whole)


@pytest.fixture
def stored(project: Path) -> Callable[..., str]:
    def store(*runs: CaseRun, name: str = "run.json") -> str:
        (project / name).write_text(run_file.encode(CheckReport(()), runs))
        return name

    return store


@pytest.fixture
def blessed(stored: Callable[..., str], capsys: pytest.CaptureFixture[str]) -> None:
    first = stored(run_of("a"), run_of("b"), name="first.json")
    assert status_of(["baseline", "bless", first, "--reason", "the first"]) == 0
    capsys.readouterr()


GOOD = run_of("a")
WORSE = run_of("a", {**VALUES, "bytes": 6e3})
BROKEN = run_of("a", error="it ended with status 1", status=3, processes=())
OTHER = run_of("a", fingerprint={"program": "other.py:step"})
SHAKY = run_of("a", processes=(VALUES, {**VALUES, "bytes": 6e3}, VALUES))


@pytest.mark.usefixtures("blessed")
@pytest.mark.parametrize(
    ("runs", "options", "status"),
    [
        ((GOOD,), (), 0),
        ((GOOD, run_of("b")), (), 0),
        ((run_of("a", {**VALUES, "bytes": 4e3}),), (), 0),
        ((WORSE,), (), 1),
        ((WORSE,), ("--exit-zero",), 0),
        ((BROKEN,), (), 3),
        ((OTHER,), (), 4),
        ((SHAKY,), (), 0),
        ((SHAKY,), ("--on-inconclusive", "fail"), 6),
        ((), (), 4),
        ((GOOD,), ("--case", "b"), 4),
        ((WORSE, run_of("b", error="x", status=3, processes=())), (), 3),
        ((WORSE, run_of("b", fingerprint={"program": "c.py:step"})), (), 1),
        ((SHAKY, run_of("b", fingerprint={"program": "c.py:step"})), (), 4),
        ((SHAKY, run_of("b", {**VALUES, "bytes": 9e3})), ("--on-inconclusive", "fail"), 1),
        ((GOOD,), ("--case", "c"), 2),
        ((GOOD,), ("--tier", "exakt"), 2),
        ((GOOD,), ("--against", "none.json"), 2),
    ],
    ids=[
        "pass", "two pass", "improved", "regressed", "exit zero", "crashed", "other program",
        "inconclusive", "inconclusive strict", "nothing", "nothing of it", "3 before 1",
        "1 before 4", "4 before 6", "1 before 6", "no case", "no tier", "no file",
    ],
)  # fmt: skip
def test_every_status(stored, runs, options, status) -> None:
    assert status_of(["check", stored(*runs), *options]) == status


@pytest.mark.usefixtures("blessed")
def test_the_json_has_every_status_that_applies(stored, project) -> None:
    run = stored(WORSE, run_of("b", error="x", status=3, processes=()))
    assert status_of(["check", run, "--json", "out.json"]) == 3
    out = json.loads((project / "out.json").read_text())
    assert out["schema"] == "goodput.check/1"
    assert (out["status"], out["statuses"]) == (3, [3, 1])
    assert {one["verdict"] for one in out["results"]} == {"REGRESSED", "ERROR"}


@pytest.mark.usefixtures("blessed")
def test_a_run_can_be_judged_again_from_its_own_json(stored) -> None:
    assert status_of(["check", stored(WORSE), "--json", "again.json"]) == 1
    assert status_of(["check", "again.json"]) == 1
    assert status_of(["check", "again.json", "--against", "first.json"]) == 1
    assert status_of(["check", "first.json", "--against", "again.json", "--case", "a"]) == 0


@pytest.mark.usefixtures("blessed")
def test_a_case_that_a_run_lacks_is_told(stored, capsys) -> None:
    assert status_of(["check", stored(GOOD)]) == 0
    assert "run.json holds nothing of b, exact" in capsys.readouterr().out
    assert status_of(["check", stored(GOOD, run_of("b"))]) == 0
    assert "holds nothing" not in capsys.readouterr().out


@pytest.mark.usefixtures("blessed")
def test_a_gate_that_was_taken_away_is_told(stored, project, capsys) -> None:
    run = stored(GOOD)
    (project / "goodput.toml").write_text('[case.a]\ntarget = "a.py:step"\n')
    assert status_of(["check", run]) == 0
    assert "baselines of a case that is not declared: b" in capsys.readouterr().out


@pytest.mark.usefixtures("blessed")
def test_more_than_a_device_can_do_is_status_5(stored, project) -> None:
    (project / "goodput.toml").write_text('[case.a]\ntarget = "a.py:step"\ntiers = ["measured"]\n')
    values = {"cost": 1e11, "step_seconds": 0.1, "anchor_flops_per_s": 1e12, "mfu": 1.4}
    run = replace(run_of("a", values), tier=Tier.MEASURED)
    assert status_of(["check", stored(run)]) == 5


BAD = {
    "conflict": b"<<<<<<< HEAD\n{}\n=======\n{}\n>>>>>>> other\n",
    "newer": b'{"schema": "goodput.baseline/9"}',
    "cut off": b'{"schema": "goodput.ba',
}


@pytest.mark.usefixtures("blessed")
@pytest.mark.parametrize("content", BAD.values(), ids=BAD)
def test_a_bad_baseline_stops_no_other_case_and_is_left(stored, project, content, capsys) -> None:
    path = project / ".goodput/baselines/a/exact.json"
    path.write_bytes(content)
    run = stored(GOOD, run_of("b"))
    assert status_of(["check", run]) == 2
    said = capsys.readouterr().out
    assert "b     exact  PASS" in said
    assert path.name in said
    assert status_of(["baseline", "bless", run, "--reason", "again"]) == 2
    assert path.read_bytes() == content


@pytest.mark.usefixtures("blessed")
def test_another_convention_is_not_compared(stored, project, capsys) -> None:
    path = project / ".goodput/baselines/a/exact.json"
    path.write_text(path.read_text().replace(METHOD, "goodput.exact/0"))
    assert status_of(["check", stored(GOOD)]) == 4
    assert "counted by goodput.exact/0" in capsys.readouterr().out


@pytest.mark.usefixtures("project")
def test_without_a_baseline_it_says_how_to_make_one(stored, capsys) -> None:
    assert status_of(["check", stored(GOOD)]) == 4
    assert "goodput baseline bless run.json" in " ".join(capsys.readouterr().out.split())


@pytest.mark.usefixtures("project")
def test_bless_needs_a_run_and_a_reason(stored, capsys) -> None:
    assert status_of(["baseline", "bless"]) == 2
    assert status_of(["baseline", "bless", stored(GOOD)]) == 2
    assert status_of(["baseline", "bless", stored(GOOD), "--reason", "  "]) == 2
    assert status_of(["baseline", "show"]) == 4
    assert "needs --reason" in capsys.readouterr().err


@pytest.mark.parametrize(
    "command",
    [["check"], ["check", "run.json"], ["baseline", "show"], ["baseline", "diff", "run.json"]],
)
def test_a_case_that_is_not_declared_is_one_line_with_the_nearest(
    project, stored, capsys, command
) -> None:
    (project / "goodput.toml").write_text(
        '[case.llama]\ntarget = "a.py:step"\n[case.bert]\ntarget = "a.py:step"'
    )
    stored(GOOD)
    assert status_of([*command, "--case", "lama"]) == 2
    said = capsys.readouterr().err
    assert said.endswith("did you mean llama?\n")
    assert said.count("\n") == 1


@pytest.mark.usefixtures("blessed")
def test_blessing_tells_what_moves_and_shows_the_drift(stored, capsys) -> None:
    run = stored(WORSE)
    assert status_of(["baseline", "diff", run]) == 0
    assert "bytes was 5.000 kB and is 6.000 kB (+20.00%)" in capsys.readouterr().out
    assert status_of(["baseline", "bless", run, "--reason", "a wider copy"]) == 0
    assert status_of(["check", run]) == 0
    capsys.readouterr()
    assert status_of(["baseline", "show", "--case", "a"]) == 0
    said = capsys.readouterr().out
    assert "a wider copy (baseline 2 of this program)" in said
    assert "+20.00% since the first" in said


@pytest.mark.usefixtures("blessed")
def test_small_losses_add_up_in_the_drift(stored, capsys) -> None:
    for step in range(1, 4):
        run = stored(run_of("a", {**VALUES, "bytes": 5e3 * 1.02**step}))
        assert status_of(["check", run]) == 1
        assert status_of(["baseline", "bless", run, "--reason", f"small loss {step}"]) == 0
    capsys.readouterr()
    status_of(["check", stored(run_of("a", {**VALUES, "bytes": 5e3 * 1.02**4}))])
    said = capsys.readouterr().out
    assert "+2.00 %" in said
    assert "+8.24 %" in said


@pytest.mark.usefixtures("blessed")
def test_a_read_only_folder_overwrites_nothing(stored, project, monkeypatch, capsys) -> None:
    path = project / ".goodput/baselines/a/exact.json"
    before = path.read_bytes()
    run = stored(WORSE)
    original = Path.write_bytes

    def refuse(self: Path, content: bytes) -> int:
        if ".goodput" in self.parts:
            raise PermissionError(30, "Read-only file system")
        return original(self, content)

    monkeypatch.setattr(Path, "write_bytes", refuse)
    assert status_of(["baseline", "bless", run, "--reason", "no"]) == 3
    assert path.read_bytes() == before
    assert "nothing was overwritten" in capsys.readouterr().err


@pytest.mark.usefixtures("blessed")
def test_every_report_of_one_run(stored, project, monkeypatch, capsys) -> None:
    place = Place("graph_breaks", "model.py", 12, "a branch depends on a tensor's value")
    values = {**VALUES, "graph_breaks": 0.0}
    known = {"toolchain": {"torch": "2.13.0"}, "operators": {"aten::mm": OperatorFigures(1, 10)}}
    first = stored(run_of("a", values, **known))
    status_of(["baseline", "bless", first, "--reason", "compiled"])
    known["operators"] = {"aten::mm": OperatorFigures(2, 20)}
    broken = run_of("a", {**values, "graph_breaks": 2.0}, places=(place,), **known)
    summary = project / "summary.md"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", os.fspath(summary))
    capsys.readouterr()
    names = {"--markdown": "r.md", "--junit": "r.xml", "--sarif": "r.sarif", "--json": "r.json"}
    files = [word for pair in names.items() for word in pair]
    assert status_of(["check", stored(broken, run_of("b")), *files, "--annotations"]) == 1
    said = capsys.readouterr().out
    assert "model.py:12" in said
    assert "::error file=model.py,line=12,title=goodput check::a, exact: REGRESSED" in said
    markdown = (project / "r.md").read_text()
    assert markdown == summary.read_text()
    assert "goodput check --tier exact --case a" in markdown
    assert "graph\\_breaks was 0 and is 2" in markdown
    suite = ET.fromstring((project / "r.xml").read_text())[0]  # noqa: S314 - ours
    assert suite.attrib["failures"] == "1"
    assert [len(case) for case in suite] == [1, 0]
    sarif = json.loads((project / "r.sarif").read_text())["runs"][0]
    (found,) = sarif["results"]
    assert found["ruleId"] == "graph_breaks"
    location = found["locations"][0]["physicalLocation"]
    assert location["artifactLocation"]["uri"] == "model.py"
    assert location["region"]["startLine"] == 12
    report, _, annotation = said.partition("::error")
    forms = [report, annotation, *((project / name).read_text() for name in names.values())]
    for form in forms:
        assert "aten::mm" in form  # the operator that lost the most
        assert "goodput check --tier exact --case a" in " ".join(form.split())


@pytest.mark.usefixtures("blessed")
def test_only_one_report_has_stdout(stored, capsys) -> None:
    run = stored(GOOD)
    assert status_of(["check", run, "--json", "-", "--markdown", "-"]) == 2
    capsys.readouterr()
    assert status_of(["check", run, "--json", "-"]) == 0
    assert json.loads(capsys.readouterr().out)["status"] == 0
    assert status_of(["check", run, "--junit", "-"]) == 0
    assert capsys.readouterr().out.startswith("<?xml")


@pytest.mark.usefixtures("blessed")
def test_a_report_that_cannot_be_written_is_told(stored, capsys) -> None:
    assert status_of(["check", stored(GOOD), "--junit", "none/r.xml"]) == 3
    assert "could not be written" in capsys.readouterr().err


@pytest.mark.usefixtures("blessed")
def test_at_most_nine_annotations_and_how_many_are_left(stored, project, capsys) -> None:
    names = [f"c{n}" for n in range(12)]
    text = "".join(f'[case.{name}]\ntarget = "x.py:step"\n' for name in names)
    (project / "goodput.toml").write_text(text)
    own = {"fingerprint": {"program": "x.py:step"}}
    first = stored(*(run_of(name, **own) for name in names))
    status_of(["baseline", "bless", first, "--reason", "many"])
    run = stored(*(run_of(name, {**VALUES, "bytes": 9e3}, **own) for name in names))
    capsys.readouterr()
    assert status_of(["check", run, "--annotations"]) == 1
    said = [line for line in capsys.readouterr().out.splitlines() if line.startswith("::")]
    assert len(said) == 10
    assert said[-1].startswith("::notice")
    assert "3 more" in said[-1]


@pytest.mark.usefixtures("blessed")
def test_the_history_grows_and_tells_what_changed(stored, project, capsys) -> None:
    assert status_of(["history"]) == 2
    for values in (VALUES, VALUES, {**VALUES, "bytes": 6e3}):
        status_of(["check", stored(run_of("a", values)), "--record"])
    with (project / ".goodput/history.jsonl").open("a") as file:
        file.write("<<<<<<< HEAD\nnot json\n")
    capsys.readouterr()
    assert status_of(["history", "--plot", "h.svg", "--json", "h.json"]) == 0
    said = capsys.readouterr().out
    assert "bytes" in said
    assert "+20.00 %" in said
    assert "2 lines" in said
    (change,) = json.loads((project / "h.json").read_text())["changes"]
    assert (change["place"], change["before"], change["after"]) == (2, 5e3, 6e3)
    assert ET.fromstring((project / "h.svg").read_text()).tag.endswith("svg")  # noqa: S314 - ours
    assert status_of(["history", "--metric", "cost"]) == 4


@pytest.mark.usefixtures("blessed")
def test_an_empty_history_is_told(project, capsys) -> None:
    (project / ".goodput/history.jsonl").write_text("")
    assert status_of(["history"]) == 4
    assert "holds nothing yet" in capsys.readouterr().err


# --- without a framework --------------------------------------------------------------------------


def modules_after(project: Path, repository: Path, code: str) -> set[str]:
    path = [str(repository / root) for root in ("profiler", "kernels")]
    program = (
        f"import sys; sys.path[:0] = {path!r}\nimport contextlib, io\n"
        "with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):\n"
        f"    {code}\nprint(*sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=project, capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


SLOW = {"torch", "jax", "triton", "numpy", "scipy", "sqlite3", "tabulate", "subprocess"}
"""What a check of stored files needs none of, and starts quicker without."""


@pytest.mark.usefixtures("blessed")
def test_stored_files_are_checked_without_a_framework(stored, project, repository) -> None:
    run = stored(GOOD)
    code = f"from goodput.cli import main; main(['check', {run!r}])"
    modules = modules_after(project, repository, code)
    assert "goodput.gates.judge" in modules
    assert not modules & SLOW
    # The twin: such an import would be seen.
    also = modules_after(project, repository, f"import triton, numpy, tabulate, subprocess; {code}")
    assert {"triton", "numpy", "tabulate", "subprocess"} <= also & SLOW


def test_a_check_is_what_the_file_says(stored, project) -> None:
    kept = run_file.load(project / stored(WORSE))
    assert msgspec.to_builtins(kept.runs[0]) == msgspec.to_builtins(WORSE)
