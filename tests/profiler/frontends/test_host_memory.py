"""The high-water mark of the process: what a call takes at most, and nothing of an earlier one."""

import numpy as np
import pytest

from goodput.frontends import host_memory
from goodput.frontends.host_memory import HighWater

SIZE = 48 * 2**20
# Pages of the process that come and go beside it: what an empty call was seen to take, four times.
SLACK = 4 * 2**20


def taken(call):
    water = HighWater()
    water.forget()
    call()
    found = water.peak_bytes()
    if found is None:
        pytest.skip("this system keeps no high-water mark that can be set back")
    return found


def fill():
    np.ones(SIZE, dtype=np.uint8)


def test_what_a_call_takes_and_frees_again_is_seen():
    assert taken(fill) == pytest.approx(SIZE, abs=SLACK)


def test_an_earlier_call_leaves_no_mark_and_its_memory_is_counted_again():
    fill()
    assert taken(lambda: None) < SLACK
    assert taken(fill) == pytest.approx(SIZE, abs=SLACK)


def test_a_system_that_keeps_none_says_nothing(monkeypatch, tmp_path):
    monkeypatch.setattr(host_memory, "_RESET", tmp_path / "nowhere" / "clear_refs")
    water = HighWater()
    water.forget()
    assert water.peak_bytes() is None
    monkeypatch.setattr(host_memory, "_STATUS", tmp_path / "status")
    assert water.peak_bytes() is None
