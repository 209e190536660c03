"""A job's account as OpenMetrics text, e.g. for the textfile collector of a node exporter."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from goodput.events.account import JobAccount
from goodput.renderers.job import losses

_NS = 1e-9


def openmetrics(jobs: Sequence[JobAccount]) -> str:
    """The gauges of all jobs; a ratio that is not known has no line, and is never 0."""
    lines: list[str] = []
    for name, unit, help_text, samples in (
        ("goodput_job_layer_ratio", "ratio", "Goodput of a layer of the job.", _layers),
        ("goodput_job_ratio", "ratio", "Product of the layers that are known.", _products),
        ("goodput_job_rolling_ratio", "ratio", "The same of the job's last seconds.", _rolling),
        (
            "goodput_job_lost_device_seconds",
            "seconds",
            "Device time that did not become training that was kept, by bucket.",
            _lost,
        ),
        ("goodput_job_device_seconds", "seconds", "Device time that was paid for.", _paid),
        ("goodput_job_steps", "", "Steps of the job, by what became of them.", _steps),
    ):
        lines.append(f"# TYPE {name} gauge")
        if unit:
            lines.append(f"# UNIT {name} {unit}")
        lines.append(f"# HELP {name} {help_text}")
        lines += [f"{name}{{{_labels(labels)}}} {value!r}" for labels, value in _all(samples, jobs)]
    return "\n".join([*lines, "# EOF"]) + "\n"


_Sample = tuple[dict[str, str], float]


def _all(samples: object, jobs: Sequence[JobAccount]) -> Iterator[_Sample]:
    for job in jobs:
        assert callable(samples)  # noqa: S101 - one of the functions below
        yield from samples(job)


def _layers(job: JobAccount) -> Iterator[_Sample]:
    for layer in ("infrastructure", "framework", "program"):
        value = getattr(job.total, layer)
        if value is not None:
            yield {"job": job.job, "layer": layer}, value


def _products(job: JobAccount) -> Iterator[_Sample]:
    if job.total.goodput is not None:
        yield {"job": job.job, "layers": str(job.layers_known)}, job.total.goodput


def _rolling(job: JobAccount) -> Iterator[_Sample]:
    for each in job.rolling:
        if each.goodput is not None:
            lasted = f"{(each.end_ns - each.start_ns) * _NS:.10g}"
            yield {"job": job.job, "seconds": lasted, "layers": str(job.layers_known)}, each.goodput


def _lost(job: JobAccount) -> Iterator[_Sample]:
    for bucket, time in losses(job.total):
        yield {"job": job.job, "layer": bucket.layer, "bucket": bucket.name}, time * _NS


def _paid(job: JobAccount) -> Iterator[_Sample]:
    yield {"job": job.job}, job.total.device_ns * _NS


def _steps(job: JobAccount) -> Iterator[_Sample]:
    steps = job.total.steps
    for fate in ("kept", "lost", "unsaved", "unfinished"):
        yield {"job": job.job, "fate": fate}, getattr(steps, fate)


def _labels(labels: dict[str, str]) -> str:
    return ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items())


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
