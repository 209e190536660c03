"""Whether winners are what they seem: results against float64, the kernel that ran, zeros.

A wrong winner leaves its place to the next best of its group.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from goodput.calibration import ways
from goodput.calibration.questions import Questions
from goodput.calibration.validity import correct, told
from goodput.calibration.ways import Target
from goodput.capacity.measurement import Check
from goodput.errors import first_line
from goodput.measure.bouts import CANNOT_RUN, Bench, Outcome, tournament
from goodput_kernels.candidate import Candidate
from goodput_kernels.operands import ZEROS

_TRIES = 3
"""Winners of one group that may turn out wrong before the group is given up."""

_NEXT = 3
"""Candidates that compete for the place of a wrong winner."""

_KERNEL_KINDS = ("flops", "convolution", "attention")
"""Groups whose kernels have to run on the units of their mode; a product of one row need not."""


@dataclass(slots=True)
class Proof:
    """The winners under proof.

    Attributes:
        outcome: of the tournament; wrong winners are replaced in it.
        verified: the checks of the winners, by label.
        notes: sentences for the reader.
    """

    outcome: Outcome
    verified: dict[str, tuple[Check, ...]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def of_all(self, target: Target, bench: Bench, seconds: float) -> None:
        """Check every winner; the places of wrong ones are fought for again, for `seconds`."""
        for attempt in range(_TRIES):
            groups = list(self.outcome.winners)
            wrong = [group for group in groups if self._wrong(group, target, bench)]
            for group in wrong:
                del self.outcome.winners[group]
            next_best = {group: self._next_best(group) for group in wrong}
            if not any(next_best.values()) or attempt + 1 == _TRIES:
                return
            found = tournament(next_best, _apart(bench, seconds))
            self.outcome.winners.update(found.winners)
            self.outcome.unable.update(found.unable)

    def _next_best(self, group: str) -> list[Candidate]:
        ranked = self.outcome.ranked.get(group, ())
        return [rival for rival in ranked if rival.label not in self.verified][:_NEXT]

    def _wrong(self, group: str, target: Target, bench: Bench) -> bool:
        candidate = self.outcome.winners[group].candidate
        if candidate.label not in self.verified:
            bench.progress(f"verifying {candidate.label}")
            self.verified[candidate.label] = self._checks(group, candidate, target)
        failed = [check for check in self.verified[candidate.label] if not check.passed]
        if failed:
            reason = told(failed[0])
            self.outcome.unable[candidate.label] = reason
            self.notes.append(f"{candidate.label} is no roof: {reason}")
        return bool(failed)

    def _checks(self, group: str, candidate: Candidate, target: Target) -> tuple[Check, ...]:
        found = []
        if candidate.verify is not None:
            try:
                found.append(correct(candidate.verify()))
            except CANNOT_RUN as error:
                self.notes.append(f"{candidate.label} could not be checked ({first_line(error)})")
        kind, *subject = group.split(" ")
        if target.by_torch and not target.on_cpu and candidate.unit == "flops":
            found.append(_kernel_check(candidate, subject[0] if kind in _KERNEL_KINDS else ""))
        return tuple(found)


def zeros_ratios(
    modes: tuple[str, ...],
    outcome: Outcome,
    questions: Questions,
    target: Target,
    bench: Bench,
    seconds: float,
) -> dict[str, float]:
    """The rate on zeros over the rate on random data of the best product in each of `modes`.

    Where it is above 1, power limits the device. Absent where the product cannot be made of zeros.
    """
    both: dict[str, list[Candidate]] = {}
    for mode in modes:
        winner = outcome.winners[f"flops {mode}"].candidate
        same = _of_zeros(winner, questions, target)
        if same:
            both |= {f"zeros {mode}": same, f"random {mode}": [winner]}
    protocol = replace(bench.protocol, keep=(1,), confirmations=2, extra=0)
    found = tournament(both, replace(_apart(bench, seconds), protocol=protocol)).winners
    rates = {group: max(result.rates(protocol.share)) for group, result in found.items()}
    return {
        mode: rates[f"zeros {mode}"] / rates[f"random {mode}"]
        for mode in modes
        if {f"zeros {mode}", f"random {mode}"} <= set(rates)
    }


def _of_zeros(winner: Candidate, questions: Questions, target: Target) -> list[Candidate]:
    source = questions.sources.get(winner.label)
    p = source.product if source is not None else None
    if p is None:
        return []
    rivals = ways.products(target, p.mode, p.batch, p.m, p.n, p.k, ZEROS)
    return [rival for rival in rivals if rival.name.replace(" zeros", "") == winner.name]


def _apart(bench: Bench, seconds: float) -> Bench:
    """`bench` for `seconds` of another tournament, which is no state of the first one."""
    return replace(bench, deadline=bench.clock.now() + seconds, checkpoint=lambda _: None)


def _kernel_check(candidate: Candidate, mode: str) -> Check:
    from goodput.frontends.torch_kernels import falls_back, kernel_names

    with candidate.scope():
        names = kernel_names(candidate.prepare())
    other = falls_back(mode, names)
    return Check("kernel", not other, None, other or (names[0] if names else "no kernel was seen"))
