"""The line on stderr while something is measured."""

import io
import sys

import pytest

from goodput.commands.progress import progress


class Terminal(io.StringIO):
    """A stderr that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def shown(monkeypatch: pytest.MonkeyPatch, stream: io.StringIO, seconds: float | None) -> str:
    monkeypatch.setattr(sys, "stderr", stream)
    with progress(seconds) as show:
        show("matmul bfloat16")
    return stream.getvalue()


def test_words_and_no_bar_where_nobody_knows_how_long(monkeypatch: pytest.MonkeyPatch) -> None:
    text = shown(monkeypatch, Terminal(), None)
    assert "goodput: matmul bfloat16 (00:00)" in text
    assert "%" not in text


def test_a_bar_where_the_time_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    text = shown(monkeypatch, Terminal(), 90.0)
    assert "0%|" in text
    assert "matmul bfloat16 (00:00 of about 90 s)" in text


def test_the_bar_is_full_and_no_fuller_once_the_time_is_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert "100%|" in shown(monkeypatch, Terminal(), 1e-9)


@pytest.mark.parametrize("seconds", [None, 90.0])
def test_nothing_where_stderr_is_no_terminal(
    monkeypatch: pytest.MonkeyPatch, seconds: float | None
) -> None:
    assert shown(monkeypatch, io.StringIO(), seconds) == ""


def test_nothing_where_there_is_no_stderr(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    with progress(90.0) as show:
        show("matmul bfloat16")
