"""A recorded run made into a baseline: only what its processes proved, and with a reason. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from goodput.errors import UsageError
from goodput.gates.baselines import PROOFS, Baseline, Blessing
from goodput.gates.exact import moved
from goodput.gates.looks import CONFIRMING, noise_floor
from goodput.gates.observation import rounded
from goodput.gates.observed_run import CaseRun
from goodput.measure.statistics import median
from goodput.report.compared_verdicts import UNTRUSTWORTHY
from goodput.report.metrics import metric_of
from goodput.report.verdicts import Tier


def blessed(run: CaseRun, old: Baseline | None, reason: str) -> Baseline:
    """The baseline that a run gives.

    Args:
        run: what the processes saw.
        old: the baseline so far; its origin is kept where it is of the same program.
        reason: why these figures are right.

    Raises:
        UsageError: the run has no figures, too few processes saw them, or they did not agree.
    """
    if run.error:
        raise UsageError(f"{run.case} has no {run.tier} figures to bless: {run.error}")
    _check_proof(run)
    timed = run.tier is Tier.MEASURED
    values = middles(run) if timed else run.agreed
    continues = old is not None and dict(old.fingerprint) == dict(run.fingerprint)
    return Baseline(
        case=run.case,
        tier=run.tier,
        fingerprint=run.fingerprint,
        method=run.method,
        values=values,
        blessed=Blessing(reason, run.commit, len(run.processes)),
        toolchain=run.toolchain,
        operators=run.operators,
        device=run.device,
        surroundings=run.surroundings,
        profile=run.profile,
        processes=tuple(_rounded(process) for process in run.processes) if timed else (),
        noise=_noise(run),
        counts=run.counts,
        origin=(old.origin or old.values) if continues and old else values,
        blessings=old.blessings + 1 if continues and old else 1,
    )


def _noise(run: CaseRun) -> float | None:
    """The noise floor of cost; None where there is none, as of a comparison."""
    costs = [one["cost"] for one in run.processes if "cost" in one]
    return rounded(noise_floor(costs)) if run.tier is Tier.MEASURED and costs else None


def _check_proof(run: CaseRun) -> None:
    if run.tier is Tier.MODELLED:
        return  # made of counts that were proved
    if run.tier is Tier.MEASURED:
        if len(run.processes) < CONFIRMING:
            raise UsageError(
                f"{run.case} was timed in {len(run.processes)} processes, and {CONFIRMING} are "
                "needed to bless it"
            )
        wrong = [name for name, one in run.variants.items() if one.verdict in UNTRUSTWORTHY]
        if wrong:
            raise UsageError(f"{run.case} is not blessed: {', '.join(wrong)} cannot be trusted")
        return
    if len(run.processes) < PROOFS:
        raise UsageError(
            f"{run.case} was counted by {len(run.processes)} fresh process, and {PROOFS} must "
            "agree: run goodput check --json again; it counts thrice what is to be blessed"
        )
    if run.unsteady:
        names = ", ".join(run.unsteady)
        raise UsageError(
            f"{run.case}: fresh processes did not agree on {names}, so they are not exact and are "
            "not blessed"
        )


def middles(run: CaseRun) -> dict[str, float]:
    """The median over processes of each measured figure."""
    names = sorted({name for process in run.processes for name in process})
    seen = {name: [p[name] for p in run.processes if name in p] for name in names}
    return {name: rounded(median(values)) for name, values in seen.items()}


def _rounded(process: Mapping[str, float]) -> dict[str, float]:
    return {name: rounded(value) for name, value in process.items()}


def held_against(run: CaseRun, commit: str) -> Baseline:
    """What a run at another commit is as a baseline, which nobody blessed."""
    timed = run.tier is Tier.MEASURED
    values = middles(run) if timed else run.agreed
    return Baseline(
        case=run.case,
        tier=run.tier,
        fingerprint=run.fingerprint,
        method=run.method,
        values=values,
        blessed=Blessing("not blessed", commit, len(run.processes)),
        toolchain=run.toolchain,
        operators=run.operators,
        device=run.device,
        surroundings=run.surroundings,
        profile=run.profile,
        processes=run.processes if timed else (),
        counts=run.counts,
    )


def is_unchanged(run: CaseRun, old: Baseline | None) -> bool:
    """Whether a run saw just what the baseline holds, so that there is nothing to bless."""
    return (
        old is not None
        and run.tier is not Tier.MEASURED
        and dict(run.agreed) == dict(old.values)
        and dict(run.toolchain) == dict(old.toolchain)
        and dict(run.fingerprint) == dict(old.fingerprint)
        and dict(run.device) == dict(old.device)
        and (run.method, run.profile) == (old.method, old.profile)
    )


def differences(old: Baseline | None, new: Baseline) -> tuple[str, ...]:
    """What a blessing changes, a sentence a figure."""
    if old is None:
        return (f"first baseline, of {len(new.values)} figures",)
    told = []
    for name in sorted({*old.values, *new.values}):
        before, value = old.values.get(name), new.values.get(name)
        if before is None or value is None:
            told.append(f"{name} is {'new' if before is None else 'gone'}")
        elif before != value:
            told.append(moved(metric_of(name), name, before, value))
    tools = sorted({*old.toolchain, *new.toolchain})
    versions = ((name, old.toolchain.get(name), new.toolchain.get(name)) for name in tools)
    told += [f"{name} {was} is now {now}" for name, was, now in versions if was != now]
    return tuple(told)
