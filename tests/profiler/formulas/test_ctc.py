"""A CTC loss is a recursion over frames and states: counted here cell by cell."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from goodput.formulas.ctc import ctc_loss, ctc_loss_backward, states
from goodput.work import Work

FRAMES, LABELS, SYMBOLS = st.integers(1, 30), st.integers(0, 12), st.integers(1, 30)


class Tally:
    """Counts what the textbook recursion does, one operation after the other."""

    def __init__(self) -> None:
        self.flops = self.special = 0

    def log_sum(self, terms: int) -> None:
        """`m + log(sum exp(t - m))`, m the maximum."""
        self.flops += (terms - 1) + terms + (terms - 1) + 1
        self.special += terms + 1

    def recursion(self, frames: int, labels: int) -> None:
        for _ in range(1, frames):
            for _ in range(states(labels)):
                self.log_sum(3)
                self.flops += 1  # the frame's own log-probability

    @property
    def work(self) -> Work:
        return Work(vector_flops=self.flops, special=self.special)


@given(FRAMES, LABELS)
def test_the_loss_is_one_recursion_and_its_end(frames, labels) -> None:
    tally = Tally()
    tally.recursion(frames, labels)
    tally.log_sum(2)
    tally.flops += 1  # the sign
    assert ctc_loss(frames, labels) == tally.work


@given(FRAMES, LABELS, SYMBOLS)
def test_the_gradient_is_another_one_gathered_by_symbol(frames, labels, symbols) -> None:
    tally = Tally()
    tally.recursion(frames, labels)
    for _ in range(frames):
        for _ in range(states(labels)):
            tally.flops += 1  # alpha + beta
            tally.log_sum(2)
        for _ in range(symbols):
            tally.flops += 4
            tally.special += 2
    assert ctc_loss_backward(frames, labels, symbols) == tally.work


def test_an_empty_sequence_is_no_work() -> None:
    assert ctc_loss(0, 3) == ctc_loss_backward(0, 3, 5) == Work()
