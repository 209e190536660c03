"""NumPy's products and movers: right, poisoned, and without torch."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from goodput_kernels import matmul, memory, numpy_matmul, numpy_memory


@given(
    st.sampled_from(numpy_matmul.MODES),
    st.integers(1, 3),
    *(st.integers(1, 40) for _ in range(3)),
)
@settings(deadline=None, max_examples=30)
def test_a_product_is_right_and_counts_its_flops(mode, batch, m, n, k):
    (found,) = numpy_matmul.candidates(mode, batch, m, n, k)
    assert found.amount == 2 * batch * m * n * k
    assert found.verify().passed
    assert found.prepare()().shape == (batch, m, n)


def test_a_product_has_the_name_that_it_has_beside_torch():
    (alone,) = numpy_matmul.candidates("float32", 1, 8, 16, 24)
    beside = {c.label: c.amount for c in matmul.candidates("float32", 1, 8, 16, 24)}
    assert beside[alone.label] == alone.amount
    assert numpy_matmul.candidates("bfloat16", 1, 8, 16, 24) == ()


def test_a_wrong_product_fails(monkeypatch):
    (found,) = numpy_matmul.candidates("float32", 1, 8, 16, 24)
    right = np.matmul
    monkeypatch.setattr(np, "matmul", lambda a, b, out: right(a, b * 1.001, out=out))
    assert not found.verify().passed
    monkeypatch.setattr(np, "matmul", lambda _a, _b, out: out)
    assert found.verify().error == float("inf")


@pytest.mark.parametrize("mix", memory.MIXES)
def test_a_mover_is_right_and_moves_what_the_same_mix_moves_elsewhere(mix):
    size = 12 << 10
    (found,) = numpy_memory.candidates(mix, size)
    assert found.verify().passed
    assert found.amount == memory.candidates(mix, size)[0].amount
    found.prepare()()


def test_what_is_left_unwritten_fails(monkeypatch):
    (found,) = numpy_memory.candidates("copy", 4096)
    monkeypatch.setattr(np, "copyto", lambda *_: None)
    assert found.verify().error == float("inf")


def test_torch_is_not_imported():
    code = (
        "import sys; from goodput_kernels import numpy_matmul as p, numpy_memory as m; "
        "assert p.candidates('float32', 1, 8, 8, 8)[0].verify().passed; "
        "assert m.candidates('read', 4096)[0].verify().passed; {twin}"
        "sys.exit('torch' in sys.modules)"
    )
    for twin, status in (("", 0), ("import torch; ", 1)):
        done = subprocess.run([sys.executable, "-c", code.format(twin=twin)], check=False)
        assert done.returncode == status
