"""What a test's step needs, held against the test's marks and its baseline, in this process."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from goodput.errors import GoodputError
from goodput.gates import baselines, declarations
from goodput.gates.baselines import PROOFS
from goodput.gates.blessing import blessed
from goodput.gates.budgets import held
from goodput.gates.judge import judged
from goodput.gates.observation import OperatorFigures
from goodput.gates.observed_run import CaseRun
from goodput.renderers import check_words as words
from goodput.report.metrics import limit_of
from goodput.report.verdicts import CaseResult, Finding, Tier, Verdict
from goodput.units import si

if TYPE_CHECKING:
    from goodput.trace.recording import Recording

_PROOF = "GOODPUT_PROOF"
"""A file that a fresh process writes its figures to, instead of judging them."""
_LIMITS = {
    "limit_flops": "useful_flops",
    "limit_recompute": "recompute_ratio",
    "limit_graph_breaks": "graph_breaks",
    "limit_operator_calls": "operator_calls",
    "limit_spills": "spills",
}
_LEAST = {"min_mfu": "mfu", "min_goodput": "goodput"}
_SECONDS = 600.0
_NAMED = 3
"""Operators that a failure names."""

Marks = Sequence[tuple[str, tuple[Any, ...], Mapping[str, Any]]]


@dataclass(frozen=True, slots=True)
class Efficiency:
    """Counts a step and holds it against a test's marks and its baseline.

    Attributes:
        name: the test's.
        root: of the tests.
        marks: the test's marks: name, arguments, named arguments.
        update: whether the baseline is written.
    """

    name: str
    root: Path
    marks: Marks
    update: bool = False

    def __call__(
        self, step: Callable[..., Any], *inputs: Any, train: bool | None = None
    ) -> dict[str, float]:
        """The figures of `step(*inputs)`, by metric; fails the test where one is too high.

        Args:
            step: a module, a function or a training step, of torch or JAX.
            inputs: its arguments.
            train: as `goodput.count` takes it.
        """
        run, recording = _counted(self.name, step, inputs, self._targets(), train=train)
        proof = os.environ.get(_PROOF)
        if proof:
            Path(proof).write_bytes(msgspec.json.encode(run.processes[0]))
            return dict(run.processes[0])
        figures = dict(run.processes[0])
        findings = held(self._limits(figures), figures, Tier.EXACT)
        findings += self._predicted(recording, figures)
        findings += self._measured(step, inputs, figures, train=train)
        result = self._baseline(run)
        findings += result.findings if result is not None else ()
        moved = [words.moved(one) for one in result.operators] if result is not None else []
        self._fail(findings, moved or _largest(run))
        return figures

    def _targets(self) -> tuple[str, ...]:
        named = [kwargs.get("target") for name, _, kwargs in self.marks if name == "limit_spills"]
        return tuple(dict.fromkeys(target for target in named if target))

    def _limits(self, figures: dict[str, float]) -> dict[str, float]:
        """The limits of counted figures; that of a family holds for the highest of its members."""
        limits = {}
        for name, args, kwargs in self.marks:
            metric = _LIMITS.get(name)
            if metric is None:
                continue
            if metric == "spills":
                end = f"@{kwargs.get('target', '')}"
                own = {k: v for k, v in figures.items() if k.startswith("spills.") and end in k}
                metric = max(own, key=lambda one: own[one]) if own else metric
            limits[metric] = limit_of(metric, _first(name, args, kwargs))
        return limits

    def _predicted(self, recording: Recording, figures: dict[str, float]) -> Iterator[Finding]:
        for name, args, kwargs in self.marks:
            if name == "min_predicted_mfu":
                from goodput.commands.counted import roofs_of
                from goodput.gates.prediction import predicted

                if "device" not in kwargs:
                    told = f'the mark {name} needs a device, as device="NVIDIA H200"'
                    pytest.fail(told, pytrace=False)
                capacity = roofs_of([kwargs["device"]])[0]
                found = dict(predicted(recording, capacity).values)
                figures |= found
                limit = limit_of("predicted_mfu", _first(name, args, kwargs))
                yield from held({"predicted_mfu": limit}, found, Tier.MODELLED)

    def _measured(
        self,
        step: Callable[..., Any],
        inputs: tuple[Any, ...],
        figures: dict[str, float],
        *,
        train: bool | None,
    ) -> Iterator[Finding]:
        wanted = [mark for mark in self.marks if mark[0] in _LEAST]
        if not wanted:
            return
        from goodput.commands.timed_runs import is_called, mode_of, values_of
        from goodput.commands.timing import timed_call

        timed = timed_call(step, inputs, train, anchor="compute", mode=mode_of(figures))
        found = values_of(timed, figures)
        figures |= found
        for name, args, kwargs in wanted:
            device = kwargs.get("device")
            if device and not is_called(timed.device, device):
                pytest.skip(f"{name} is for {device}, and this is {timed.device.name}")
            limit = limit_of(_LEAST[name], _first(name, args, kwargs))
            yield from held({_LEAST[name]: limit}, found, Tier.MEASURED)

    def _baseline(self, run: CaseRun) -> CaseResult | None:
        """What became of the figures since the baseline, which is written where that was asked."""
        path = baselines.path_of(self._folder(), re.sub(r"\W+", "-", self.name), Tier.EXACT)
        old = baselines.read(path)
        if self.update:
            proved = replace(run, processes=(*run.processes, *self._proofs()))
            baselines.write(path, blessed(proved, old, "pytest --goodput-update"))
            return None
        return judged(run, old, {}) if old is not None else None

    def _folder(self) -> Path:
        try:
            return declarations.found_from(self.root).baselines
        except GoodputError:
            return self.root / ".goodput" / "baselines"

    def _proofs(self) -> Iterator[dict[str, float]]:
        """What fresh processes of this very test count."""
        for number in range(1, PROOFS):
            place = self.root / f".goodput-proof-{os.getpid()}-{number}"
            command = [sys.executable, "-m", "pytest", "-q", "-p", "goodput.pytest_plugin"]
            environment = {**os.environ, _PROOF: str(place), "PYTHONHASHSEED": str(number)}
            subprocess.run(
                [*command, self.name],
                cwd=self.root,
                env=environment,
                capture_output=True,
                check=False,
                timeout=_SECONDS,
            )
            try:
                yield msgspec.json.decode(place.read_bytes(), type=dict[str, float])
            except OSError:
                pytest.fail(f"goodput: a fresh process of {self.name} counted nothing")
            finally:
                place.unlink(missing_ok=True)

    def _fail(self, findings: Sequence[Finding], operators: Sequence[str]) -> None:
        """Fails the test for what is broken; a limit that could not be held fails it too.

        `operators` say where to look first.
        """
        broken = [
            one.sentence
            for one in findings
            if one.verdict is Verdict.REGRESSED
            or (one.verdict is Verdict.INCOMPARABLE and one.limit is not None)
        ]
        if broken:
            lines = [*broken, *(f"  {one}" for one in operators)]
            told = "\n".join(f"  {line}" for line in lines)
            pytest.fail(
                f"goodput:\n{told}\n  --goodput-update writes a new baseline", pytrace=False
            )


def _largest(run: CaseRun) -> list[str]:
    """The operators that need the most FLOPs, or calls where none needs any."""
    figures = run.operators
    most = sorted(
        figures, key=lambda n: (figures[n].executed_flops, figures[n].calls), reverse=True
    )
    return [_needs(name, figures[name]) for name in most[:_NAMED]]


def _needs(name: str, figures: OperatorFigures) -> str:
    calls = f"{figures.calls} call{'s' * (figures.calls != 1)}"
    return f"{name}: {si(figures.executed_flops, 'FLOP')} in {calls}"


def _first(name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> object:
    if args or "limit" in kwargs:
        return args[0] if args else kwargs["limit"]
    pytest.fail(f"the mark {name} needs a limit", pytrace=False)


def _counted(
    name: str,
    step: Callable[..., Any],
    inputs: tuple[Any, ...],
    targets: tuple[str, ...],
    *,
    train: bool | None,
) -> tuple[CaseRun, Recording]:
    from goodput.commands.observing import Watch
    from goodput.recording.counting import of_call

    watch = Watch()
    recording = of_call(step, inputs, train=train)
    seen = watch.observation(recording, lambda: (step, inputs), targets, train)
    run = CaseRun(
        name,
        Tier.EXACT,
        {"program": name},
        (seen.values,),
        seen.operators,
        seen.toolchain,
        seen.method,
        places=seen.places,
        notes=seen.notes,
        reproduce=f"pytest {name}",
    )
    return run, recording
