"""Composites: every one of PyTorch's without a formula, and what the profiler puts around."""

from __future__ import annotations

import pytest

import goodput.formulas.aten  # noqa: F401 - registers the formulas
from goodput.formulas.composites import ATEN, is_composite
from goodput.formulas.registry import has_formula, registered

ELSEWHERE = {"aten::_fused_rms_norm"}
"""Operators that are composite on a CPU, but have a kernel of their own on a GPU."""


def composites() -> set[str]:
    """PyTorch's operators all of whose overloads are composite and have no kernel of their own."""
    torch = pytest.importorskip("torch")
    has_kernel = torch._C._dispatch_has_kernel_for_dispatch_key
    found: dict[str, bool] = {}
    for schema in torch._C._jit_get_all_schemas():
        if schema.name.startswith("aten::") and "out" not in schema.overload_name:
            overload = f".{schema.overload_name}" if schema.overload_name else ""
            try:
                composite = has_kernel(schema.name + overload, "CompositeImplicitAutograd")
            except RuntimeError:
                continue  # of TorchScript, not of the dispatcher
            found[schema.name] = found.get(schema.name, True) and composite
    return {name for name, composite in found.items() if composite}


def test_every_composite_of_torch_is_listed_or_has_a_formula():
    assert len(composites()) > 300
    assert not {name for name in composites() if not is_composite(name) and not has_formula(name)}


def test_no_composite_has_a_formula():
    torch = pytest.importorskip("torch")
    has_kernel = torch._C._dispatch_has_kernel_for_dispatch_key
    own = {name for name in composites() & set(registered()) if not has_kernel(name, "CPU")}

    assert own <= ELSEWHERE
    assert not {f"aten::{name}" for name in ATEN} & set(registered())


def test_the_list_has_no_kernels():
    assert "linear" in ATEN
    assert "add" not in ATEN


@pytest.mark.parametrize(
    "name",
    [
        "aten::linear",
        "aten::matmul",
        "aten::layer_norm",
        "aten::cross_entropy_loss",
        "aten::softmax",
        "aten::conv2d",
        "aten::to",
        "aten::contiguous",
        "aten::reshape",
        "aten::dropout",
        "aten::scaled_dot_product_attention",
        "aten::batch_norm",
        "aten::_batch_norm_impl_index",
        "aten::einsum",
        "aten::item",
        "aten::lstm",
        "autograd::engine::evaluate_function: AddmmBackward0",
        "AddmmBackward0",
        "DivBackward1",
        "torch::autograd::AccumulateGrad",
        "torch::autograd::CopySlices",
        "CheckpointFunctionBackward",
        "Optimizer.step#AdamW.step",
        "Optimizer.zero_grad#AdamW.zero_grad",
        "ProfilerStep#3",
        "## Call CompiledFxGraph fabc ##",
        "Torch-Compiled Region: 0/0",
        "CompiledFunctionBackward",
        "nn.Module: Linear_0",
        "goodput::module",
        "torch.distributed.ddp.reducer::copy_bucket_to_grad",
        "enumerate(DataLoader)#_SingleProcessDataLoaderIter.__next__",
    ],
)
def test_containers_are_composite(name):
    assert is_composite(name)


@pytest.mark.parametrize(
    "name",
    [
        "aten::mm",
        "aten::embedding",
        "aten::_softmax",
        "aten::native_layer_norm",
        "aten::view",
        "mylib::attention",
        "triton_poi_fused_add_0",
        "MyAttentionBackward",
        "c10d::allreduce_",
    ],
)
def test_operators_that_do_work_are_not(name):
    assert not is_composite(name)
