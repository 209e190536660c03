"""Connectionist temporal classification in neutral terms: sums over all alignments, in logarithms.

Pure integers; all of it is vector arithmetic and special functions. Source: Graves et al. 2006,
section 4.1; the arithmetic of one cell is that of ATen's native/LossCTC.cpp. A sequence of `labels`
labels has `2 labels + 1` states, a blank around each label.
"""

from __future__ import annotations

from goodput.work import Work

_CELL_FLOPS, _CELL_SPECIAL = 9, 4
"""A state's sum of three: 2 maxima, 3 subtractions, 2 additions, then the maximum and the frame's
own log-probability added; 3 exp and 1 log."""

_END_FLOPS, _END_SPECIAL = 6, 3
"""A sum of two: a maximum, 2 subtractions, 2 additions, a negation (or another sum); 2 exp and 1
log."""

_SYMBOL_FLOPS, _SYMBOL_SPECIAL = 4, 2
"""`(exp(lp) - exp(sum + loss - lp)) grad`: 3 additions, a multiply; 2 exp."""


def states(labels: int) -> int:
    """Labels with a blank before, between and after."""
    return 2 * labels + 1


def _recursion(frames: int, labels: int) -> Work:
    cells = max(frames - 1, 0) * states(labels)
    return Work(vector_flops=_CELL_FLOPS * cells, special=_CELL_SPECIAL * cells)


def ctc_loss(frames: int, labels: int) -> Work:
    """The loss of one sequence: alpha for each state of each frame but the first, and its end.

    Args:
        frames: length of the input.
        labels: length of the target.
    """
    end = Work(vector_flops=_END_FLOPS, special=_END_SPECIAL)
    return _recursion(frames, labels) + end if frames else Work()


def ctc_loss_backward(frames: int, labels: int, symbols: int) -> Work:
    """The gradient of one sequence: beta, alpha + beta gathered by symbol, and the gradient.

    Args:
        frames: length of the input.
        labels: length of the target.
        symbols: the alphabet, the blank included.
    """
    gathered, made = frames * states(labels), frames * symbols
    return _recursion(frames, labels) + Work(
        vector_flops=_END_FLOPS * gathered + _SYMBOL_FLOPS * made,
        special=_END_SPECIAL * gathered + _SYMBOL_SPECIAL * made,
    )
