"""Which kernels ran, and whether they are those of the units that the mode is meant for."""

from types import SimpleNamespace

import pytest

torch = pytest.importorskip("torch", reason="the kernels are seen by torch's profiler")

from goodput.frontends import torch_kernels  # noqa: E402  # it imports torch
from goodput.frontends.torch_kernels import falls_back, kernel_names  # noqa: E402

HOPPER = "nvjet_sm90_tst_320x128_64x3_1x2_h_bz_coopA_NNT"
CUTLASS = "cutlass_80_tensorop_bf16_s16816gemm_bf16_128x256_64x3_tn_align8"
SIMT = "cutlass_80_simt_sgemm_128x256_8x4_nn_align1"
VOLTA = "volta_sgemm_128x64_nn"


@pytest.mark.parametrize(
    ("mode", "names", "found"),
    [
        ("bfloat16", (HOPPER,), ""),
        ("bfloat16", (CUTLASS,), ""),
        ("tf32", (SIMT,), SIMT),
        ("bfloat16", (VOLTA, HOPPER), VOLTA),
        ("bfloat16", (HOPPER, VOLTA), ""),  # the longest running one does the work
        ("float16", ("void gemv2T_kernel_val<int>",), "void gemv2T_kernel_val<int>"),
        ("float32", (SIMT,), ""),  # has no other units on NVIDIA
        ("float64", (VOLTA,), ""),
        ("", (SIMT,), ""),
        ("bfloat16", (), ""),
    ],
)
def test_a_fall_back_is_named(mode, names, found):
    assert falls_back(mode, iter(names)) == found


def test_the_longest_running_kernel_comes_first(monkeypatch):
    def event(kind, name, seconds):
        device = SimpleNamespace(name=kind)
        return SimpleNamespace(device_type=device, name=name, device_time=seconds)

    events = [
        event("CUDA", "fill", 5.0),
        event("CUDA", "gemm", 4.0),
        event("CPU", "aten::mm", 99.0),
        event("CUDA", "gemm", 4.0),
    ]

    class Profile:
        def __init__(self, activities):
            self.activities = activities

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def events(self):
            return events

    ran = []
    monkeypatch.setattr(torch_kernels.torch.profiler, "profile", Profile)
    monkeypatch.setattr(torch_kernels.torch.cuda, "synchronize", lambda: ran.append("waited"))
    assert kernel_names(lambda: ran.append("called")) == ("gemm", "fill")
    assert ran == ["called", "waited"]
