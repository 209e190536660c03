import gzip
import json
from pathlib import Path

import pytest

from goodput.capacity import peaks_file, store
from goodput.capacity.measurement import Peaks
from goodput.capacity.profile import Capacity
from goodput.cli import status_of
from goodput.renderers.json_report import parse_json


def test_text_on_stdout(recording_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert status_of(["show", str(recording_file)]) == 0
    captured = capsys.readouterr()
    assert captured.out.startswith("goodput: train.py --lr 1\n")
    assert "\nprogram goodput  39.9 % " in captured.out
    assert captured.err == ""
    assert "\x1b[" not in captured.out


def test_json_alone_on_stdout(recording_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert status_of(["show", str(recording_file), "--json", "-"]) == 0
    report = parse_json(capsys.readouterr().out)
    assert report.totals.useful_flops == 2 * 256**3
    assert sum(rung.share for rung in report.ladder) == pytest.approx(1.0, rel=1e-9)


def test_markdown_alone_on_stdout(recording_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert status_of(["show", str(recording_file), "--markdown", "-"]) == 0
    assert capsys.readouterr().out.startswith("## goodput: train.py")


def test_files_and_text(
    recording_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, other = tmp_path / "report.json", tmp_path / "report.md"
    arguments = ["show", str(recording_file), "--json", str(one), "--markdown", str(other)]
    assert status_of(arguments) == 0
    assert json.loads(one.read_text())["schema"] == "goodput.report/1"
    assert other.read_text().startswith("## goodput")
    assert capsys.readouterr().out.startswith("goodput: train.py")


def test_a_report_that_cannot_be_written_still_stands_on_stdout(
    recording_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "no" / "such" / "directory.json"
    assert status_of(["show", str(recording_file), "--json", str(place)]) == 3
    captured = capsys.readouterr()
    assert captured.out.startswith("goodput: train.py")
    assert captured.err.count("\n") == 1
    assert f"could not be written to {place} (No such file or directory)" in captured.err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_one_line(recording_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert status_of(["show", str(recording_file), "--json", "/dev/full"]) == 3
    captured = capsys.readouterr()
    assert "No space left on device" in captured.err
    assert captured.out.startswith("goodput: train.py")


@pytest.mark.parametrize(
    ("view", "first"), [("operator", "mm"), ("module", "blocks.0"), ("phase", "forward")]
)
def test_views(
    recording_file: Path, view: str, first: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status_of(["show", str(recording_file), "--by", view]) == 0
    lines = capsys.readouterr().out.splitlines()
    title = next(n for n, line in enumerate(lines) if line.startswith("Where to work next"))
    assert lines[title + 1].split()[0] == view
    assert lines[title + 3].split()[0] == first


def test_another_capacity(
    recording_file: Path,
    tmp_path: Path,
    low_capacity: Capacity,
    capsys: pytest.CaptureFixture[str],
) -> None:
    place = tmp_path / "capacity.json"
    store.save(place, low_capacity)
    assert status_of(["show", str(recording_file), "--capacity", str(place)]) == 5
    captured = capsys.readouterr()
    assert "\nerror: " in captured.out
    headline = next(x for x in captured.out.splitlines() if x.startswith("program goodput"))
    assert "239" not in headline
    assert "error" in headline


def test_a_file_of_goodput_peak_is_a_capacity(
    recording_file: Path,
    tmp_path: Path,
    low_capacity: Capacity,
    capsys: pytest.CaptureFixture[str],
) -> None:
    place, same = tmp_path / "peaks.json", tmp_path / "capacity.json"
    peaks_file.save(place, Peaks(low_capacity.device, low_capacity, "quick"))
    store.save(same, low_capacity)
    shown = []
    for given in (place, same):
        assert status_of(["show", str(recording_file), "--capacity", str(given)]) == 5
        shown.append(capsys.readouterr().out)
    assert shown[0] == shown[1]
    place.write_bytes(place.read_bytes()[:-30])
    assert status_of(["show", str(recording_file), "--capacity", str(place)]) == 2
    assert "peaks.json is not" in capsys.readouterr().err


def test_a_capacity_of_another_device(
    recording_file: Path,
    tmp_path: Path,
    other_capacity: Capacity,
    capsys: pytest.CaptureFixture[str],
) -> None:
    place = tmp_path / "capacity.json"
    store.save(place, other_capacity)
    assert status_of(["show", str(recording_file), "--capacity", str(place)]) == 2
    assert "Another Device" in capsys.readouterr().err


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not a trace",
        b"{}",
        b"[1, 2",
        b'{"schema":"goodput.recording/99","recording":{}}',
        b'{"schema":"goodput.recording/1","recording":{',
        gzip.compress(b'{"traceEvents": [{"ph": "X"')[:20],
        b'{"schema": "goodput.report/1"}',
    ],
)
def test_bad_files_are_one_clear_line(
    content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "trace.json"
    path.write_bytes(content)
    assert status_of(["show", str(path)]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("goodput: ")
    assert captured.err.count("\n") == 1
    assert "trace.json" in captured.err


def test_a_newer_recording_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "new.goodput"
    path.write_bytes(b'{"schema":"goodput.recording/99","recording":{}}')
    assert status_of(["show", str(path)]) == 2
    assert "newer goodput" in capsys.readouterr().err


def test_a_profile_of_jax(shared_traces: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert status_of(["show", str(shared_traces / "mi300x-jax-conv.xplane.pb")]) == 0
    shown = capsys.readouterr().out
    assert "36.6 GFLOP a step" in shown
    assert "convForward" in shown


def test_a_directory_is_no_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert status_of(["show", str(tmp_path)]) == 2
    assert "is a directory" in capsys.readouterr().err


def test_a_foreign_trace_is_held_against_its_datasheet_row(
    shared_traces: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trace = shared_traces / "h100-bert-small-infer.json.gz"
    status = status_of(["show", str(trace), "--json", "-"])
    report = parse_json(capsys.readouterr().out)
    assert status == (5 if report.errors else 0)
    assert report.device is not None
    assert report.device.name == "NVIDIA H100 80GB HBM3"
    assert report.step.basis == "trace"
    assert report.totals.program_goodput is not None
    assert report.totals.mfu == pytest.approx(report.totals.program_goodput)
    assert sum(rung.share for rung in report.ladder) == pytest.approx(1.0, rel=1e-9)


def test_a_device_without_a_row_leaves_the_ratios_out(
    shared_traces: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trace = shared_traces / "a100x8-train-nccl.json.gz"
    assert status_of(["show", str(trace)]) == 0
    text = capsys.readouterr().out
    assert next(x for x in text.splitlines() if x.startswith("program goodput")).split()[2] == "n/a"
    assert "--capacity FILE" in text
