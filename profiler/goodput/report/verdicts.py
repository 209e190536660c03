"""What a gate found, as plain data: verdicts, causes, and the status that they deserve.

Judges nothing and renders nothing. Figures are in base units; `None` is unknown and never zero.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """What became of a case or of one of its figures."""

    PASS = "PASS"  # noqa: S105 - a verdict
    REGRESSED = "REGRESSED"
    IMPROVED = "IMPROVED"
    INCONCLUSIVE = "INCONCLUSIVE"
    INCOMPARABLE = "INCOMPARABLE"
    ERROR = "ERROR"


class Tier(StrEnum):
    """How a figure is known: counted, predicted from counts, or timed."""

    EXACT = "exact"
    MODELLED = "modelled"
    MEASURED = "measured"


class Cause(StrEnum):
    """Why a figure moved.

    `numerator`: the model needs other work. `precision`: the same work in another math mode.
    `code`: the same work done in another way, or more slowly. `config`: the case is declared or set
    otherwise. `clocks`: the device runs at another speed, the program's share of it did not move.
    `anchor`: what the device delivers moved, and the program did not. `method`: goodput or the
    toolchain counts otherwise. `budget`: a fixed limit is broken. `noise`: too little is known.
    """

    BUDGET = "budget"
    NUMERATOR = "numerator"
    PRECISION = "precision"
    CODE = "code"
    CONFIG = "config"
    CLOCKS = "clocks"
    ANCHOR = "anchor"
    METHOD = "method"
    NOISE = "noise"


@dataclass(frozen=True, slots=True)
class Finding:
    """One figure of a case and what became of it.

    Attributes:
        metric: its name, e.g. `useful_flops` or `graph_breaks`.
        verdict: what became of it.
        before: the baseline's; None where there is none.
        value: this run's; None where it is not known.
        cause: why it moved; None where it did not.
        limit: the budget that it was held against, if any.
        origin: what was blessed first, for the drift since; None where not known.
        sentence: what happened, for people.
        file, line: where in the program; "" and 0 where not known.
    """

    metric: str
    verdict: Verdict
    before: float | None = None
    value: float | None = None
    cause: Cause | None = None
    limit: float | None = None
    origin: float | None = None
    sentence: str = ""
    file: str = ""
    line: int = 0

    @property
    def change(self) -> float | None:
        """The relative change; None where it is not known or starts at nothing."""
        if self.before is None or self.value is None or not self.before:
            return None
        return self.value / self.before - 1

    @property
    def drift(self) -> float | None:
        """The relative change since the first baseline; None where not known."""
        if self.origin is None or self.value is None or not self.origin:
            return None
        return self.value / self.origin - 1


@dataclass(frozen=True, slots=True)
class OperatorChange:
    """An operator that moved: `figure` is what is compared, in base units of `unit`."""

    operator: str
    figure: str
    unit: str
    before: float
    value: float

    @property
    def change(self) -> float:
        """What was added."""
        return self.value - self.before


@dataclass(frozen=True, slots=True)
class CaseResult:
    """One case in one tier.

    Attributes:
        case: its name.
        tier: how its figures are known.
        verdict: the worst of its findings.
        device: its name, in the tiers that have one.
        findings: worst first.
        operators: what lost most, first.
        notes: sentences on what should be known of the run.
        reproduce: the command that does it again.
        error: why there are no figures; "" where there are.
        status: the exit status of that error.
        evaluated: how many figures were held against something.
    """

    case: str
    tier: Tier
    verdict: Verdict
    device: str = ""
    findings: tuple[Finding, ...] = ()
    operators: tuple[OperatorChange, ...] = ()
    notes: tuple[str, ...] = ()
    reproduce: str = ""
    error: str = ""
    status: int = 0
    evaluated: int = 0

    @property
    def statuses(self) -> frozenset[int]:
        """The exit statuses that this result deserves, inconclusive ones included."""
        own = {
            Verdict.REGRESSED: _REGRESSED,
            Verdict.INCOMPARABLE: _NOTHING_COMPARABLE,
            Verdict.INCONCLUSIVE: INCONCLUSIVE,
            Verdict.ERROR: self.status,
        }
        # A variant that cannot be trusted does not hide another that became slower.
        slower = any(one.verdict is Verdict.REGRESSED for one in self.findings)
        also = _REGRESSED if slower else 0
        return frozenset({own.get(self.verdict, 0), self.status, also} - {0})

    @property
    def worst(self) -> Finding | None:
        """The finding that decides; None where nothing was found."""
        return self.findings[0] if self.findings else None


INCONCLUSIVE = 6
"""The status of what may be a regression; 0 unless it was asked to fail."""

_REGRESSED, _NOTHING_COMPARABLE = 1, 4
_PRECEDENCE = (2, 3, 5, 1, 4, 6)
_RANK = (
    Verdict.ERROR,
    Verdict.REGRESSED,
    Verdict.INCOMPARABLE,
    Verdict.INCONCLUSIVE,
    Verdict.IMPROVED,
    Verdict.PASS,
)


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What one check found.

    Attributes:
        results: one a case and tier.
        against: what they were held against.
        created: ISO date and time.
        commit: of the work tree, "" where there is none.
        warnings: sentences on the run as a whole.
        fail_on_inconclusive: whether an inconclusive result is a failure.
        expected_false_alarms: how many of these verdicts are wrong by chance, at most.
    """

    results: tuple[CaseResult, ...]
    against: str = ""
    created: str = ""
    commit: str = ""
    warnings: tuple[str, ...] = ()
    fail_on_inconclusive: bool = False
    expected_false_alarms: float = 0.0

    @property
    def statuses(self) -> tuple[int, ...]:
        """Every exit status that applies, the one that counts first."""
        found = {status for result in self.results for status in result.statuses}
        if not any(result.evaluated for result in self.results) and not found & {2, 3, 5}:
            found.add(_NOTHING_COMPARABLE)
        if not self.fail_on_inconclusive:
            found.discard(INCONCLUSIVE)
        return tuple(status for status in _PRECEDENCE if status in found)

    @property
    def status(self) -> int:
        """The exit status."""
        return next(iter(self.statuses), 0)

    @property
    def ranked(self) -> tuple[CaseResult, ...]:
        """The results, worst first."""
        return tuple(sorted(self.results, key=lambda result: _RANK.index(result.verdict)))


def worst_of(verdicts: Iterable[Verdict]) -> Verdict:
    """The verdict that decides; `PASS` of none."""
    return min(verdicts, key=_RANK.index, default=Verdict.PASS)


def ranked_findings(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """The findings, worst first, then by what explains the most, then the largest."""
    causes = tuple(Cause)
    return tuple(
        sorted(
            findings,
            key=lambda one: (
                _RANK.index(one.verdict),
                causes.index(one.cause) if one.cause else len(causes),
                -abs(one.change or 0.0),
            ),
        )
    )
