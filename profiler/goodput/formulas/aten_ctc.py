"""PyTorch's CTC loss in neutral terms.

The lengths are arguments where they are lists of integers, which traces record; the overloads that
take them as tensors have them in the data, so their work is unknown.
"""

from __future__ import annotations

from dataclasses import dataclass

from goodput.formulas.aten_recorded import UnrecordedError, formula, integers, tensor
from goodput.formulas.ctc import ctc_loss, ctc_loss_backward, states
from goodput.work import Call, TensorSpec, Work

_RANK = 3


@dataclass(frozen=True, slots=True)
class _Batch:
    """`log_probs` [frames, batch, symbols], and each sequence's own two lengths."""

    log_probs: TensorSpec
    targets: TensorSpec
    lengths: tuple[tuple[int, int], ...]

    @property
    def symbols(self) -> int:
        """The alphabet, the blank included."""
        return self.log_probs.shape[2]

    @property
    def loss_bytes(self) -> int:
        """Bytes of one loss a sequence."""
        return len(self.lengths) * self.log_probs.item_bytes

    @property
    def alpha_bytes(self) -> int:
        """Bytes of alpha, which is padded to the longest target."""
        frames = self.log_probs.shape[0]
        longest = max((labels for _, labels in self.lengths), default=0)
        return frames * states(longest) * self.loss_bytes

    @property
    def forward(self) -> Work:
        """The losses, without bytes."""
        return sum((ctc_loss(*each) for each in self.lengths), Work())

    @property
    def backward(self) -> Work:
        """The gradients, without bytes."""
        works = (ctc_loss_backward(*each, self.symbols) for each in self.lengths)
        return sum(works, Work())


def _batch(call: Call, place: int) -> _Batch:
    """The arguments `(log_probs, targets, input_lengths, target_lengths)` from `place` on."""
    log_probs, targets = tensor(call, place), tensor(call, place + 1)
    frames, labels = integers(call, place + 2), integers(call, place + 3)
    if len(log_probs.shape) != _RANK or len(frames) != len(labels):
        raise UnrecordedError
    return _Batch(log_probs, targets, tuple(zip(frames, labels, strict=True)))


@formula("aten::_ctc_loss")
def _loss(call: Call) -> Work:
    """The loss and alpha, which its backward reads."""
    batch = _batch(call, 0)
    return batch.forward + Work(
        bytes_read=batch.log_probs.bytes + batch.targets.bytes,
        bytes_written=batch.loss_bytes + batch.alpha_bytes,
    )


@formula("aten::_ctc_loss_backward")
def _loss_backward(call: Call) -> Work:
    """`(grad, log_probs, targets, lengths, lengths, loss, log_alpha, ...)`."""
    batch = _batch(call, 1)
    return batch.backward + Work(
        bytes_read=sum(spec.bytes for spec in call.tensors),
        bytes_written=batch.log_probs.numel * batch.log_probs.item_bytes,
    )


@formula("aten::_cudnn_ctc_loss", "aten::miopen_ctc_loss")
def _library_loss(call: Call) -> Work:
    """The loss and its gradient in one call; what backward does with it is elementwise."""
    batch = _batch(call, 0)
    return (
        batch.forward
        + batch.backward
        + Work(
            bytes_read=batch.log_probs.bytes + batch.targets.bytes,
            bytes_written=batch.loss_bytes + batch.log_probs.numel * batch.log_probs.item_bytes,
        )
    )
