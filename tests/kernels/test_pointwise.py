"""Special functions and multiply-adds are right, and a wrong one is found out."""

import pytest

from goodput_kernels import pointwise, register_chain

torch = pytest.importorskip("torch", reason="kernels run through torch")

CANDIDATES = (*pointwise.special_candidates(5000), pointwise.multiply_add_candidate(5000))


@pytest.mark.parametrize("candidate", CANDIDATES, ids=lambda c: c.name)
def test_elementwise_operators_are_right(candidate):
    candidate.prepare()()
    assert candidate.verify().passed


def test_a_coarse_exponential_fails(monkeypatch):
    candidate = pointwise.special_candidates(5000)[0]
    exact = torch.exp

    def coarse(values, out=None):
        if out is None:
            return exact(values)
        return out.copy_(exact(values.half()))

    monkeypatch.setattr(torch, "exp", coarse)
    assert not candidate.verify().passed


def test_chains_settle_where_their_recurrence_does():
    # a = a / 2 + x ends at 2 x, and a = exp(-a) at the omega constant; four of each are added.
    values = torch.tensor([0.5, 1.0, 1.5])
    doubled = register_chain.chained(values, lambda a, x: a * 0.5 + x)
    assert torch.allclose(doubled, 8 * values.double())
    omega = register_chain.chained(values, lambda a, _: (-a).exp())
    assert torch.allclose(omega, torch.full((3,), 4 * 0.5671432904097838).double())


@pytest.mark.gpu
@pytest.mark.parametrize(
    "make", [register_chain.multiply_add_candidate, register_chain.special_candidate]
)
def test_chains_on_a_device(make):
    candidate = make()
    candidate.prepare()()
    assert candidate.verify().passed
