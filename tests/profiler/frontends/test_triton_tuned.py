"""Launched kernels and their tuners' choices, with a driver that loads but runs nothing.

Everything else is Triton's own: its launcher, its tuner, and its compiler for an H100.
"""

from types import SimpleNamespace

import pytest
import torch

triton = pytest.importorskip("triton")

from triton.backends.compiler import GPUTarget  # noqa: E402 - Triton may be missing
from triton.runtime import driver as runtime  # noqa: E402

from goodput.frontends.triton_tuned import Choice, carried, matrix_instructions, watched  # noqa: E402

tl = triton.language


class Driver:
    """An H100 as far as Triton's launcher asks for one."""

    def __init__(self):
        self.launched = []
        properties = {"max_shared_mem": 232448, "multiprocessor_count": 132}
        self.utils = SimpleNamespace(
            load_binary=lambda *_: (object(), object(), 40, 3, 1024),
            get_device_properties=lambda _: properties,
        )

    def get_current_target(self):
        return GPUTarget("cuda", 90, 32)

    def get_current_device(self):
        return 0

    def get_current_stream(self, _):
        return 0

    def launcher_cls(self, _, metadata):
        return lambda *_: self.launched.append(metadata.name)


@pytest.fixture
def device(monkeypatch):
    made = Driver()
    doubled.device_caches.clear()  # kernels that another driver has loaded
    monkeypatch.setattr(runtime, "_active", made)
    return made


@triton.jit
def doubled(source, target, count, block: tl.constexpr):
    places = tl.program_id(0) * block + tl.arange(0, block)
    inside = places < count
    tl.store(target + places, 2 * tl.load(source + places, mask=inside), mask=inside)


def tuner(tried, keys=("count",)):
    """A new one, as in a new process; it prefers large blocks."""

    def bench(call, quantiles):
        call()
        tried.append(len(tried))
        return [1.0 / len(tried)] * len(quantiles)

    configs = [triton.Config({"block": block}, num_warps=2) for block in (64, 128)]
    return triton.autotune(configs, key=list(keys), do_bench=bench)(doubled)


def tensors():
    return torch.zeros(256), torch.zeros(256)


def test_a_launched_kernel_says_what_the_driver_loaded(device):
    with watched(()) as seen:
        doubled[(2,)](*tensors(), 256, block=128, num_warps=2)
    [kernel] = seen.kernels
    assert (kernel.architecture, kernel.kernel) == ("sm_90", "doubled")
    assert (kernel.registers, kernel.spilled_bytes, kernel.matrix_instructions) == (40, 12, 0)
    assert kernel.config == "num_warps: 2, num_stages: 3"
    assert device.launched == ["doubled"]
    assert seen.choices == []


def test_a_choice_of_one_process_is_made_by_no_other(device):
    tried = []
    with watched(()) as first:
        tuner(tried)[(2,)](*tensors(), 256)
    [choice] = first.choices
    assert len(tried) == 2
    assert choice.config.startswith("block: 128, num_warps: 2")
    assert choice.seconds >= 0
    assert [kernel.config for kernel in first.kernels] == [choice.config]
    again = tuner(tried)
    with watched(first.choices) as second:
        again[(2,)](*tensors(), 256)
    again[(2,)](*tensors(), 256)  # and later, when nobody watches
    assert len(tried) == 2
    assert second.choices == []
    assert second.kernels == first.kernels
    assert len(device.launched) == 2 + 1 + 1 + 1


@pytest.mark.usefixtures("device")
def test_another_size_is_tuned_anew_and_so_is_a_choice_of_no_configuration():
    tried = []
    with watched(()) as first:
        tuner(tried)[(2,)](*tensors(), 256)
    [choice] = first.choices
    strange = Choice(choice.kernel, choice.key, "block: 4096")
    with watched([choice]) as other:
        tuner(tried)[(1,)](*tensors(), 128)
    with watched([strange]) as refused:
        tuner(tried)[(2,)](*tensors(), 256)
    assert len(tried) == 6
    assert len(other.choices) == len(refused.choices) == 1


def test_only_choices_by_plain_values_are_carried():
    assert carried(Choice("f", "(256, 'torch.float32')", ""))
    assert not carried(Choice("f", "(<object object at 0x1>,)", ""))


@pytest.mark.parametrize(
    ("code", "count"),
    [
        ("\twgmma.mma_async.sync.aligned.m64n128k16\n\t@%p1 mma.sync.aligned\n// mma.sync\n", 2),
        ("\tv_mfma_f32_32x32x8_f16 a[0:15]\n\ts_nop 0\n", 1),
    ],
)
def test_matrix_instructions_are_counted_in_either_assembly(code, count):
    assert matrix_instructions(code) == count
