# ruff: noqa: FBT003  # operators take their flags by position
"""Eigenvalue, singular value and least-squares problems as PyTorch calls them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import goodput.formulas.aten
from goodput.formulas.factorisation import least_squares
from goodput.formulas.modes import is_matrix_class
from goodput.formulas.registry import work_of
from goodput.formulas.spectral import (
    general_eigen,
    singular_values,
    singular_vectors,
    symmetric_eigen,
)
from goodput.work import Call, TensorSpec

assert goodput.formulas.aten.MODULES

N = 6
NAMES = ("_linalg_eigh", "linalg_eig", "_linalg_eigvals", "_linalg_svd", "linalg_lstsq")


def spec(*shape: int, dtype: str = "float32") -> TensorSpec:
    return TensorSpec(shape, dtype)


def flops(name: str, *inputs) -> int:
    work = work_of(Call(f"aten::{name}", inputs))
    assert work is not None
    assert work.flops == work.dense_flops
    return work.flops


@given(st.integers(0, 100), st.integers(1, 5))
def test_eigenproblems_of_a_batch(n: int, batch: int) -> None:
    matrices = spec(batch, n, n)
    assert flops("_linalg_eigh", matrices, None, True) == (
        batch * symmetric_eigen(n, vectors=True).flops
    )
    assert flops("_linalg_eigh", matrices, None, False) == (
        batch * symmetric_eigen(n, vectors=False).flops
    )
    assert flops("linalg_eig", matrices) == batch * general_eigen(n, vectors=True).flops
    assert flops("_linalg_eigvals", matrices) == batch * general_eigen(n, vectors=False).flops


@given(st.integers(0, 100), st.integers(0, 100), st.booleans())
def test_singular_value_problems(m: int, n: int, full) -> None:
    values = singular_values(m, n).flops
    assert flops("_linalg_svd", spec(m, n), full, False) == values
    vectors = singular_vectors(m, n, full=full).flops
    assert flops("_linalg_svd", spec(m, n), full, True) == values + vectors


@given(st.integers(1, 60), st.integers(1, 60), st.integers(1, 9))
def test_least_squares(m: int, n: int, columns: int) -> None:
    expected = least_squares(m, n, columns).flops
    assert flops("linalg_lstsq", spec(m, n), spec(m, columns)) == expected
    assert flops("linalg_lstsq", spec(3, m, n), spec(3, m, columns)) == 3 * expected
    one = least_squares(m, n, 1).flops
    assert flops("linalg_lstsq", spec(3, m, n), spec(3, m)) == 3 * one


def test_complex_ones_are_four_times() -> None:
    hermitian = spec(N, N, dtype="complex64")
    real = symmetric_eigen(N, vectors=True).flops
    assert flops("_linalg_eigh", hermitian, None, True) == 4 * real


@settings(max_examples=20, deadline=None)
@given(
    st.integers(1, 9), st.integers(1, 9), st.booleans(), st.sampled_from(["float32", "complex64"])
)
def test_the_bytes_are_those_of_the_real_outputs(calls_of, m, n, full, dtype) -> None:
    torch = pytest.importorskip("torch")
    matrix = torch.randn(2, m, n, dtype=getattr(torch, dtype))
    square = matrix @ matrix.mT.conj()

    def program() -> None:
        torch.linalg.eigh(square)
        torch.linalg.eig(square)
        torch.linalg.eigvals(square)
        torch.linalg.svd(matrix, full_matrices=full)
        torch.linalg.lstsq(matrix, square)

    calls = [call for call in calls_of(program) if call.name.removeprefix("aten::") in NAMES]
    # Under a mode that watches operators PyTorch takes eigenvalues by way of `linalg_eig`.
    watched = set(NAMES) - {"_linalg_eigvals"}
    assert {call.name.removeprefix("aten::") for call in calls} >= watched
    for call in calls:
        work = work_of(call)
        assert work is not None
        outputs = call.outputs[:1] if call.name == "aten::linalg_lstsq" else call.outputs
        assert work.bytes_written == sum(output.bytes for output in outputs), call.name
        assert is_matrix_class(call.name)


def test_calls_without_shapes_are_unknown() -> None:
    assert [work_of(Call(f"aten::{name}")) for name in NAMES] == [None] * len(NAMES)
