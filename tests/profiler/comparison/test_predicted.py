"""What kernels and cases need of a chip at least, from its datasheet."""

import pytest

from goodput.capacity.datasheet import chip_of
from goodput.comparison.kernels import kernel_of
from goodput.comparison.roofs import on_chip
from goodput.comparison.wire import Counted, Resources
from goodput_kernels.triton_architecture import ARCHITECTURES

COUNTED = Counted(
    nonce="",
    useful_flops={"bfloat16": 10**12},
    executed_flops=10**12,
    vector_flops=0,
    special=0,
    moved_bytes=0,
    operators={},
    products=(),
    tensor_bytes=1000,
    missing=(),
)


def kernel(architecture, **work):
    return kernel_of(Resources(
        nonce="", architecture=architecture, kernel="k", config="", registers=8,
        spilled_bytes=0, shared_bytes=0, matrix_instructions=1, **work,
    ))  # fmt: skip


@pytest.mark.parametrize("architecture", sorted(set(ARCHITECTURES) - {"sm_87"}))
def test_every_target_but_a_board_has_a_chip(architecture):
    row = chip_of(architecture)
    assert row is not None
    name, ideal = on_chip(COUNTED, architecture)
    assert name == row.name
    assert ideal.bound == "compute"
    assert ideal.seconds == pytest.approx(10**12 / row.flops_per_s["bfloat16"])


def test_what_moves_much_is_bound_by_memory():
    work = {"executed_flops": 0, "vector_flops": 10, "special": 0, "moved_bytes": 10**9}
    found = kernel("sm_90", **work)
    row = chip_of("sm_90")
    assert found.bound == "memory"
    assert found.chip == row.name
    assert found.least_seconds == pytest.approx(10**9 / row.bytes_per_s)


@pytest.mark.parametrize(
    "found",
    [kernel("sm_90"), kernel("sm_87", executed_flops=1, mode="float16", moved_bytes=1)],
)
def test_what_is_not_known_is_not_zero(found):
    assert found.least_seconds is None
    assert found.bound == ""
