# ruff: noqa: ARG001 - variants take what the reference takes
"""Variants that take their process with them: data of a test, not a test."""

import os
import signal
import time

import torch

import goodput


def make(n):
    return torch.randn(n, n), torch.randn(n, n)


@goodput.reference("gemm")
def aten(a, b):
    return a @ b


@goodput.variant("gemm")
def hangs(a, b):
    time.sleep(600)


@goodput.variant("gemm")
def is_killed(a, b):
    os.kill(os.getpid(), signal.SIGKILL)


@goodput.variant("gemm")
def leaves(a, b):
    os._exit(7)


@goodput.variant("gemm")
def honest(a, b):
    return torch.mm(a, b)


goodput.cases("gemm", inputs=make, n=[64, 96])
