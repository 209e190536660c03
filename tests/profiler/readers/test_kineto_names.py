"""A name alone tells operators from containers and collectives from compute."""

import pytest

from goodput.readers.kineto_names import Rule, classify


def of(name, column):
    return getattr(classify(["", name]), column)[1]


@pytest.mark.parametrize(
    ("name", "operator", "bare"),
    [
        ("aten::mm", True, "aten::mm"),
        ("aten::add.Tensor", True, "aten::add"),
        ("vllm::moe_forward", True, "vllm::moe_forward"),
        ("mylib::nested::op.out", True, "mylib::nested::op"),
        ("goodput::module", False, "goodput::module"),
        ("torch::autograd::AccumulateGrad", False, "torch::autograd::AccumulateGrad"),
        ("autograd::engine::evaluate_function: X", False, "autograd::engine::evaluate_function: X"),
        ("AddmmBackward0", False, "AddmmBackward0"),
        ("Optimizer.step#SGD.step", False, "Optimizer.step#SGD.step"),
        ("void at::native::kernel<a::b>(int)", False, "void at::native::kernel<a::b>(int)"),
    ],
)
def test_operators_and_their_names_without_overload(name, operator, bare):
    names = classify(["", name])
    assert bool(names.operator[1]) is operator
    assert names.strings[names.bare[1]] == bare


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("autograd::engine::evaluate_function: MmBackward0", Rule.ENGINE),
        ("Optimizer.step#AdamW.step", Rule.OPTIMIZER),
        ("Optimizer.zero_grad#AdamW.zero_grad", Rule.OPTIMIZER),
        ("goodput::module", Rule.MODULE),
        ("CheckpointFunctionBackward", Rule.CHECKPOINT),
        ("enumerate(DataLoader)#_MultiProcessingDataLoaderIter.__next__", Rule.DATA),
        ("aten::mm", Rule.NONE),
    ],
)
def test_rules(name, rule):
    assert of(name, "rule") == rule


@pytest.mark.parametrize(
    ("name", "communicates"),
    [
        ("ncclDevKernel_AllReduce_Sum_bf16_RING_LL(ncclDevKernelArgsStorage<4096ul>)", True),
        ("void (anonymous namespace)::multimem_all_reduce_kernel<float>", True),
        ("void vllm::cross_device_reduce_2stage<half, 8>", True),
        ("void at::native::reduce_kernel<512, 1, at::native::ReduceOp<float>>", False),
        ("void at::native::scatter_gather_elementwise_kernel<128>", False),
    ],
)
def test_kernels_that_communicate(name, communicates):
    assert bool(of(name, "collective_kernel")) is communicates


@pytest.mark.parametrize(
    ("name", "launches"),
    [
        ("cudaLaunchKernel", True),
        ("cudaLaunchKernelExC", True),
        ("cuLaunchKernelEx", True),
        ("hipExtModuleLaunchKernel", True),
        ("cudaGraphLaunch", True),
        ("cudaMemcpyAsync", False),
        ("cudaLaunchHostFunc", False),
    ],
)
def test_calls_that_launch_kernels(name, launches):
    assert bool(of(name, "kernel_launch")) is launches
