"""`goodput job` as it is typed."""

import json
import re
from xml.etree import ElementTree as ET

import pytest

from goodput.cli import status_of
from goodput.events.wire import SCHEMA, VERSION

SECOND = 10**9


class Lines:
    def __init__(self, job):
        self.now, self.lines = 1_767_225_600 * SECOND, []
        self.job = job

    def add(self, event, **keys):
        self.lines.append(json.dumps({"event": event, **keys}))

    def open(self, devices=4):
        keys = {"schema": f"{SCHEMA}/{VERSION}", "time_ns": self.now, "job": self.job}
        self.add("open", devices=devices, **keys)

    def span(self, event, seconds, **keys):
        start, self.now = self.now, self.now + round(seconds * SECOND)
        self.add(event, start_ns=start, end_ns=self.now, **keys)

    def steps(self, first, last, seconds, **keys):
        for number in range(first, last + 1):
            self.span("step", seconds, step=number, **keys)


def write(path, job="llama", flops=None):
    lines = Lines(job)
    lines.open()
    lines.span("initialisation", 60)
    lines.steps(1, 50, 10, tokens=4096, flops=flops)
    lines.span("checkpoint_save", 20, step=50)
    lines.steps(51, 60, 10, tokens=4096, flops=flops)
    lines.add("failure", time_ns=lines.now, cause="ECC <error> | 63")
    lines.now += 300 * SECOND
    lines.open()
    lines.span("checkpoint_load", 40, step=50)
    lines.steps(51, 100, 10, tokens=4096, flops=flops)
    lines.span("custom", 30, name="upload")
    lines.add("job_end", time_ns=lines.now, clean=True)
    path.write_text("\n".join(lines.lines) + "\n")
    return path


@pytest.fixture
def ledger(tmp_path):
    return write(tmp_path / "run.jsonl")


@pytest.fixture
def job(capsys):
    """Types a command; its status and what it said."""

    def typed(*words):
        status = status_of(["job", *map(str, words)])
        said = capsys.readouterr()
        return status, said.out, said.err

    return typed


def test_the_report_says_the_factors_and_what_to_fix(job, ledger):
    status, out, _ = job(ledger)
    assert status == 0
    for text in ("infrastructure", "product of two layers", "fix first", "100.00 %", "clean end"):
        assert text in out
    assert re.search(r"framework +custom +2\.00 min", out)
    assert re.search(r"upload +2\.00 min", out)


def test_json_holds_the_same_and_sums(job, ledger):
    _, out, _ = job(ledger, "--json", "-")
    found = json.loads(out)
    assert found["schema"] == "goodput.job/1"
    assert sum(found["buckets"].values()) == found["device_ns"]
    assert (
        found["kept_ns"] + sum(loss["device_ns"] for loss in found["losses"]) == found["device_ns"]
    )
    assert found["infrastructure"] * found["framework"] == pytest.approx(found["goodput"])
    assert found["program"] is None
    assert found["steps"] == {"kept": 100, "lost": 10, "unsaved": 0, "unfinished": 0, "done": 110}
    assert found["tokens"] == 100 * 4096


def test_a_recording_gives_the_program_layer(job, ledger, recording_file, capsys):
    status_of(["show", str(recording_file), "--json", "-"])
    useful = json.loads(capsys.readouterr().out)["totals"]["useful_seconds"]
    _, out, _ = job(ledger, "--report", recording_file, "--json", "-")
    found = json.loads(out)
    assert found["layers_known"] == 3
    assert found["ideal_ns"] == 100 * 4 * round(useful * SECOND)
    assert found["losses"][-1]["bucket"] == "slowdown"
    product = found["infrastructure"] * found["framework"] * found["program"]
    assert product == pytest.approx(found["goodput"])


def test_a_report_of_one_step_gives_it_too(job, ledger, recording_file, tmp_path):
    report = tmp_path / "step.json"
    status_of(["show", str(recording_file), "--json", str(report)])
    _, out, _ = job(ledger, "--report", report)
    assert "step.json" in out
    assert "slowdown" in out


def test_the_steps_own_flops_over_a_roof(job, tmp_path, recording_file):
    ledger = write(tmp_path / "run.jsonl", flops=4 * 60e9)
    _, out, _ = job(ledger, "--capacity", recording_file, "--dtype", "float32", "--json", "-")
    found = json.loads(out)
    # One second a step on each of four devices, of ten that it took.
    assert found["program"] == pytest.approx(0.1)
    assert found["ideal_ns"] == 100 * 4 * SECOND


def test_flops_that_steps_do_not_tell_are_not_zero(job, ledger, recording_file):
    _, out, _ = job(ledger, "--capacity", recording_file, "--dtype", "float32")
    assert "not all steps tell their useful FLOPs" in out
    assert "product of two layers" in out


def test_an_ideal_that_is_too_long_is_an_error(job, tmp_path, recording_file):
    ledger = write(tmp_path / "run.jsonl", flops=4 * 11 * 60e9)
    status, out, _ = job(ledger, "--capacity", recording_file, "--dtype", "float32")
    assert status == 5
    assert "error: program goodput would be 110.0 %" in out


def test_windows_sum_to_the_whole(job, ledger):
    _, out, _ = job(ledger, "--windows", "10m", "--json", "-")
    found = json.loads(out)
    assert sum(part["device_ns"] for part in found["windows"]) == found["device_ns"]
    assert sum(part["steps"]["kept"] for part in found["windows"]) == found["steps"]["kept"]


def test_the_last_window_so_far_is_the_whole(job, ledger):
    _, out, _ = job(ledger, "--windows", "10m")
    whole = re.search(r"^goodput +(\S+ %)", out, re.MULTILINE)[1]
    rows = out.partition("By window")[2].strip().splitlines()
    assert rows[-1].endswith(whole)


def test_rolling_windows_end_with_the_job(job, ledger, tmp_path):
    metrics = tmp_path / "job.prom"
    options = ["--rolling", "10m", "--rolling", "30d", "--openmetrics", metrics]
    _, out, _ = job(ledger, *options, "--windows", "10m", "--json", "-")
    found = json.loads(out)
    last, all_of_it = found["rolling"]
    assert last["end_ns"] == all_of_it["end_ns"] == found["end_ns"]
    assert last["end_ns"] - last["start_ns"] == 600 * SECOND
    # It reaches back into the window before the last one.
    ends = found["windows"][-2:]
    assert ends[0]["start_ns"] < last["start_ns"] < ends[1]["start_ns"]
    assert last["device_ns"] == sum(last["buckets"].values())
    # One that is longer than the job is all of it.
    assert all_of_it == {key: found[key] for key in all_of_it}
    text = metrics.read_text()
    assert f'seconds="600",layers="2"}} {last["goodput"]!r}' in text
    _, out, _ = job(ledger, "--rolling", "10m")
    assert "10.00 min" in out.partition("Rolling windows, which end with the job")[2]


def test_a_directory_has_a_row_a_job(job, tmp_path):
    for name in ("a", "b"):
        write(tmp_path / f"{name}.jsonl", job=name)
    (tmp_path / "other.jsonl").write_text('{"event":"open","schema":"goodput.ledger/9"}\n')
    status, out, _ = job(tmp_path)
    assert status == 0
    assert "2 jobs" in out
    assert "all, by device time" in out
    assert "newer goodput" in out
    _, out, _ = job(tmp_path, "--json", "-")
    assert [each["job"] for each in json.loads(out)["jobs"]] == ["a", "b"]


def test_two_jobs_in_one_file_are_told(job, tmp_path):
    one, two = (write(tmp_path / f"{name}.jsonl", job=name).read_text() for name in "ab")
    both = tmp_path / "both" / "run.jsonl"
    both.parent.mkdir()
    both.write_text(one + two)
    _, out, _ = job(both)
    assert "holds the events of 2 jobs" in out


@pytest.mark.parametrize(
    ("vocabulary", "words"),
    [
        ("google", ["scheduling", "runtime", "WASTED_PROGRESS_FROM_DISRUPTION"]),
        ("ettr", ["ETTR", "retraining since the last checkpoint"]),
    ],
)
def test_the_words_of_others_sum_too(job, ledger, vocabulary, words):
    _, out, _ = job(ledger, "--as", vocabulary)
    for word in words:
        assert word in out
    shares = [float(x) for x in re.findall(r"(\d+\.\d\d) %$", out, re.MULTILINE)]
    assert sum(shares[:-1]) == pytest.approx(100, abs=0.05)


def test_a_price_is_told_by_bucket(job, ledger):
    _, out, _ = job(ledger, "--price", "2.5")
    assert re.search(r"price +\S+ in all, \S+ of it lost; a point is", out)


def test_markdown_escapes_what_a_ledger_says(job, ledger, tmp_path):
    job(ledger, "--markdown", tmp_path / "job.md")
    text = (tmp_path / "job.md").read_text()
    assert text.startswith("## goodput job: llama")
    assert "ECC \\<error\\> \\| 63" in text


def test_openmetrics_is_in_its_form(job, ledger, tmp_path):
    job(ledger, "--openmetrics", tmp_path / "job.prom")
    lines = (tmp_path / "job.prom").read_text().splitlines()
    assert lines[-1] == "# EOF"
    sample = re.compile(r'^[a-z_]+\{([a-z]+="(\\.|[^"\\])*",?)*\} [-0-9.e+]+$')
    assert all(line.startswith("#") or sample.match(line) for line in lines)
    assert any('layer="framework"' in line for line in lines)
    assert not any('layer="program"' in line for line in lines)


def test_the_timeline_is_a_drawing(job, ledger, tmp_path):
    job(ledger, "--timeline", tmp_path / "job.svg")
    root = ET.fromstring((tmp_path / "job.svg").read_text())  # noqa: S314 - our own
    assert len(root.findall("{http://www.w3.org/2000/svg}polyline")) >= 400


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["no-such.jsonl"], "there is no ledger"),
        (["run.jsonl", "--json", "-", "--markdown", "-"], "only one of"),
        (["run.jsonl", "--windows", "soon"], "is no time"),
        (["run.jsonl", "--report", "no-such"], "there is no file"),
        (["."], "holds no ledger"),
    ],
)
def test_wrong_use(job, tmp_path, monkeypatch, words, told):
    monkeypatch.chdir(tmp_path)
    if words != ["."]:
        write(tmp_path / "run.jsonl")
    status, _, err = job(*words)
    assert status == 2
    assert told in err


def test_an_empty_ledger_could_not_be_measured(job, tmp_path):
    (tmp_path / "run.jsonl").touch()
    status, _, err = job(tmp_path / "run.jsonl")
    assert status == 3
    assert "holds no event" in err


def test_what_if(job):
    status, out, _ = job("what-if", "--mtbf", "3h", "--save", "90s", "--restart", "6m")
    assert status == 0
    assert "save every  22.25 min of work" in out
    words = ["--every", "2h", "--price", "2", "--devices", "1000", "--json", "-"]
    _, out, _ = job("what-if", "--mtbf", "3h", "--save", "90s", "--restart", "6m", *words)
    found = json.loads(out)
    assert found["price_a_day_of_a_lost_point"] == 480
    assert found["intervals"][-1]["name"] == "yours"


def test_what_if_needs_its_times(job):
    status, _, err = job("what-if", "--mtbf", "3h")
    assert status == 2
    assert "--save" in err
    assert job("what-if", "--mtbf", "x", "--save", "1s", "--restart", "1s")[0] == 2


# --- the README -----------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def section(repository):
    readme = (repository / "README.md").read_text()
    return readme.partition("\n## `goodput job`\n")[2].partition("\n## ")[0]


def test_the_commands_of_the_readme_run(section, job, tmp_path, monkeypatch, recording_file):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "run.jsonl")
    recording_file.rename(tmp_path / "run.goodput")
    (tmp_path / "ledgers").mkdir()
    write(tmp_path / "ledgers" / "one.jsonl")
    lines = re.findall(r"^    goodput job (.*)$", section, re.MULTILINE)
    assert len(lines) >= 7
    for line in lines:
        status, _, err = job(*line.split())
        assert status == 0, (line, err)
    assert {"job.json", "job.prom", "job.svg"} <= {path.name for path in tmp_path.iterdir()}


def test_the_program_of_the_readme_runs(section, job, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (program,) = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    exec(program, {})  # noqa: S102 - our own
    _, out, _ = job("run.jsonl", "--json", "-")
    found = json.loads(out)
    assert found["steps"]["kept"] == 100
    assert found["tokens"] == 800


def test_the_options_of_what_if_stand_in_the_readme(section):
    from goodput.commands.what_if import command

    for parameter in command.params:
        assert parameter.opts[0] in section
