"""What a program finds out about hollow tensors: they are on a CPU that runs everything.

On `meta`, where they really are, torch would take attention apart, autocast would do nothing, and a
program would meet a device that it does not know. Moves to a GPU are taken and change nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from typing import Any

import torch
from torch.nn import functional

from goodput.frontends.torch_attention import AttentionWatch
from goodput.frontends.torch_calls import tensors_in
from goodput.frontends.torch_private import (
    compile_is_used,
    is_higher_order,
    is_meta,
    plain_functions,
)

_FUSED_RANK = 4
_SEQUENCES_RANK = 3
_LAYERED = frozenset({torch.float32, torch.bfloat16, torch.float16})
_PLAIN = (torch.Tensor, torch.nn.Parameter)
_CPU = torch.device("cpu")
_STAYS = frozenset({"cpu", "meta"})
_Tensor: Any = torch.Tensor
_Base: Any = torch.Tensor.__base__

_CHECKS = ("has_torch_function", "has_torch_function_unary", "has_torch_function_variadic")
"""How torch's Python code asks whether a mode or a subclass wants a call, the first by a list."""

_REFUSAL = "_validate_device"
"""What flexible attention calls with its tensors, to refuse some."""

_MOVES = frozenset({_Tensor.cuda, _Tensor.pin_memory})
_LOWERED = frozenset(
    {
        functional.linear,
        functional.bilinear,
        functional.scaled_dot_product_attention,
        torch.conv1d,
        torch.conv2d,
        torch.conv3d,
        torch.conv_transpose1d,
        torch.conv_transpose2d,
        torch.conv_transpose3d,
        torch.matmul,
        torch.mm,
        torch.mv,
        torch.bmm,
        torch.addmm,
        torch.addmv,
        torch.addbmm,
        torch.baddbmm,
        torch.einsum,
        _Tensor.matmul,
        _Tensor.__matmul__,
        _Tensor.__rmatmul__,
        _Tensor.mm,
        _Tensor.mv,
        _Tensor.bmm,
        _Tensor.addmm,
        _Tensor.baddbmm,
    }
)
"""What autocast runs in its lower precision: products, under each of their names."""
_ANSWERED_ALWAYS = _MOVES | {_Tensor.to, torch.lstm, functional.scaled_dot_product_attention}
"""What may run otherwise than as it is called, with autocast or without."""


class HollowDevices(AttentionWatch):
    """Answers for the device, keeps attention whole, and does what autocast does to products.

    Under autocast only products are converted: other operators keep the dtype of their inputs.

    Attributes:
        forward_only: whether it is known that no backward pass follows.
    """

    def __init__(self) -> None:
        super().__init__(opens_loops=True)
        self.forward_only = False

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Runs `func` as a CPU would answer it."""
        if not kwargs and not is_higher_order(type(func)):
            lowers = func in _LOWERED and torch.is_autocast_enabled("cpu")
            if not lowers and func not in _ANSWERED_ALWAYS:
                return func(*args)
        return self._answered(func, types, args, kwargs or {})

    def _answered(
        self, func: Any, types: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        if func in _MOVES:
            return args[0]
        if func is _Tensor.to:
            args = (args[0], *(_stay(value) for value in args[1:]))
        if "device" in kwargs:
            kwargs = {**kwargs, "device": _stay(kwargs["device"])}
        if func in _LOWERED and torch.is_autocast_enabled("cpu"):
            return self._lowered(func, types, args, kwargs)
        if func is functional.scaled_dot_product_attention and _is_whole(*args, **kwargs):
            return _attention(*args, **kwargs)
        if func is torch.ops.higher_order.flex_attention and _wants_gradients(args):
            with self:
                return Flexible.apply(*args)  # type: ignore[no-untyped-call]  # untyped in torch
        if func == torch.lstm and self._is_forward() and _is_layered(*args, **kwargs):
            return _lstm(*args, **kwargs)
        return super().__torch_function__(func, types, args, kwargs)

    def _is_forward(self) -> bool:
        return self.forward_only or not torch.is_grad_enabled()

    def _lowered(self, func: Any, types: Any, args: tuple[Any, ...], kwargs: Any) -> Any:
        """`func` in autocast's dtype."""
        dtype = torch.get_autocast_dtype("cpu")
        args = tuple(_cast(value, dtype) for value in args)
        kwargs = {name: _cast(value, dtype) for name, value in kwargs.items()}
        with torch.autocast("cpu", enabled=False):
            return self.__torch_function__(func, types, args, kwargs)


def _stay(device: Any) -> Any:
    """The CPU in the place of a device that may not be here; anything else as it is."""
    if isinstance(device, int) and not isinstance(device, bool):
        return _CPU
    if not isinstance(device, str | torch.device):
        return device
    return device if torch.device(device).type in _STAYS else _CPU


def _cast(value: Any, dtype: torch.dtype) -> Any:
    if isinstance(value, torch.Tensor):
        lower = value.is_floating_point() and value.dtype is not torch.float64
        return value.to(dtype) if lower and value.dtype is not dtype else value
    if isinstance(value, list | tuple):
        return type(value)(_cast(item, dtype) for item in value)
    return value


class OnCpu:
    """Inside, hollow tensors say that they are on the CPU, save to torch itself.

    A mode would not do: it is off while torch's own Python code runs, as that of a hook.

    Args:
        is_inside: whether torch works on shapes at the moment and must know where they are.
    """

    def __init__(self, is_inside: Callable[[], bool]) -> None:
        self._is_inside = is_inside

    def __enter__(self) -> None:
        """Puts the answers in the place of torch's own."""
        _asked.append(self._is_inside)
        for name, answer in _ANSWERS:
            setattr(_Tensor, name, answer)

    def __exit__(self, *_: object) -> None:
        """Takes them off with the outermost count."""
        _asked.pop()
        if not _asked:
            for name, _answer in _ANSWERS:
                delattr(_Tensor, name)


_asked: list[Callable[[], bool]] = []
"""What the counts that run now know of whether torch works on shapes, the innermost last."""


def _answer(name: str, on_meta: object) -> property:
    truth = getattr(_Base, name).__get__

    def found(tensor: Any) -> object:
        with plain_functions():
            return on_meta if is_meta(tensor) and not _asked[-1]() else truth(tensor)

    return property(found)


# Made once: a count of a small model takes no longer than making them.
_ANSWERS = tuple(
    (name, _answer(name, on_meta))
    for name, on_meta in (("device", _CPU), ("is_cpu", True), ("is_meta", False))
)


@contextmanager
def open_functions() -> Iterator[None]:
    """Inside, torch functions written in Python are run and not handed to a mode as a whole.

    While a mode handles one it is off, and would see nothing of what the function calls: the
    attention in `multi_head_attention_forward`, or all that a backward pass recomputes.
    """
    before = [(home, name, getattr(home, name)) for home, name in _askers()]
    try:
        for home, name, check in before:
            setattr(home, name, _unless_plain(check, opened=name == _CHECKS[0]))
        yield
    finally:
        for home, name, check in before:
            setattr(home, name, check)


@cache
def _unless_plain(check: Callable[..., bool], *, opened: bool) -> Callable[..., bool]:
    def overridden(*values: Any) -> bool:
        found = values[0] if opened else values
        plain = all(type(v) in _PLAIN or not isinstance(v, torch.Tensor) for v in found)
        return not plain and check(*values)

    return overridden


@cache
def _askers() -> tuple[tuple[Any, str], ...]:
    """The modules of torch that ask, each with a name by which it does."""
    homes: tuple[Any, ...] = (functional, torch.functional, torch.autograd, torch._tensor)  # noqa: SLF001
    return tuple((home, name) for home in homes for name in _CHECKS if hasattr(home, name))


@contextmanager
def flexible_backward() -> Iterator[None]:
    """Inside, flexible attention may have a backward pass, which torch refuses on a CPU."""
    module: Any = sys.modules.get("torch.nn.attention.flex_attention")
    check = getattr(module, _REFUSAL, None)
    if check is None:
        yield
        return
    setattr(module, _REFUSAL, lambda *_: None)
    try:
        yield
    finally:
        setattr(module, _REFUSAL, check)


@contextmanager
def uncompiled() -> Iterator[None]:
    """Inside, what the program compiled runs as it was written.

    Where nothing is compiled yet, torch's compiler is not loaded for that: it takes seconds.
    """
    if compile_is_used():
        with torch.compiler.set_stance("force_eager"):
            yield
        return
    original, stances = torch.compile, ExitStack()

    def compiled(*args: Any, **kwargs: Any) -> Any:
        torch.compile = original  # once is enough
        stances.enter_context(torch.compiler.set_stance("force_eager"))
        return original(*args, **kwargs)

    torch.compile = compiled
    try:
        yield
    finally:
        torch.compile = original
        stances.close()


class AutocastHere:
    """Inside, autocast for a GPU is autocast for the CPU: torch turns it off where it sees none."""

    def __enter__(self) -> None:
        """Has autocast begin by us."""
        cls: Any = torch.autocast
        self._before = cls.__init__
        cls.__init__ = _cpu_autocast(self._before)

    def __exit__(self, *_: object) -> None:
        """Has it begin as before."""
        cls: Any = torch.autocast
        cls.__init__ = self._before


@cache
def _cpu_autocast(original: Callable[..., None]) -> Callable[..., None]:
    def begin(self: Any, device_type: str, dtype: Any = None, *args: Any, **kwargs: Any) -> None:
        if device_type != "cpu":
            dtype = dtype or torch.get_autocast_dtype(device_type)
        original(self, "cpu", dtype, *args, **kwargs)

    return begin


def _is_whole(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attn_mask: torch.Tensor | None = None,
    *_: Any,
    **__: Any,
) -> bool:
    """Whether a fused kernel takes this attention."""
    return (
        type(query) in _PLAIN
        and query.dim() == key.dim() == value.dim() == _FUSED_RANK
        and query.shape[-1] == key.shape[-1] == value.shape[-1]
        and (attn_mask is None or not attn_mask.requires_grad)
        and query.is_floating_point()
    )


def _attention(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attn_mask: torch.Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    **_: Any,
) -> torch.Tensor:
    """Attention as one operator; shared key heads need no copies there."""
    fused = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu  # noqa: SLF001 - its name
    result: torch.Tensor = fused(
        query, key, value, dropout_p, is_causal, attn_mask=attn_mask, scale=scale
    )[0]
    return result


def _wants_gradients(args: tuple[Any, ...]) -> bool:
    """Whether flexible attention is differentiated by its query, key and value, and these alone."""
    mains, others = args[:3], tensors_in(args[3:])
    return (
        torch.is_grad_enabled()
        and any(tensor.requires_grad for tensor in mains)
        and not any(tensor.requires_grad for tensor in others)
    )


class Flexible(torch.autograd.Function):
    """Flexible attention, forward and backward as one operator each.

    Torch traces the backward of its scores first, on tensors that know where they really are.
    """

    @staticmethod
    def forward(ctx: Any, *args: Any) -> Any:
        """Runs it, as without gradients."""
        found = torch.ops.higher_order.flex_attention(*args)
        ctx.save_for_backward(*args[:3], *found[:2])
        ctx.others = args[3:]
        ctx.mark_non_differentiable(*found[1:])
        return found

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        """Runs its backward operator."""
        query, key, value, result, sums = ctx.saved_tensors
        score_mod, block_mask, *others = ctx.others
        found = torch.ops.higher_order.flex_attention_backward(
            query, key, value, result, sums, *gradients[:2], score_mod, None, block_mask, *others
        )
        return (*found[:3], *(None for _ in ctx.others))


def _is_layered(source: Any, state: Any, weights: Any, *_: Any) -> bool:
    """Whether a CPU has one operator for each layer of this LSTM: plain, without projections."""
    return (
        isinstance(state, list | tuple)
        and state[0].shape == state[1].shape
        and source.dtype in _LAYERED
        and source.dim() == _SEQUENCES_RANK
        and all(type(weight) in _PLAIN for weight in weights)
        and bool(torch.backends.mkldnn.enabled)
    )


def _lstm(  # noqa: PLR0913, PLR0917  # torch's signature
    source: torch.Tensor,
    state: tuple[torch.Tensor, torch.Tensor],
    weights: list[torch.Tensor],
    has_biases: bool,
    layers: int,
    dropout: float,
    train: bool,
    bidirectional: bool,
    batch_first: bool,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """An LSTM layer by layer; on shapes torch would take it apart, step of time by step of time."""
    one_layer = torch.ops.aten.mkldnn_rnn_layer.default
    size, directions = state[0].shape[-1], 1 + bidirectional
    group = len(weights) // (layers * directions)
    hidden, ends = source.transpose(0, 1) if batch_first else source, []
    starts = list(zip(*(torch.split(one, 1) for one in state), strict=True))
    for layer in range(layers):
        made = []
        for place in range(layer * directions, (layer + 1) * directions):
            own = weights[place * group : (place + 1) * group]
            biases = own[2:] if has_biases else [own[0].new_zeros(own[0].shape[:1])] * 2
            reverse, no_sizes = place % directions == 1, ()
            flags = (has_biases, False, False, False)
            result = one_layer(
                hidden, *own[:2], *biases, *starts[place], reverse, no_sizes, 2, size, 1, *flags
            )
            made.append(result[0])
            ends.append(result[1:3])
        hidden = torch.cat(made, -1) if bidirectional else made[0]
        if train and dropout and layer + 1 < layers:
            hidden = functional.dropout(hidden, dropout)
    last, cells = (torch.cat(one, 0) for one in zip(*ends, strict=True))
    return hidden.transpose(0, 1) if batch_first else hidden, last, cells
