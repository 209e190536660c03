"""The figures that a gate knows: their units, tiers, and which way is worse. Reads nothing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches

from goodput.errors import UsageError
from goodput.report.verdicts import Tier
from goodput.units import percent, quantity, si

COUNT = ""
RATIO = "%"


@dataclass(frozen=True, slots=True)
class Metric:
    """One figure.

    Attributes:
        name: as a budget names it; of a family, with `.` and what it is of.
        unit: its base unit; `%` is a ratio, "" a number or a plain quotient.
        tier: how it is known.
        higher_is_worse: which way is worse.
        pinned: the library whose version it depends on; "" where it is exact for any.
        told: whether it alone is no regression, only what explains one.
        source: what alone tells it; "" where every run of its tier does.
    """

    name: str
    unit: str
    tier: Tier
    higher_is_worse: bool = True
    pinned: str = ""
    told: bool = False
    source: str = ""

    def text(self, value: float | None) -> str:
        """A value for people."""
        if self.unit == RATIO:
            return percent(value, 2)
        if value is not None and self.unit == COUNT:
            return f"{value:,.0f}" if float(value).is_integer() else f"{value:.4f}"
        return si(value, self.unit, 4)


_ALL = (
    Metric("useful_flops", "FLOP", Tier.EXACT),
    Metric("executed_flops", "FLOP", Tier.EXACT),
    Metric("vector_flops", "FLOP", Tier.EXACT),
    Metric("special_calls", COUNT, Tier.EXACT),
    Metric("bytes", "B", Tier.EXACT),
    Metric("recompute_ratio", COUNT, Tier.EXACT),
    Metric("mode_width", "B", Tier.EXACT),
    Metric("operator_calls", COUNT, Tier.EXACT),
    Metric("uncounted_calls", COUNT, Tier.EXACT),
    Metric("upcasts", COUNT, Tier.EXACT),
    Metric("collective_bytes", "B", Tier.EXACT),
    Metric("graph_breaks", COUNT, Tier.EXACT, pinned="torch"),
    Metric("recompiles", COUNT, Tier.EXACT, pinned="torch"),
    Metric("generated_kernels", COUNT, Tier.EXACT, pinned="torch"),
    Metric("registers", COUNT, Tier.EXACT, pinned="triton"),
    Metric("spills", "B", Tier.EXACT, pinned="triton"),
    Metric("shared_bytes", "B", Tier.EXACT, pinned="triton"),
    Metric("predicted_step_seconds", "s", Tier.MODELLED),
    Metric("predicted_mfu", RATIO, Tier.MODELLED, higher_is_worse=False),
    Metric("cost", "FLOP", Tier.MEASURED),
    Metric("ratio", COUNT, Tier.MEASURED),
    Metric("step_seconds", "s", Tier.MEASURED, told=True),
    Metric("anchor_flops_per_s", "FLOP/s", Tier.MEASURED, higher_is_worse=False, told=True),
    Metric("launches", COUNT, Tier.MEASURED, told=True, source="a recording of a device"),
    Metric("goodput", RATIO, Tier.MEASURED, higher_is_worse=False, told=True),
    Metric("mfu", RATIO, Tier.MEASURED, higher_is_worse=False, told=True),
)
METRICS = {metric.name: metric for metric in _ALL}
"""Every metric by name."""

BY_MODE = ("useful_flops", "executed_flops")
"""What is told by math mode too, as `useful_flops.bfloat16`."""

OF_KERNEL = ("registers", "spills", "shared_bytes")
"""What is told of each Triton kernel and target, as `spills.attention@sm_90`."""


OF_VARIANT = ("ratio",)
"""What is told of each variant of a comparison, as `ratio.gemm split_k, M=512`."""


def metric_of(name: str) -> Metric:
    """The metric of this name; of a member of a family, that of the family.

    Raises:
        UsageError: there is no such metric.
    """
    stem, dot, _ = name.partition(".")
    if stem in METRICS and (not dot or stem in (*BY_MODE, *OF_KERNEL, *OF_VARIANT)):
        return METRICS[stem]
    raise UsageError(f"there is no metric {name}{nearest(name, METRICS)}")


def nearest(name: str, known: Iterable[str]) -> str:
    """What an error says after a name that is not known: the one that was probably meant."""
    names = list(known)
    close = get_close_matches(name, names, n=1, cutoff=0.5)
    return f"; did you mean {close[0]}?" if close else f"; there are {', '.join(names)}"


def limit_of(name: str, text: object) -> float:
    """The limit that a budget sets for a metric, in base units.

    Raises:
        UsageError: it is no quantity of the metric's unit.
    """
    metric = metric_of(name)
    if isinstance(text, int | float) and not isinstance(text, bool):
        return float(text)
    try:
        value, unit = quantity(str(text))
    except ValueError as error:
        raise UsageError(f"the budget {name} = {text!r} is no quantity: {error}") from error
    if unit != metric.unit:
        wanted = f"{metric.unit!r}" if metric.unit else "a plain number"
        raise UsageError(f"the budget {name} = {text!r} has the unit {unit!r}; give {wanted}")
    return value


def is_worse(metric: Metric, before: float, value: float) -> bool:
    """Whether `value` is worse than `before`."""
    return value > before if metric.higher_is_worse else value < before
