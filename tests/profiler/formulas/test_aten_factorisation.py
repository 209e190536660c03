# ruff: noqa: FBT003  # operators take their flags by position
from __future__ import annotations

import pytest

import goodput.formulas.aten
from goodput.formulas.registry import has_formula, work_of
from goodput.work import Call, TensorSpec, Work

assert goodput.formulas.aten.MODULES
N = 32


def spec(*shape: int, dtype: str = "float32") -> TensorSpec:
    return TensorSpec(shape, dtype)


def flops(name: str, *inputs) -> int:
    work = work_of(Call(f"aten::{name}", inputs))
    assert work is not None
    assert work.flops == work.dense_flops
    return work.flops


SQUARE, RIGHT = spec(N, N), spec(N, 4)


def test_factorisations_and_solves() -> None:
    assert flops("linalg_lu_factor_ex", SQUARE) == 21_845
    assert flops("linalg_cholesky_ex", SQUARE) == 10_922
    assert flops("_linalg_solve_ex", SQUARE, RIGHT) == 30_037
    assert flops("linalg_inv_ex", SQUARE) == 65_536
    assert flops("linalg_solve_triangular", SQUARE, RIGHT, True) == 4096
    assert flops("triangular_solve", RIGHT, SQUARE) == 4096
    assert flops("cholesky_solve", RIGHT, SQUARE) == 8192
    assert flops("linalg_lu_solve", SQUARE, spec(N, dtype="int32"), RIGHT) == 8192


def test_the_side_of_a_solve_says_what_its_right_hand_sides_are() -> None:
    rows = spec(4, N)
    assert flops("linalg_solve_triangular", SQUARE, rows, True, False) == 4096
    assert flops("_linalg_solve_ex", SQUARE, rows, False) == 30_037
    assert flops("_linalg_solve_ex", SQUARE, spec(N)) == 21_845 + 2048
    assert flops("linalg_lu_solve", SQUARE, spec(N), rows, False) == 8192


def test_a_batch_is_a_sum_and_complex_is_four_times() -> None:
    batch = spec(3, 5, N, N)
    assert flops("linalg_cholesky_ex", batch) == 15 * 10_922
    assert flops("_linalg_solve_ex", batch, spec(3, 5, N)) == 15 * (21_845 + 2048)
    assert flops("linalg_cholesky_ex", spec(N, N, dtype="complex64")) == 4 * 10_922


@pytest.mark.parametrize(
    ("mode", "each", "q"), [("reduced", 2, 40 * 8), ("r", 1, 0), ("", 2, 40 * 8)]
)
def test_qr_forms_the_columns_that_its_mode_asks_for(mode, each, q) -> None:
    work = work_of(Call("aten::linalg_qr", (spec(40, 8), mode)))
    assert work is not None
    assert work.flops == each * 4778  # 2 n^2 (m - n / 3) for R, and as much for Q
    assert work.bytes_written == 4 * (q + 64)


def test_complete_qr_and_householder_products() -> None:
    complete = flops("linalg_qr", spec(40, 8), "complete")
    reflected = flops("geqrf", spec(40, 8))
    assert complete > flops("linalg_qr", spec(40, 8), "reduced") > reflected
    formed = flops("linalg_householder_product", spec(40, 8), spec(8))
    assert formed + reflected == flops("linalg_qr", spec(40, 8), "reduced")
    assert flops("ormqr", spec(40, 8), spec(8), spec(40, 3)) == 4 * 40 * 3 * 8 - 2 * 3 * 64
    assert flops("ormqr", spec(40, 8), spec(8), spec(3, 40), False) == 4 * 40 * 3 * 8 - 2 * 3 * 64


def test_fourier_transforms_as_pytorch_calls_them(calls_of) -> None:
    torch = pytest.importorskip("torch")

    def program() -> None:
        torch.fft.fft(torch.ones(8, 1024, dtype=torch.complex64))
        torch.fft.rfft(torch.ones(8, 1024))
        torch.fft.irfft(torch.ones(8, 513, dtype=torch.complex64))
        torch.fft.fft2(torch.ones(3, 16, 8, dtype=torch.complex64))

    calls = [call for call in calls_of(program) if "_fft_" in call.name]
    works = [work_of(call) for call in calls]
    counts = [(work.flops, work.vector_flops) for work in works if work]
    assert counts == [(0, 409_600), (0, 204_800), (0, 204_800), (0, 5 * 384 * 7)]
    for call, work in zip(calls, works, strict=True):
        assert work is not None
        assert work.bytes_written == sum(output.bytes for output in call.outputs), call.name


def test_bilinear_products_as_pytorch_calls_them(calls_of) -> None:
    torch = pytest.importorskip("torch")
    model = torch.nn.Bilinear(8, 6, 4)
    with torch.no_grad():
        calls = calls_of(lambda: model(torch.ones(16, 8), torch.ones(16, 6)))
    (work,) = [work_of(call) for call in calls if call.name == "aten::_trilinear"]
    assert work == Work(
        flops=2 * 16 * (4 * 8 * 6 + 4 * 6),
        dense_flops=2 * 16 * (4 * 8 * 6 + 4 * 6),
        bytes_read=4 * (16 * 8 + 4 * 8 * 6 + 16 * 6),
        bytes_written=4 * 16 * 4,
    )


def test_solves_as_pytorch_calls_them(calls_of) -> None:
    torch = pytest.importorskip("torch")
    a = torch.eye(N) * N

    def program() -> None:
        torch.linalg.solve(a, torch.ones(N, 4))
        torch.linalg.cholesky(a)
        torch.linalg.inv(a)
        torch.linalg.qr(a)

    calls = [call for call in calls_of(program) if has_formula(call.name) and "linalg" in call.name]
    found = {call.name: work for call in calls if (work := work_of(call))}
    assert found["aten::_linalg_solve_ex"].flops == 30_037
    assert found["aten::linalg_cholesky_ex"].flops == 10_922
    assert found["aten::linalg_inv_ex"].flops == 65_536
    assert found["aten::linalg_qr"].flops == pytest.approx(8 * N**3 / 3, abs=2)


NAMES = ("linalg_cholesky_ex", "linalg_lu_factor_ex", "_linalg_solve_ex", "linalg_qr", "_fft_c2c")
NAMES += ("_trilinear", "triangular_solve", "ormqr", "linalg_inv_ex", "geqrf")


def test_calls_without_shapes_are_unknown() -> None:
    assert [work_of(Call(f"aten::{name}")) for name in NAMES] == [None] * len(NAMES)
