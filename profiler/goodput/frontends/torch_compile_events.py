"""What torch.compile did to a program that its user should know: graph breaks and recompilations.

Only reads what torch itself wrote down, in private names tried on torch 2.13.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_TOLD = 4
"""Causes that are told of either kind; a program with a bad habit has hundreds."""
_EXPLAINED = "Explanation:"
_OURS = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Break:
    """A graph break: why, and where in the program ("" and 0 where torch does not say)."""

    reason: str
    file: str
    line: int


class CompileEvents:
    """What torch.compile does from now on."""

    def __init__(self) -> None:
        # Kept, not only their ids: those of what is gone are given to others.
        self._before = [*_break_reasons(), *_compilations()]
        self._kernels = _generated_kernels() or 0

    def told(self) -> tuple[str, ...]:
        """Sentences on where graphs were broken, and on what was compiled again."""
        broken, compiled = self._new(_break_reasons()), self._new(_compilations())
        return tuple(filter(None, (_breaks(broken), _recompilations(compiled))))

    def breaks(self) -> tuple[Break, ...]:
        """Every graph break."""
        return tuple(map(_located, self._new(_break_reasons())))

    def figures(self) -> dict[str, float]:
        """Graph breaks, recompilations and generated kernels; none where nothing was compiled."""
        compiled = self._new(_compilations())
        if not compiled:
            return {}
        found: dict[str, float] = {
            "graph_breaks": len(self.breaks()),
            "recompiles": sum(bool(each.recompile_reason) for each in compiled),
        }
        kernels = _generated_kernels()
        if kernels is not None and kernels > self._kernels:
            found["generated_kernels"] = kernels - self._kernels
        return found

    def _new(self, found: list[Any]) -> list[Any]:
        before = set(map(id, self._before))
        return [one for one in found if id(one) not in before]


def _generated_kernels() -> int | None:
    """Kernels that inductor has generated in this process; None where it was not loaded."""
    metrics = sys.modules.get("torch._inductor.metrics")
    return None if metrics is None else int(metrics.generated_kernel_count)


def _located(found: Any) -> Break:
    stack = list(found.user_stack or ())
    reason = _reason(str(found.reason))
    return (
        Break(reason, stack[-1].filename, stack[-1].lineno or 0) if stack else Break(reason, "", 0)
    )


def _dynamo() -> Any:
    return sys.modules.get("torch._dynamo.utils")


def _break_reasons() -> list[Any]:
    return list(_dynamo().graph_break_reasons) if _dynamo() is not None else []


def _compilations() -> list[Any]:
    return list(_dynamo().get_compilation_metrics()) if _dynamo() is not None else []


def _breaks(reasons: list[Any]) -> str:
    causes = Counter(map(_break, reasons))
    if not causes:
        return ""
    return (
        f"torch.compile broke the graph at {_places(len(causes))}, so that eager code runs between "
        f"compiled parts: {_listed(causes)}"
    )


def _break(found: Any) -> str:
    """`reason (file:line)`: why, in short, and where in the program."""
    broken = _located(found)
    place = f" ({Path(broken.file).name}:{broken.line})" if broken.file else ""
    return f"{broken.reason}{place}"


def _reason(text: str) -> str:
    """The sentence that torch explains a graph break with, else its first line."""
    if text.startswith("generic_jump"):
        return "a branch depends on a tensor's value"
    lines = [line.strip() for line in text.splitlines() if line.strip()] or ["no reason given"]
    explained = [line for line in lines if line.startswith(_EXPLAINED)]
    sentence = explained[0].removeprefix(_EXPLAINED).strip() if explained else lines[0]
    return sentence.partition(". ")[0].rstrip(".")


def _recompilations(compiled: list[Any]) -> str:
    causes = Counter(
        f"{_code(found)} because {_guard(found.recompile_reason)}"
        for found in compiled
        if found.recompile_reason
    )
    if not causes:
        return ""
    times = sum(causes.values())
    again = f"compiled again {times} time{'s' * (times != 1)}"
    return f"code was {again}, which took time in the steps where it happened: {_listed(causes)}"


def _code(found: Any) -> str:
    """What was compiled; torch names our wrapper where a module was, which it is traced through."""
    file = Path(str(found.co_filename))
    if file.parent == _OURS:
        return "a module's call"
    return f"{found.co_name} ({file.name}:{found.co_firstlineno})"


def _guard(reason: str) -> str:
    """What had changed: `0/0: tensor 'x' size mismatch...` without the number of the code."""
    first = reason.strip().splitlines()[0]
    number, _, rest = first.partition(": ")
    changed = rest if "/" in number else first
    return " ".join(changed.partition("#")[0].split()) + _not_held(changed)


def _not_held(changed: str) -> str:
    """A guard is what held when the code was compiled; torch's own sentences say more."""
    return " no longer held" if "==" in changed or " is " in changed else ""


def _places(number: int) -> str:
    return f"{number} place{'s' * (number != 1)}"


def _listed(causes: Counter[str]) -> str:
    listed: Iterable[str] = (
        f"{cause}{f', {times} times' if times > 1 else ''}"
        for cause, times in causes.most_common(_TOLD)
    )
    more = len(causes) - _TOLD
    return "; ".join(listed) + (f"; and {more} more" if more > 0 else "")
