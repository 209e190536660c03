"""Baseline files: byte-stable, honest about what they cannot be held against, never overwritten."""

import json
from dataclasses import replace

import pytest

from goodput.errors import NotMeasuredError, SchemaVersionError, UsageError
from goodput.gates import baselines
from goodput.gates.baselines import decode, encode, path_of, read, write
from goodput.gates.blessing import blessed, differences, is_unchanged
from goodput.report.verdicts import Tier


def test_a_baseline_comes_back_as_it_was(baseline):
    assert encode(decode(encode(baseline), "x")) == encode(baseline)
    assert decode(encode(baseline), "x").values == baseline.values


def test_the_same_run_gives_the_same_bytes_in_any_order(run, baseline):
    turned = replace(run, processes=tuple(dict(reversed(p.items())) for p in run.processes))
    assert encode(blessed(turned, None, "the first one")) == encode(baseline)


def test_the_file_is_sorted_one_value_a_line_and_has_no_moment(baseline):
    text = encode(baseline).decode()
    assert text.endswith("}\n")
    assert text.count("\n") > 30
    assert "20" + "26-" not in text
    keys = list(json.loads(text))
    assert keys == sorted(keys)


def test_writing_again_changes_nothing(baseline, tmp_path):
    path = path_of(tmp_path, "gpt", Tier.EXACT)
    assert write(path, baseline)
    before = path.stat().st_mtime_ns
    assert not write(path, baseline)
    assert path.stat().st_mtime_ns == before
    assert not list(path.parent.glob("*.part"))


def test_each_device_has_its_file(tmp_path):
    path = path_of(tmp_path, "gpt", Tier.MODELLED, "NVIDIA H100 80GB HBM3")
    assert path == tmp_path / "gpt" / "modelled-nvidia-h100-80gb-hbm3.json"


def test_no_file_is_no_baseline(tmp_path):
    assert read(tmp_path / "none.json") is None


def test_a_merge_conflict_is_told_and_left(baseline, tmp_path):
    path = tmp_path / "exact.json"
    ours = encode(baseline).decode().splitlines()
    text = "\n".join(["<<<<<<< HEAD", *ours, "=======", *ours, ">>>>>>> other"])
    path.write_text(text)
    with pytest.raises(UsageError, match="merge conflict"):
        read(path)
    assert path.read_text() == text


@pytest.mark.parametrize("content", [b"", b"{}", b'{"schema": "goodput.baseline/1"}', b"[1]"])
def test_what_is_no_baseline_is_told(content):
    with pytest.raises(UsageError):
        decode(content, "exact.json")


def test_a_newer_schema_is_told(baseline):
    newer = encode(baseline).replace(b"goodput.baseline/1", b"goodput.baseline/2")
    with pytest.raises(SchemaVersionError, match="newer"):
        decode(newer, "exact.json")


def test_what_cannot_be_written_loses_nothing(baseline, tmp_path, monkeypatch):
    path = path_of(tmp_path, "gpt", Tier.EXACT)
    write(path, baseline)
    before = path.read_bytes()

    def refuse(*_):
        raise PermissionError(30, "Read-only file system")

    monkeypatch.setattr(type(path), "write_bytes", refuse)
    with pytest.raises(NotMeasuredError, match="Read-only"):
        write(path, replace(baseline, blessings=2))
    assert path.read_bytes() == before


def test_only_what_three_processes_proved_is_blessed(run):
    with pytest.raises(UsageError, match="3 must agree"):
        blessed(replace(run, processes=run.processes[:1]), None, "why not")
    shaky = (*run.processes[:2], {**run.processes[2], "bytes": 1.0})
    with pytest.raises(UsageError, match="did not agree on bytes"):
        blessed(replace(run, processes=shaky), None, "why not")
    with pytest.raises(UsageError, match="it crashed"):
        blessed(replace(run, error="it crashed"), None, "why not")


def test_the_first_baseline_stays_the_origin(run, baseline, with_values):
    second = blessed(with_values(bytes=5_100.0), baseline, "a little")
    third = blessed(with_values(bytes=5_200.0), second, "a little more")
    assert third.origin["bytes"] == 5_000.0
    assert third.blessings == 3
    other = replace(run, fingerprint={"program": "other.py:step"})
    assert blessed(other, third, "another program").blessings == 1


def test_a_blessing_tells_what_it_changes(run, baseline, with_values):
    assert is_unchanged(run, baseline)
    assert not is_unchanged(with_values(bytes=1.0), baseline)
    new = blessed(with_values(bytes=6_000.0, upcasts=None), baseline, "more")
    told = differences(baseline, new)
    assert "bytes was 5.000 kB and is 6.000 kB (+20.00%)" in told
    assert "upcasts is gone" in told


def test_another_device_or_other_roofs_are_told(run, baseline):
    held = replace(baseline, device={"name": "NVIDIA H200"}, profile="a")
    on_other = replace(run, device={"name": "NVIDIA H100 80GB HBM3"}, profile="a")
    assert "another device" in baselines.incomparable(on_other, held)
    same = replace(run, device={"name": "NVIDIA H200"}, profile="b")
    assert "other roofs" in baselines.incomparable(same, held)
