"""What a kernel is that a compiler made of several operators: its name, its module and its work.

Pure: it puts together what is known of the parts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from goodput.work import Work

_NAMED = 6
"""Operators that a kernel's name tells: a fused optimizer or loss has dozens."""


def fused_name(operators: Iterable[str]) -> str:
    """`fused: add, gelu` for the operators `aten::add` and `aten::gelu`; one alone keeps its name.

    Each is named once, in order.
    """
    distinct = list(dict.fromkeys(operators))
    if len(distinct) == 1:
        return distinct[0]
    names = list(dict.fromkeys(name.removeprefix("aten::") for name in distinct))
    told, more = names[:_NAMED], len(names) - _NAMED
    return f"fused: {', '.join(told)}{f' and {more} more' if more > 0 else ''}"


def module_around(modules: Iterable[str]) -> str:
    """The innermost module that all of `modules` are in, or are; "" is the program itself."""
    paths = [module.split(".") for module in set(modules)]
    if not paths:
        return ""
    shared = []
    for words in zip(*paths, strict=False):
        if len(set(words)) > 1:
            break
        shared.append(words[0])
    return ".".join(shared)


def fused_work(parts: Sequence[Work | None], bytes_read: int, bytes_written: int) -> Work | None:
    """The work of a kernel that computes `parts` and moves so many bytes.

    None where nothing is known of any part.
    """
    known = [part for part in parts if part is not None]
    if parts and not known:
        return None
    total = sum(known, Work())
    return replace(total, bytes_read=bytes_read, bytes_written=bytes_written)
