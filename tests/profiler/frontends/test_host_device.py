"""This machine's CPU, read from files that the test writes."""

import os

import pytest

from goodput.frontends.host_device import (
    busy_seconds,
    cores_in_use,
    cpu_identity,
    last_level_cache_bytes,
)


def write_cache(root, index, level, size):
    folder = root / f"index{index}"
    folder.mkdir()
    (folder / "level").write_text(f"{level}\n")
    (folder / "size").write_text(f"{size}\n")


def test_the_last_level_is_the_highest_and_not_the_largest(tmp_path):
    write_cache(tmp_path, 0, 1, "32K")
    write_cache(tmp_path, 1, 2, "64M")
    write_cache(tmp_path, 2, 3, "8192K")
    assert last_level_cache_bytes(tmp_path) == 8 << 20


def test_no_caches_told_is_zero(tmp_path):
    assert last_level_cache_bytes(tmp_path / "none") == 0
    write_cache(tmp_path, 0, "?", "")
    assert last_level_cache_bytes(tmp_path) == 0


@pytest.mark.parametrize(
    ("quota", "most"), [("100000 100000", 1), ("50000 100000", 1), ("max 100000", None), ("", None)]
)
def test_a_container_s_quota_limits_the_cores(tmp_path, quota, most):
    path = tmp_path / "cpu.max"
    path.write_text(f"{quota}\n")
    free = cores_in_use(tmp_path / "none")
    assert free >= 1
    assert cores_in_use(path) == (free if most is None else min(free, most))


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity on this system")
def test_the_affinity_limits_the_cores(tmp_path):
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        assert cores_in_use(tmp_path / "none") == 1
        assert cpu_identity().name.endswith(", 1 core")
    finally:
        os.sched_setaffinity(0, before)


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="no affinity on this system")
def test_busy_is_all_but_idle_and_waiting_on_the_cores_of_this_process(tmp_path):
    own = sorted(os.sched_getaffinity(0))
    other = max(own) + 1
    ticks = os.sysconf("SC_CLK_TCK")
    lines = [f"cpu{core} 1 2 3 1000 2000 4 5 6 7 8" for core in own]
    path = tmp_path / "stat"
    path.write_text("\n".join(["cpu 9 9 9 9 9 9 9 9 9 9", *lines, f"cpu{other} 500 0 0 0 0 0 0 0"]))
    assert busy_seconds(path) == pytest.approx(21 * len(own) / ticks)
    assert busy_seconds(tmp_path / "none") is None
