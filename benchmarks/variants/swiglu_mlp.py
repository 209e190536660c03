# ruff: noqa: ANN001, ANN201, ANN202, D101, D102 - the arguments of kernels
"""The SwiGLU block of a transformer, forward and backward: three products and a gate between them.

Torch eager, with two products joined, compiled, JAX; in the Triton and Pallas variants the gate is
a kernel of theirs, and the products are their framework's.
"""

import jax
import jax.numpy as jnp
import torch
from jax.experimental import pallas
from torch.nn.functional import silu

import goodput

INTERPRETED = jax.default_backend() == "cpu"
PALLAS = "pallas (interpreted)" if INTERPRETED else "pallas"
ROWS = 32


def make_inputs(tokens: int, width: int, hidden: int) -> tuple[torch.Tensor, ...]:
    form = {"device": "cuda" if torch.cuda.is_available() else "cpu"}
    scale = width**-0.5
    return (
        torch.randn(tokens, width, **form),
        scale * torch.randn(width, hidden, **form),
        scale * torch.randn(width, hidden, **form),
        scale * torch.randn(hidden, width, **form),
    )


@goodput.reference("swiglu")
def three_products(
    x: torch.Tensor, gate: torch.Tensor, up: torch.Tensor, down: torch.Tensor
) -> torch.Tensor:
    return (silu(x @ gate) * (x @ up)) @ down


@goodput.variant("swiglu")
def joined(
    x: torch.Tensor, gate: torch.Tensor, up: torch.Tensor, down: torch.Tensor
) -> torch.Tensor:
    both = x @ torch.cat([gate, up], dim=1)
    first, second = both.chunk(2, dim=1)
    return (silu(first) * second) @ down


@goodput.variant("swiglu")
@torch.compile(dynamic=False)
def compiled(
    x: torch.Tensor, gate: torch.Tensor, up: torch.Tensor, down: torch.Tensor
) -> torch.Tensor:
    return (silu(x @ gate) * (x @ up)) @ down


@goodput.variant("swiglu")
@jax.jit
def xla(x: jax.Array, gate: jax.Array, up: jax.Array, down: jax.Array) -> jax.Array:
    return (jax.nn.silu(x @ gate) * (x @ up)) @ down


def _gate_rows(gate_block, up_block, out_block):
    gate = gate_block[...]
    out_block[...] = gate / (1 + jnp.exp(-gate)) * up_block[...]


def _gate_backward_rows(gate_block, up_block, d_block, d_gate_block, d_up_block):
    gate, up, d = gate_block[...], up_block[...], d_block[...]
    sigmoid = 1 / (1 + jnp.exp(-gate))
    d_gate_block[...] = d * up * sigmoid * (1 + gate * (1 - sigmoid))
    d_up_block[...] = d * gate * sigmoid


def _by_rows(kernel, outputs: int, *arrays: jax.Array) -> list[jax.Array]:
    rows, width = arrays[0].shape
    blocks = pallas.BlockSpec((ROWS, width), lambda row: (row, 0))
    return pallas.pallas_call(
        kernel,
        out_shape=[jax.ShapeDtypeStruct(arrays[0].shape, arrays[0].dtype)] * outputs,
        grid=(pallas.cdiv(rows, ROWS),),
        in_specs=[blocks] * len(arrays),
        out_specs=[blocks] * outputs,
        interpret=INTERPRETED,
    )(*arrays)


@jax.custom_vjp
def _gated(gate: jax.Array, up: jax.Array) -> jax.Array:
    return _by_rows(_gate_rows, 1, gate, up)[0]


def _kept(gate: jax.Array, up: jax.Array) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    return _gated(gate, up), (gate, up)


def _pulled(kept: tuple[jax.Array, jax.Array], d: jax.Array) -> tuple[jax.Array, ...]:
    return tuple(_by_rows(_gate_backward_rows, 2, *kept, d))


_gated.defvjp(_kept, _pulled)


@goodput.variant("swiglu", name=PALLAS)
@jax.jit
def pallas_gate(x: jax.Array, gate: jax.Array, up: jax.Array, down: jax.Array) -> jax.Array:
    return _gated(x @ gate, x @ up) @ down


try:
    import triton
    import triton.language as tl
except ImportError:
    triton = None

if triton is not None:

    @triton.jit
    def gate_kernel(gate, up, target, count, block: tl.constexpr):
        places = tl.program_id(0).to(tl.int64) * block + tl.arange(0, block)
        inside = places < count
        g = tl.load(gate + places, mask=inside, other=0.0).to(tl.float32)
        u = tl.load(up + places, mask=inside, other=0.0).to(tl.float32)
        out = g * tl.sigmoid(g) * u
        tl.store(target + places, out.to(target.dtype.element_ty), mask=inside)

    @triton.jit
    def gate_backward_kernel(gate, up, gradient, d_gate, d_up, count, block: tl.constexpr):
        places = tl.program_id(0).to(tl.int64) * block + tl.arange(0, block)
        inside = places < count
        g = tl.load(gate + places, mask=inside, other=0.0).to(tl.float32)
        u = tl.load(up + places, mask=inside, other=0.0).to(tl.float32)
        d = tl.load(gradient + places, mask=inside, other=0.0).to(tl.float32)
        sigmoid = tl.sigmoid(g)
        to_gate = d * u * sigmoid * (1 + g * (1 - sigmoid))
        tl.store(d_gate + places, to_gate.to(d_gate.dtype.element_ty), mask=inside)
        to_up = d * g * sigmoid
        tl.store(d_up + places, to_up.to(d_up.dtype.element_ty), mask=inside)

    BLOCK = 1024

    class TritonGate(torch.autograd.Function):
        @staticmethod
        def forward(context, gate: torch.Tensor, up: torch.Tensor) -> torch.Tensor:
            out = torch.empty_like(gate)
            count = gate.numel()
            gate_kernel[(triton.cdiv(count, BLOCK),)](gate, up, out, count, block=BLOCK)
            context.save_for_backward(gate, up)
            return out

        @staticmethod
        def backward(context, gradient: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            gate, up = context.saved_tensors
            d_gate, d_up = torch.empty_like(gate), torch.empty_like(up)
            count = gate.numel()
            gate_backward_kernel[(triton.cdiv(count, BLOCK),)](
                gate, up, gradient.contiguous(), d_gate, d_up, count, block=BLOCK
            )
            return d_gate, d_up

    @goodput.variant("swiglu", name="triton")
    def triton_gate(
        x: torch.Tensor, gate: torch.Tensor, up: torch.Tensor, down: torch.Tensor
    ) -> torch.Tensor:
        return TritonGate.apply(x @ gate, x @ up) @ down


goodput.cases("swiglu", inputs=make_inputs, tokens=[256], width=[512], hidden=[1024])
goodput.cases("swiglu", inputs=make_inputs, backward=True, tokens=[256], width=[512], hidden=[1024])
