"""Scaled dot-product attention, forward and backward, through each of torch's backends.

Useful FLOPs are those of the two products over the unmasked query-key pairs, `4 head_dim` a pair;
the backward pass is twice the forward one. Softmax is not counted.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import TYPE_CHECKING

from goodput_kernels.candidate import Candidate, Verification
from goodput_kernels.operands import SEED, dtype_of, item_bytes
from goodput_kernels.precision import float32_math
from goodput_kernels.verification import ARITHMETIC, MOST_VALUES, Kernel, verify

if TYPE_CHECKING:
    import torch

MODES = ("bfloat16", "float16", "float32", "tf32", "float64")

LENGTHS = (2048, 8192, 16384)
HEAD_DIMS = (64, 128)

BACKENDS = {
    "cuda": ("FLASH_ATTENTION", "EFFICIENT_ATTENTION", "CUDNN_ATTENTION", "MATH"),
    "cpu": ("FLASH_ATTENTION", "MATH"),
}
"""torch's names of the backends, by device."""

_TOKENS = 16384
_WIDTH = 2048  # heads times head_dim, as in the FlashAttention papers' figures
_SHORTEST = 64
_COMPARED_LENGTH = 512
_COMPARED_HEADS = 4


@dataclass(frozen=True, slots=True)
class Attention:
    """One self-attention `[batch, heads, length, head_dim]`; causal: no key after its query."""

    mode: str
    batch: int
    heads: int
    length: int
    head_dim: int
    causal: bool

    @property
    def pairs(self) -> int:
        """Unmasked query-key pairs over the batch and the heads."""
        each = self.length * (self.length + 1) // 2 if self.causal else self.length**2
        return self.batch * self.heads * each

    @property
    def flops(self) -> int:
        """Of the forward pass."""
        return 4 * self.head_dim * self.pairs

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Of query, key, value and result."""
        return (self.batch, self.heads, self.length, self.head_dim)

    @property
    def name(self) -> str:
        """Sizes, mask and mode."""
        mask = "causal" if self.causal else "full"
        return f"{'x'.join(map(str, self.shape))} {mask} {self.mode}"


def problems(mode: str, most_flops: float) -> tuple[Attention, ...]:
    """The standard ones, cut to at most `most_flops` FLOPs forward; none for an unknown mode."""
    if mode not in MODES:
        return ()
    standard = (
        Attention(mode, _TOKENS // length, _WIDTH // dim, length, dim, causal)
        for length in LENGTHS
        for dim in HEAD_DIMS
        for causal in (False, True)
    )
    found = {cut(problem, most_flops): None for problem in standard}  # a dict keeps the order
    return tuple(found)


def cut(problem: Attention, most_flops: float) -> Attention:
    """`problem` with batch, then heads, then length cut to at most `most_flops` forward."""
    while problem.flops > most_flops:
        if problem.batch > 1:
            problem = replace(problem, batch=problem.batch // 2)
        elif problem.heads > 1:
            problem = replace(problem, heads=problem.heads // 2)
        elif problem.length > _SHORTEST:
            problem = replace(problem, length=problem.length // 2)
        else:
            break
    return problem


def candidates(problem: Attention, device: str = "cpu") -> tuple[Candidate, ...]:
    """The forward and the backward pass through each backend that `device` may have."""
    return tuple(
        make(problem, backend, device)
        for backend in BACKENDS["cpu" if device == "cpu" else "cuda"]
        for make in (_forward_candidate, _backward_candidate)
    )


def _forward_candidate(problem: Attention, backend: str, device: str) -> Candidate:
    make = partial(_forward, problem, device)
    tensors = 4
    return _candidate(problem, backend, "forward", make, make, (problem.flops, tensors))


def _backward_candidate(problem: Attention, backend: str, device: str) -> Candidate:
    make = partial(_backward, problem, device)
    # Its exact gradients need all pairs in float64, so fewer tokens are compared.
    shorter = replace(
        problem,
        batch=1,
        heads=min(problem.heads, _COMPARED_HEADS),
        length=min(problem.length, _COMPARED_LENGTH),
    )
    compared = partial(_backward, shorter, device)
    tensors = 8
    return _candidate(problem, backend, "backward", make, compared, (2 * problem.flops, tensors))


def _candidate(
    problem: Attention,
    backend: str,
    way: str,
    make: Callable[[], Kernel],
    compared: Callable[[], Kernel],
    cost: tuple[int, int],
) -> Candidate:
    scope = partial(_scope, problem.mode, backend)

    def check() -> Verification:
        with scope():
            return verify(compared(), "rows")

    flops, tensors = cost
    size = math.prod(problem.shape) * item_bytes(problem.mode)
    return Candidate(
        name=f"attention {backend.split('_', 1)[0].lower()} {way} {problem.name}",
        library="torch",
        unit="flops",
        amount=flops,
        prepare=lambda: make().call,
        working_set_bytes=tensors * size,
        scope=scope,
        verify=check,
    )


@contextmanager
def _scope(mode: str, backend: str) -> Iterator[None]:
    from torch.nn.attention import SDPBackend, sdpa_kernel

    with float32_math(mode), sdpa_kernel(getattr(SDPBackend, backend)):
        yield


def _drawn(problem: Attention, count: int, device: str) -> list[torch.Tensor]:
    """Tensors that differ: equal query and key would put all weight on the diagonal."""
    import torch

    generator = torch.Generator(device=device).manual_seed(SEED)
    dtype = dtype_of(problem.mode)
    return [
        torch.randn(problem.shape, generator=generator, device=device).to(dtype)
        for _ in range(count)
    ]


def _forward(problem: Attention, device: str) -> Kernel:
    from torch.nn.functional import scaled_dot_product_attention

    query, key, value = _drawn(problem, 3, device)

    def expected(rows: torch.Tensor) -> torch.Tensor:
        return _rows(problem, rows, query, key, value)

    return Kernel(
        call=partial(scaled_dot_product_attention, query, key, value, is_causal=problem.causal),
        rows=math.prod(problem.shape[:3]),
        expected=expected,
        limit=_limit(problem, products=2),
        allocates=(problem.shape, query.dtype, device),
    )


def _rows(
    problem: Attention,
    rows: torch.Tensor,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
) -> torch.Tensor:
    """Rows of the exact result `[batch heads length, head_dim]`."""
    import torch

    length = problem.length
    found = []
    for head in torch.unique(rows // length).tolist():
        places = rows[rows // length == head] % length
        own = query.flatten(0, 1)[head][places].double()
        keys, values = (t.flatten(0, 1)[head].double() for t in (key, value))
        scores = own @ keys.t() / math.sqrt(problem.head_dim)
        if problem.causal:
            later = torch.arange(length)[None, :] > places[:, None]
            scores = scores.masked_fill(later.to(scores.device), -math.inf)
        found.append(scores.softmax(1) @ values)
    return torch.cat(found)


def _backward(problem: Attention, device: str) -> Kernel:
    import torch
    from torch.nn.functional import scaled_dot_product_attention

    *inputs, gradient = _drawn(problem, 4, device)
    with torch.enable_grad():
        query, key, value = leaves = [tensor.requires_grad_() for tensor in inputs]
        result = scaled_dot_product_attention(query, key, value, is_causal=problem.causal)
    # The graph is kept, so that the backward pass alone can run again and again.
    call = partial(torch.autograd.grad, result, leaves, gradient, retain_graph=True)

    @cache
    def exact() -> list[torch.Tensor]:
        return _gradients(problem, leaves, gradient)

    def together(gradients: Iterable[torch.Tensor]) -> torch.Tensor:
        # Each in units of its own norm, so that none hides the errors of another.
        pairs = zip(gradients, exact(), strict=True)
        return torch.stack([found.double() / true.norm() for found, true in pairs]).flatten(0, 3)

    return Kernel(
        call=call,
        rows=len(leaves) * math.prod(problem.shape[:3]),
        expected=lambda rows: together(exact())[rows],
        limit=_limit(problem, products=4),
        allocates=((len(leaves), *problem.shape), gradient.dtype, device),
        collect=together,
        sampled=MOST_VALUES,
    )


def _gradients(
    problem: Attention, inputs: Iterable[torch.Tensor], gradient: torch.Tensor
) -> list[torch.Tensor]:
    """The exact gradients of query, key and value."""
    import torch

    with torch.enable_grad():
        query, key, value = (t.detach().double().requires_grad_() for t in inputs)
        scores = query @ key.transpose(2, 3) / math.sqrt(problem.head_dim)
        if problem.causal:
            scores = scores + torch.full_like(scores, -math.inf).triu(1)
        result = scores.softmax(3) @ value
    return list(torch.autograd.grad(result, (query, key, value), gradient.double()))


def _limit(problem: Attention, products: int) -> float:
    """Each product in the chain adds its own error; an error in a score is one of its exponential.

    Scores are about 1 and sums of `head_dim` products; hardware exponentials err by a few units.
    """
    arithmetic = ARITHMETIC[problem.mode]
    scores = arithmetic.accumulator * (math.sqrt(problem.head_dim) + 8)
    return products * arithmetic.limit(problem.length) + scores
