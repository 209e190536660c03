"""How fast a JAX profile of 1.5 million events becomes a trace, and a finished report, on one core.

    python benchmarks/xspace.py [PROFILE.xplane.pb] [--events N]

Repeats a real profile (later in time, under other numbers of launches and runs) to the wanted size.
Without one it records a few steps of a scanned training step here, on the CPU. Prints the seconds
of the wall and of the processor and the peak of resident memory; the goal is held against the
processor's seconds of the reader: what it takes where nothing else wants the core.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from goodput.readers.xspace import message_classes, read_space

REPOSITORY = Path(__file__).resolve().parent.parent
MOST_SECONDS = 6.0
EVENTS = 1_500_000
KILOBYTE_OF_RUSAGE, MEGABYTE = 2**10, 10**6
RENUMBERED = ("correlation_id", "run_id", "step_num")
"""Stats whose numbers tell launches, runs and steps apart."""
READ = "import sys; from pathlib import Path; from goodput.readers import xplane; t = xplane.read"


def recorded(folder: Path) -> Path:
    """Record a few steps of a scanned training step, and return the profile."""
    import jax
    import jax.numpy as jnp

    def loss(weights: jax.Array, x: jax.Array) -> jax.Array:
        layer = jax.checkpoint(lambda h, w: (jnp.tanh(h @ w), None))
        return jnp.square(jax.lax.scan(layer, x, weights)[0]).mean()

    step = jax.jit(lambda weights, x: weights - 0.1 * jax.grad(loss)(weights, x))
    weights, x = jnp.ones((32, 64, 64)) / 64, jnp.ones((16, 64))
    step(weights, x).block_until_ready()
    options = jax.profiler.ProfileOptions()
    options.python_tracer_level = 0
    with jax.profiler.trace(str(folder), profiler_options=options):
        for number in range(20):
            with jax.profiler.StepTraceAnnotation("train", step_num=number):
                weights = step(weights, x).block_until_ready()
    return next(folder.rglob("*.xplane.pb"))


def write_repeated(profile: Path, target: Path, events: int) -> int:
    """Write `profile` often enough to hold so many events; return how many it holds."""
    space = read_space(profile)
    lines = [(plane, line) for plane in space.planes for line in plane.lines]
    once = sum(len(line.events) for _, line in lines)
    span = max(ends(line) for _, line in lines) - min(begins(line) for _, line in lines)
    kinds = {id(plane): renumbered(plane) for plane in space.planes}
    for plane, line in lines:
        repeat_line(line, -(-events // once), round(span), kinds[id(plane)])
    target.write_bytes(space.SerializeToString())
    return sum(len(line.events) for _, line in lines)


def events_of(line: Any) -> list[Any]:
    event = message_classes()["XEvent"]
    return [event.FromString(content) for content in line.events]


def begins(line: Any) -> float:
    return line.timestamp_ns * 1000 + min((e.offset_ps for e in events_of(line)), default=0)


def ends(line: Any) -> float:
    last = max((e.offset_ps + e.duration_ps for e in events_of(line)), default=0)
    return line.timestamp_ns * 1000 + last


def renumbered(plane: Any) -> set[int]:
    return {entry.key for entry in plane.stat_metadata if entry.value.name in RENUMBERED}


def repeat_line(line: Any, times: int, span: int, kinds: set[int]) -> None:
    """Append the events of a line again, so often that they stand there `times` times."""
    once = events_of(line)
    stat = message_classes()["XStat"]
    decoded = [[stat.FromString(content) for content in event.stats] for event in once]
    for repeat in range(1, times):
        for event, stats in zip(once, decoded, strict=True):
            later = type(event)(
                metadata_id=event.metadata_id,
                offset_ps=event.offset_ps + repeat * span,
                duration_ps=event.duration_ps,
                stats=shifted(event.stats, stats, repeat, kinds),
            )
            line.events.append(later.SerializeToString())


def shifted(contents: Any, stats: list[Any], repeat: int, kinds: set[int]) -> Iterator[bytes]:
    """Yield an event's stats, with other numbers where they tell events apart."""
    for content, stat in zip(contents, stats, strict=True):
        kind = stat.WhichOneof("value")
        if stat.metadata_id not in kinds or kind not in ("int64_value", "uint64_value"):
            yield content
            continue
        other = type(stat)(metadata_id=stat.metadata_id)
        setattr(other, kind, getattr(stat, kind) + repeat * (1 << 24))
        yield other.SerializeToString()


def measured(what: str, command: list[str], events: int) -> float:
    """Print what `command` takes, its start included; return the processor's seconds."""
    environment = {**os.environ, "PYTHONPATH": f"{REPOSITORY}/profiler:{REPOSITORY}/kernels"}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    seconds = time.perf_counter() - began
    if done.returncode:
        raise SystemExit(f"{what} failed with status {done.returncode}: {done.stderr[-500:]}")
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = usage.ru_utime + usage.ru_stime - before.ru_utime - before.ru_stime
    print(
        f"{what:<13} {seconds:6.2f} s wall {processor:6.2f} s processor "
        f"{events / processor / 1000:6.0f} thousand events/s "
        f"{usage.ru_maxrss * KILOBYTE_OF_RUSAGE / MEGABYTE:6.0f} MB peak of both so far"
    )
    return processor


def main() -> None:
    """Print the figures, and fail where the goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("profile", type=Path, nargs="?", help="without it one is recorded here")
    parser.add_argument("--events", type=int, default=EVENTS)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        profile = options.profile or recorded(folder / "recorded")
        target = folder / "repeated.xplane.pb"
        events = write_repeated(profile, target, options.events)
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
        size = target.stat().st_size / MEGABYTE
        print(f"{profile.name}: {events:,} events, {size:.0f} MB, one core")
        read = [sys.executable, "-c", f"{READ}(Path(sys.argv[1])); assert t.steps", str(target)]
        seconds = measured("reader", read, events)
        show = [sys.executable, "-m", "goodput", "show", str(target), "--json", f"{folder}/r.json"]
        measured("goodput show", show, events)
    kept = seconds <= MOST_SECONDS * max(events / EVENTS, 1)
    print(f"{'ok' if kept else 'MISSED'}: {seconds:.2f} s, at most {MOST_SECONDS:.0f} s")
    sys.exit(not kept)


if __name__ == "__main__":
    main()
