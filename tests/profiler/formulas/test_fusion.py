"""Kernels made of several operators: their names, modules and work."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from goodput.formulas.fusion import fused_name, fused_work, module_around
from goodput.work import Work

WORK = st.builds(Work, *[st.integers(0, 10**12)] * 8)


@pytest.mark.parametrize(
    ("operators", "name"),
    [
        (["aten::gelu", "aten::gelu"], "aten::gelu"),
        (["aten::add", "aten::gelu", "aten::add"], "fused: add, gelu"),
        (["aten::add", "mylib::twist"], "fused: add, mylib::twist"),
        ([f"aten::op{n}" for n in range(9)], "fused: op0, op1, op2, op3, op4, op5 and 3 more"),
    ],
)
def test_names_tell_each_operator_once(operators, name):
    assert fused_name(operators) == name


@pytest.mark.parametrize(
    ("modules", "around"),
    [
        ([], ""),
        (["blocks.0.mlp"], "blocks.0.mlp"),
        (["blocks.0.mlp", "blocks.0.norm"], "blocks.0"),
        (["blocks.1", "blocks.10"], "blocks"),
        (["blocks.0.mlp", "blocks.0"], "blocks.0"),
        (["head", "blocks.0"], ""),
        (["", "blocks.0"], ""),
    ],
)
def test_a_kernel_is_in_the_module_around_its_parts(modules, around):
    assert module_around(modules) == around


@given(st.lists(WORK, min_size=1), st.integers(0, 10**12), st.integers(0, 10**12))
def test_arithmetic_adds_up_and_bytes_are_the_kernels_own(parts, read, written):
    work = fused_work(parts, read, written)
    whole = sum(parts, Work())
    assert (work.flops, work.vector_flops, work.special) == (
        whole.flops,
        whole.vector_flops,
        whole.special,
    )
    assert (work.bytes_read, work.bytes_written) == (read, written)


def test_a_kernel_of_which_nothing_is_known_has_no_work():
    assert fused_work([None, None], 1, 1) is None
    assert fused_work([None, Work(vector_flops=2)], 3, 4) == Work(
        vector_flops=2, bytes_read=3, bytes_written=4
    )
