"""Every Triton kernel in Triton's interpreter against float64, on a CPU; broken ones are found out.

Run by test_triton_interpreter.py in a process of its own: the interpreter has to be chosen before
Triton is imported. By hand: TRITON_INTERPRET=1 python -m pytest THIS_FILE
"""

import os

import pytest

from goodput_kernels import triton_matmul
from goodput_kernels.triton_architecture import ARCHITECTURES

pytestmark = pytest.mark.skipif(
    os.environ.get("TRITON_INTERPRET") != "1", reason="TRITON_INTERPRET=1 chooses the interpreter"
)

# Edges that no tile divides, where the kernel takes them; more tiles than programs.
SIZE = (1, 200, 272, 256)
BATCH = (2, 256, 512, 128)


def products(name, modes, size=SIZE, first=None):
    chip = ARCHITECTURES[name]
    for mode in modes:
        yield from triton_matmul.candidates(mode, *size, device="cpu", architecture=chip)[:first]


ALL = ("float32", "tf32", "bfloat16", "float16", "float8_e4m3", "int8")
CHECKED = {
    candidate.name: candidate
    for candidate in (
        *products("sm_80", ALL, first=1),
        *products("sm_89", ("float8_e4m3",), first=1),
        *products("sm_90", ALL[1:], first=1),
        *products("sm_90", ("bfloat16", "float8_e4m3")),
        *products("sm_100", ("float16",)),
        *products("gfx942", ("float8_e4m3",), first=1),
        *products("sm_80", ("float32", "int8"), BATCH, first=1),
        *products("sm_90", ("bfloat16",), BATCH),
    )
}


@pytest.mark.parametrize("candidate", CHECKED.values(), ids=CHECKED)
def test_a_product_is_right(candidate):
    checked = candidate.verify()
    assert checked.passed, checked
    assert checked.error > 0 or candidate.name.endswith("int8")


class Tampered:
    """A kernel launched as asked, but for what is changed in its sizes (batch, m, n, k)."""

    def __init__(self, kernel, **changes):
        self.kernel = kernel
        self.changes = changes

    def __getitem__(self, grid):
        def launch(left, right, result, batch, m, n, k, **constants):
            sizes = {"batch": batch, "m": m, "n": n, "k": k}
            for name, change in self.changes.items():
                sizes[name] += change
            self.kernel[grid](left, right, result, *sizes.values(), **constants)

        return launch


BROKEN = {
    "the last row is not written": ("sm_80", {"m": -1}, float("inf")),
    "the last products are left out": ("sm_90", {"k": -64}, 0.5),
    "the last matrix of a batch is left out": ("sm_90", {"batch": -1}, float("inf")),
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_broken_product_fails(how, monkeypatch):
    name, changes, error = BROKEN[how]
    kernel = "descriptor_kernel" if name == "sm_90" else "pointer_kernel"
    broken = Tampered(getattr(triton_matmul, kernel), **changes)
    monkeypatch.setattr(triton_matmul, kernel, broken)
    checked = next(products(name, ["bfloat16"], BATCH if "batch" in how else SIZE)).verify()
    assert not checked.passed
    assert checked.error == pytest.approx(error, rel=0.1)
