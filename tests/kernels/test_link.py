"""Copies over the link: what there is, what it counts, and that the bytes arrive."""

from functools import partial

import pytest

from goodput_kernels import link
from goodput_kernels.verification import verify

torch = pytest.importorskip("torch", reason="kernels run through torch")


def test_a_cpu_has_no_link():
    assert all(link.candidates(direction, 4096) == () for direction in link.DIRECTIONS)


@pytest.mark.parametrize(("direction", "ways"), [("host-to-device", 1), ("both", 2)])
def test_bytes_are_those_of_all_copies(direction, ways):
    for candidate in link.candidates(direction, 4096, "cuda"):
        assert candidate.amount == ways * 4096
        assert candidate.unit == "bytes"


def test_both_kinds_of_host_memory_one_way():
    names = [c.name for c in link.candidates("device-to-host", 4096, "cuda")]
    assert names == ["device-to-host pinned 4096 bytes", "device-to-host pageable 4096 bytes"]
    assert len(link.candidates("both", 4096, "cuda")) == 1


class Stream:
    def wait_stream(self, other):
        assert isinstance(other, Stream)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None


@pytest.fixture
def host_as_device(monkeypatch):
    """Copies from the host to itself, on streams that order nothing."""
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: None)
    monkeypatch.setattr(torch.cuda, "Stream", Stream)
    monkeypatch.setattr(torch.cuda, "current_stream", Stream)
    monkeypatch.setattr(torch.cuda, "stream", lambda stream: stream)


@pytest.mark.usefixtures("host_as_device")
@pytest.mark.parametrize("direction", link.DIRECTIONS)
def test_what_arrives_is_compared(direction, monkeypatch):
    make = partial(link._WAYS[direction], 1000, pinned=False, device="cpu")
    assert verify(make()).passed
    monkeypatch.setattr(torch.Tensor, "copy_", lambda self, *_, **__: self)
    assert not verify(make()).passed


@pytest.mark.gpu
@pytest.mark.parametrize("direction", link.DIRECTIONS)
def test_copies_on_a_device(direction):
    for candidate in link.candidates(direction, 1 << 20, "cuda"):
        candidate.prepare()()
        assert candidate.verify().passed
