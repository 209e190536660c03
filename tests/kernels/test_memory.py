"""Traffic is what each mix says, bytes really move, and a kernel that moves none is found out."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from goodput_kernels import memory

torch = pytest.importorskip("torch", reason="kernels run through torch")


@pytest.mark.parametrize("mix", memory.MIXES)
@pytest.mark.parametrize("size", [4, 4096, 3 << 18])
def test_bytes_move_as_the_mix_says(mix, size):
    for candidate in memory.candidates(mix, size):
        with candidate.scope():
            assert candidate.prepare()() is not None
        assert candidate.unit == "bytes"
        assert candidate.verify().passed, candidate.label


@given(st.sampled_from(memory.MIXES), st.integers(4, 1 << 20))
@settings(max_examples=50)
def test_traffic_and_footprint(mix, size):
    for candidate in memory.candidates(mix, size):
        tensors = 3 if mix == "two-in-one-out" else 2
        assert size - 4 * tensors < candidate.working_set_bytes <= max(size, 4 * tensors)
        passes = 2 if mix == "in-place" else 1
        assert candidate.amount == passes * candidate.working_set_bytes


def test_each_mix_names_its_own_kernels():
    names = {mix: {c.name.split()[0] for c in memory.candidates(mix, 4096)} for mix in memory.MIXES}
    assert names == {
        "read": {"sum", "dot"},
        "write": {"fill_", "fill"},
        "copy": {"copy_", "copyto"},
        "in-place": {"neg_", "negative"},
        "two-in-one-out": {"add"},
    }


def test_parts_of_the_footprint_differ():
    parts = memory._parts(3 << 10, 3, "cpu")
    assert {part.numel() for part in parts} == {1 << 10}
    assert not torch.equal(parts[0], parts[1])
    assert not torch.equal(parts[1], parts[2])


def test_on_a_gpu_memory_is_moved_by_torch_alone():
    for mix in memory.MIXES:
        assert {c.library for c in memory.candidates(mix, 4096, "cuda")} == {"torch"}


def test_on_a_cpu_numpy_is_a_rival_in_every_mix():
    for mix in memory.MIXES:
        assert "NumPy" in {c.library for c in memory.candidates(mix, 4096)}


def test_a_copy_that_copies_nothing_fails(monkeypatch):
    (candidate, *_) = memory.candidates("copy", 1 << 16)
    monkeypatch.setattr(torch.Tensor, "copy_", lambda self, _source: self)
    assert not candidate.verify().passed


def test_an_add_that_mixes_its_terms_up_fails(monkeypatch):
    (candidate, *_) = memory.candidates("two-in-one-out", 1 << 16)
    add = torch.add
    monkeypatch.setattr(torch, "add", lambda a, b, alpha, out: add(b, a, alpha=alpha, out=out))
    assert not candidate.verify().passed


def test_a_sum_over_half_of_it_fails(monkeypatch):
    (candidate, *_) = memory.candidates("read", 1 << 16)
    assert candidate.verify().passed
    total = torch.Tensor.sum
    monkeypatch.setattr(memory, "_total", lambda values: total(values.double()) / 2)
    assert not candidate.verify().passed
