import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from goodput.calibration import peak as measuring
from goodput.capacity import peaks_file
from goodput.capacity.measurement import Peaks
from goodput.capacity.profile import Capacity
from goodput.cli import status_of

Measured = Callable[[Peaks], list[tuple[str, tuple[str, ...]]]]
LEVELS = ("--quick", "--standard", "--full")


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> Measured:
    """Makes `measure_peaks` return the given peaks at once; the list has what it was asked for."""

    def install(peaks: Peaks) -> list[tuple[str, tuple[str, ...]]]:
        asked: list[tuple[str, tuple[str, ...]]] = []

        def measure(
            level: str, dtypes: tuple[str, ...], *, progress: Callable[[str], None]
        ) -> Peaks:
            progress("measuring")
            asked.append((level, dtypes))
            return peaks

        monkeypatch.setattr(measuring, "measure_peaks", measure)
        return asked

    return install


@pytest.fixture
def never_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        pytest.fail("it measured")

    monkeypatch.setattr(measuring, "measure_peaks", refuse)


def saved(place: Path, peaks: Peaks) -> str:
    peaks_file.save(place, peaks)
    return str(place)


def told(capsys: pytest.CaptureFixture[str]) -> str:
    """The one line on stderr, with nothing on stdout."""
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("goodput: ")
    assert captured.err.count("\n") == 1
    return captured.err


# --- measuring ------------------------------------------------------------------------------------


def test_text_on_stdout_and_nothing_on_stderr(
    gpu_peaks: Peaks, measured: Measured, capsys: pytest.CaptureFixture[str]
) -> None:
    measured(gpu_peaks)
    assert status_of(["peak"]) == 0
    captured = capsys.readouterr()
    assert captured.out.startswith("goodput peak: NVIDIA H200\n")
    assert captured.err == ""
    assert "\x1b[" not in captured.out


@pytest.mark.parametrize(
    ("arguments", "level", "dtypes"),
    [
        ([], "standard", ()),
        (["--quick"], "quick", ()),
        (["--standard"], "standard", ()),
        (["--full", "--dtype", "int8", "--dtype", "tf32"], "full", ("int8", "tf32")),
    ],
)
def test_level_and_dtypes_reach_the_measuring(
    arguments: list[str],
    level: str,
    dtypes: tuple[str, ...],
    gpu_peaks: Peaks,
    measured: Measured,
) -> None:
    asked = measured(gpu_peaks)
    assert status_of(["peak", *arguments]) == 0
    assert asked == [(level, dtypes)]


def test_json_alone_on_stdout(
    cpu_peaks: Peaks, measured: Measured, capsys: pytest.CaptureFixture[str]
) -> None:
    measured(replace(cpu_peaks, partial=""))
    assert status_of(["peak", "--json", "-"]) == 0
    assert peaks_file.from_json(capsys.readouterr().out) == replace(cpu_peaks, partial="")


def test_json_and_plot_into_files_and_text_on_stdout(
    gpu_peaks: Peaks, measured: Measured, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    measured(gpu_peaks)
    places = tmp_path / "peaks.json", tmp_path / "roofline.svg"
    assert status_of(["peak", "--json", str(places[0]), "--plot", str(places[1])]) == 0
    assert peaks_file.load(places[0]) == gpu_peaks
    assert ET.fromstring(places[1].read_text()).tag.endswith("svg")  # noqa: S314  # our own text
    assert capsys.readouterr().out.startswith("goodput peak: NVIDIA H200\n")


def test_a_partial_measurement_is_told_whole_and_could_not_measure(
    cpu_peaks: Peaks, measured: Measured, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    measured(cpu_peaks)
    place = tmp_path / "peaks.json"
    assert status_of(["peak", "--json", str(place)]) == 3
    assert "partial: interrupted before the sustained rates" in capsys.readouterr().out
    assert peaks_file.load(place).partial


@pytest.mark.parametrize("option", ["--json", "--plot"])
def test_a_file_that_cannot_be_written_is_one_line(
    option: str,
    gpu_peaks: Peaks,
    measured: Measured,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    measured(gpu_peaks)
    place = tmp_path / "no" / "such" / "file"
    assert status_of(["peak", option, str(place)]) == 3
    captured = capsys.readouterr()
    assert captured.out.startswith("goodput peak: NVIDIA H200\n")
    assert captured.err.count("\n") == 1
    assert f"could not be written to {place} (No such file or directory)" in captured.err


def test_a_plot_without_a_roof_says_so_below_the_text(
    gpu_peaks: Peaks, measured: Measured, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    measured(replace(gpu_peaks, capacity=Capacity(gpu_peaks.device)))
    place = tmp_path / "roofline.svg"
    assert status_of(["peak", "--plot", str(place)]) == 3
    captured = capsys.readouterr()
    assert captured.out.startswith("goodput peak: NVIDIA H200\n")
    assert "needs a compute roof and a memory roof" in captured.err
    assert not place.exists()


def test_an_unknown_dtype_is_a_usage_error_that_lists_the_known(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert status_of(["peak", "--dtype", "bf17"]) == 2
    line = told(capsys)
    assert "bf17" in line
    assert "bfloat16" in line


# --- what excludes what ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        *(([a, b], (a, b)) for a, b in zip(LEVELS, (*LEVELS[1:], LEVELS[0]), strict=True)),
        *(([level, "--list"], (level, "--list")) for level in LEVELS),
        *(([level, "--diff", "A", "B"], (level, "--diff")) for level in LEVELS),
        (["--list", "--diff", "A", "B"], ("--list", "--diff")),
        (["--plot", "x.svg", "--list"], ("--plot", "--list")),
        (["--plot", "x.svg", "--diff", "A", "B"], ("--plot", "--diff")),
        (["--dtype", "int8", "--diff", "A", "B"], ("--dtype", "--diff")),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
@pytest.mark.usefixtures("never_measured")
def test_what_excludes_each_other_is_a_usage_error_that_names_both(
    arguments: list[str], named: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert status_of(["peak", *arguments]) == 2
    line = told(capsys)
    assert all(option in line for option in named)


# --- the datasheet --------------------------------------------------------------------------------


@pytest.mark.usefixtures("never_measured")
def test_the_list_has_every_device(capsys: pytest.CaptureFixture[str]) -> None:
    assert status_of(["peak", "--list"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("67 devices of the datasheet\n")
    assert "\nH200-SXM " in out


@pytest.mark.usefixtures("never_measured")
def test_the_list_of_a_dtype_has_only_devices_with_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert status_of(["peak", "--list", "--dtype", "float8_e4m3", "--json", "-"]) == 0
    devices = json.loads(capsys.readouterr().out)["devices"]
    assert {"H200-SXM", "L40S"} <= {device["name"] for device in devices}
    assert "A100-SXM4-80GB" not in {device["name"] for device in devices}
    assert all(device["flops_per_s"]["float8_e4m3"] > 0 for device in devices)


@pytest.mark.usefixtures("never_measured")
def test_two_dtypes_of_the_list_are_both_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert status_of(["peak", "--list", "--dtype", "float64", "--dtype", "int8"]) == 0
    header = capsys.readouterr().out.splitlines()[1].split()
    assert header[:3] == ["device", "float64", "int8"]


@pytest.mark.usefixtures("never_measured")
def test_a_dtype_that_no_row_has_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert status_of(["peak", "--list", "--dtype", "bf17"]) == 2
    assert "bfloat16" in told(capsys)


# --- the difference -------------------------------------------------------------------------------


@pytest.mark.usefixtures("never_measured")
def test_two_measurements_of_one_device(
    gpu_peaks: Peaks, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    slower = replace(
        gpu_peaks,
        measurements=tuple(
            replace(one, rate=0.8 * one.rate) if one.subject == "bfloat16" and one.rate else one
            for one in gpu_peaks.measurements
        ),
    )
    files = saved(tmp_path / "a.json", gpu_peaks), saved(tmp_path / "b.json", slower)
    assert status_of(["peak", "--diff", *files]) == 0
    assert "-20.0 %" in capsys.readouterr().out
    assert status_of(["peak", "--diff", *files, "--json", "-"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["schema"] == "goodput.peaks-difference/1"
    assert {change["verdict"] for change in found["changes"]} == {"moved", "same"}


def test_unlike_devices_are_not_comparable(
    gpu_peaks: Peaks, cpu_peaks: Peaks, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = saved(tmp_path / "a.json", gpu_peaks), saved(tmp_path / "b.json", cpu_peaks)
    assert status_of(["peak", "--diff", *files]) == 4
    line = told(capsys)
    assert "NVIDIA H200" in line
    assert "AMD EPYC 9B14" in line


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe",
        b"{}",
        b"[1, 2",
        b'{"schema":"goodput.report/1"}',
        b'{"schema":"goodput.peaks/1"}',
        b'{"schema":"goodput.peaks/1","device":{"kind":',
    ],
)
def test_a_file_that_holds_no_peaks_is_one_clear_line(
    content: bytes, gpu_peaks: Peaks, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = tmp_path / "bad.json"
    bad.write_bytes(content)
    assert status_of(["peak", "--diff", saved(tmp_path / "a.json", gpu_peaks), str(bad)]) == 2
    assert "bad.json" in told(capsys)


def test_a_file_that_is_not_there_is_one_clear_line(
    gpu_peaks: Peaks, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = saved(tmp_path / "a.json", gpu_peaks)
    assert status_of(["peak", "--diff", place, str(tmp_path / "none.json")]) == 2
    assert "none.json: No such file or directory" in told(capsys)


def test_a_newer_file_says_so(
    gpu_peaks: Peaks, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    new = tmp_path / "new.json"
    new.write_bytes(b'{"schema":"goodput.peaks/99"}')
    assert status_of(["peak", "--diff", str(new), saved(tmp_path / "a.json", gpu_peaks)]) == 2
    assert "goodput.peaks/99, newer than goodput.peaks/1" in told(capsys)
