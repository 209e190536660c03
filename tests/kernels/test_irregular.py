"""Each operation does what it says, and counts the bytes that it needs."""

import pytest

from goodput_kernels import irregular

torch = pytest.importorskip("torch", reason="kernels run through torch")

CASES = [(name, together) for name, sizes in irregular.OPERATIONS.items() for together in sizes]


@pytest.mark.parametrize(("operation", "together"), CASES)
def test_operations_are_right(operation, together):
    for candidate in irregular.candidates(operation, 1 << 17, together):
        with candidate.scope():
            assert candidate.prepare()() is not None
        result = candidate.verify()
        assert result.passed, (candidate.label, result)


@pytest.mark.parametrize(
    ("operation", "together", "useful", "footprint"),
    [
        # each: read and written; an index is 8 bytes
        ("strided", 128, 8, 132),
        ("gather", 4, 16, 16),
        ("gather", 64, 136, 136),
        ("scatter", 64, 136, 136),
        ("scatter-add", 64, 200, 136),  # the target is read as well
        ("embedding", 64, 136, 136),
        ("sum", 4096, 4096, 4096),
        ("softmax", 4096, 8192, 8192),
        ("layer-norm", 4096, 8192, 8192),
    ],
)
def test_useful_bytes_of_a_row(operation, together, useful, footprint):
    candidate = irregular.candidates(operation, 100 * footprint, together)[0]
    assert candidate.amount == 100 * useful
    assert candidate.working_set_bytes == 100 * footprint
    assert candidate.unit == "bytes"


def test_a_transpose_reads_and_writes_a_square():
    candidate = irregular.candidates("transpose", 8 * 100**2, 4)[0]
    assert candidate.amount == candidate.working_set_bytes == 8 * 100**2


def test_on_a_gpu_threads_mean_nothing():
    assert len(irregular.candidates("gather", 1 << 16, 64, "cuda")) == 1
    names = [candidate.name for candidate in irregular.candidates("gather", 1 << 16, 64)]
    assert names[1] == f"{names[0]} on 1 thread"


def test_a_gather_in_the_wrong_order_fails(monkeypatch):
    candidate = irregular.candidates("gather", 1 << 16, 64)[0]
    select = torch.index_select
    monkeypatch.setattr(
        torch, "index_select", lambda t, dim, order, out: select(t, dim, order.flip(0), out=out)
    )
    assert not candidate.verify().passed


def test_a_plain_copy_is_no_transpose(monkeypatch):
    candidate = irregular.candidates("transpose", 1 << 16, 4)[0]
    copy = torch.Tensor.copy_
    monkeypatch.setattr(torch.Tensor, "copy_", lambda self, source: copy(self, source.t()))
    assert not candidate.verify().passed
