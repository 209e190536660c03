"""Attention operators of other libraries than PyTorch's own, by their documented arguments.

Unseen: none of these libraries runs where goodput is tested, so each row is what the library's
source says its operator takes, and a report that one ran in says so. FlashAttention 2:
flash_attn/flash_attn_interface.py (2.7 and later); FlashAttention 3: hopper/flash_api.cpp and
hopper/flash_attn_interface.py; xFormers: xformers/ops/fmha/flash.py (its other operators are
PyTorch's own `_efficient_attention_forward`). `torch.nn.attention.varlen` is PyTorch's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from goodput.formulas.aten_attention import Row, register_rows
from goodput.formulas.registry import mark_unseen

_FLASH = Row(heads_last=True, bottom_right=True)
_FLASH_3 = replace(
    _FLASH, causal=24, windows=25, cumulative=7, longest=5, unseen=(3, 5, 10, 11, 14)
)
_FLASH_3_BACKWARD = replace(
    _FLASH, query=1, causal=16, windows=17, cumulative=9, longest=4, unseen=(11, 12)
)
_VARLEN = replace(_FLASH, causal=7, window_list=9, cumulative=3, unseen=(11, 12))

FORWARD: Mapping[str, Row] = {
    "flash_attn::_flash_attn_forward": replace(_FLASH, causal=5, windows=6),
    "flash_attn::_flash_attn_varlen_forward": replace(
        _FLASH, causal=9, windows=10, cumulative=3, unseen=(15, 16, 17)
    ),
    "flash_attn_3::fwd": _FLASH_3,
    "flash_attn_3::_flash_attn_forward": _FLASH_3,
    "xformers_flash::flash_fwd": replace(
        _FLASH, causal=10, windows=11, cumulative=3, longest=3, unseen=(5, 14)
    ),
}
"""Forward operators."""

BACKWARD: Mapping[str, Row] = {
    "flash_attn::_flash_attn_backward": replace(_FLASH, query=1, causal=11, windows=12),
    "flash_attn::_flash_attn_varlen_backward": replace(
        _FLASH, query=1, causal=15, windows=16, cumulative=9
    ),
    "flash_attn_3::bwd": _FLASH_3_BACKWARD,
    "xformers_flash::flash_bwd": replace(_FLASH, query=2, causal=13, windows=14, cumulative=7),
}
"""Backward operators."""

OWN_FORWARD: Mapping[str, Row] = {
    "torch_attn::_varlen_attn": _VARLEN,
    "torch_attn::_varlen_attn_out": replace(
        _VARLEN, query=1, causal=8, window_list=10, cumulative=4, unseen=(12, 13)
    ),
}
"""PyTorch's own attention over packed sequences."""

OWN_BACKWARD: Mapping[str, Row] = {
    "torch_attn::_varlen_attn_backward": replace(
        _FLASH, query=1, causal=10, window_list=13, cumulative=6
    )
}
"""Its backward pass."""

register_rows(FORWARD, BACKWARD)
register_rows(OWN_FORWARD, OWN_BACKWARD)
mark_unseen(*FORWARD, *BACKWARD)
