"""What accounting for a week of training costs, beside ml-goodput-measurement on the same job.

    python benchmarks/ledger.py [--events 10000000] [--theirs PYTHON]

Writes a ledger of many events (a run with failures, saves and restarts, whose truth is known), and
accounts for it in a process of its own on one core: seconds, and the most memory it took. Then the
same job at a tenth of a percent of the steps goes to ml-goodput-measurement's calculator, which
needs Google Cloud: a list in memory stands in for its logging service. Both are then asked about
the same job with every step twice as long. It hears of checkpoints through Orbax's own logs only,
so it is told none. `--theirs` names the Python that has it; without it that
half is left out and says so.

Also prints what an event costs the thread that trains. `--week FILE` writes the ledger of a week on
64 devices with random failures instead, for `goodput job`.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(REPOSITORY / "profiler"), str(REPOSITORY / "kernels")]

SECOND = 1_000_000_000
STEP = 2 * SECOND
WAIT = STEP // 50
SAVE, LOAD, START, DOWN = 30 * SECOND, 20 * SECOND, 60 * SECOND, 240 * SECOND
SAVE_EVERY, FAIL_EVERY = 500, 20_300
"""Steps between two saves, and between two failures: the last 300 of each life are lost."""

THEIRS = """
import datetime, json, statistics, sys, time, types

# The stand-in: what it imports of Google Cloud, none of which accounting for a list needs.
class Nothing(types.ModuleType):
    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (Exception,), {})

for name in ("google", "google.cloud", "google.cloud.logging", "google.cloud.storage",
             "google.cloud.monitoring_v3", "google.api_core", "google.api_core.exceptions",
             "tensorboardX", "tensorboardX.writer"):
    module = sys.modules[name] = Nothing(name)
    module.__path__ = []
    parent, _, own = name.rpartition(".")
    if parent:
        setattr(sys.modules[parent], own, module)

from ml_goodput_measurement.src import goodput

class Log:
    def __init__(self, entries):
        self.entries = entries
    def read_cloud_logging_entries(self, *_start, **_more):
        return self.entries, None

UTC = datetime.timezone.utc
for path in sys.argv[1:]:
    entries = []
    for line in open(path):
        entry = json.loads(line)
        entries.append(entry)
    began = time.perf_counter()
    calculator = goodput.GoodputCalculator("job", "log", Log(entries))
    share, badput, last = calculator.get_job_goodput(include_badput_breakdown=True)[:3]
    took = time.perf_counter() - began
    kinds = {getattr(kind, "name", str(kind)): value for kind, value in badput.items()
             if not isinstance(value, dict)}
    print(json.dumps({"entries": len(entries), "seconds": took, "goodput": share,
                      "badput": kinds, "sum": share + sum(kinds.values())}))
"""


def write_job(
    path: Path, steps: int, slower: int = 1, theirs: Path | None = None
) -> dict[str, int]:
    """A ledger of `steps` kept steps, and its truth; the same job for ml-goodput-measurement."""
    truth = {"kept steps": 0, "data_wait": 0, "checkpoint_save": 0, "checkpoint_load": 0}
    truth |= {"initialisation": 0, "restart": 0, "lost steps": 0, "events": 0}
    other = None if theirs is None else theirs.open("w")
    now, number = 1_700_000_000 * SECOND, 0
    length = STEP * slower

    def cloud(kind: str, moment: int, **more: object) -> None:
        if other is not None:
            entry = {"job_name": "job", f"{kind}_time": moment / SECOND, **more}
            other.write(json.dumps(entry) + "\n")

    with path.open("w") as out:
        write = out.write
        while number < steps:
            write(f'{{"event":"open","schema":"goodput.ledger/1","time_ns":{now},"job":"job"}}\n')
            cloud("job_start", now)
            cloud("tpu_init_start", now)
            write(f'{{"event":"initialisation","start_ns":{now},"end_ns":{now + START}}}\n')
            truth["initialisation"] += START
            now += START
            cloud("tpu_init_end", now)
            if number:
                write(
                    f'{{"event":"checkpoint_load","start_ns":{now},"end_ns":{now + LOAD},'
                    f'"step":{number}}}\n'
                )
                truth["checkpoint_load"] += LOAD
                now += LOAD
            first = number
            last = min(first + FAIL_EVERY, steps)
            kept = last if last == steps else last - (last - first) % SAVE_EVERY
            truth["events"] += 3 + 2 * (last - first)
            for step in range(first + 1, last + 1):
                cloud("step_start", now, step_count=step)
                write(f'{{"event":"data_wait","start_ns":{now},"end_ns":{now + WAIT}}}\n')
                end = now + length
                write(
                    f'{{"event":"step","start_ns":{now},"end_ns":{end},"step":{step},'
                    f'"tokens":4096}}\n'
                )
                truth["kept steps" if step <= kept else "lost steps"] += length - WAIT
                now = end
                if (step - first) % SAVE_EVERY == 0:
                    write(
                        f'{{"event":"checkpoint_save","start_ns":{now},"end_ns":{now + SAVE},'
                        f'"step":{step}}}\n'
                    )
                    truth["checkpoint_save"] += SAVE
                    truth["events"] += 1
                    now += SAVE
            truth["data_wait"] += WAIT * (last - first)
            number = kept
            if number < steps:
                write(f'{{"event":"failure","time_ns":{now},"cause":"lost machine"}}\n')
                truth["restart"] += DOWN
                now += DOWN
        write(f'{{"event":"job_end","time_ns":{now},"clean":true}}\n')
        cloud("job_end", now)
    if other is not None:
        other.close()
    return truth


def write_week(path: Path, seed: int = 8) -> None:  # noqa: C901 - a week, as it passes
    """A week on 64 devices: failures at random, a queue before, an evaluation a day."""
    dice = random.Random(seed)  # noqa: S311 - the same week each time
    end, step, length = 7 * 24 * 3600.0, 0, 12.0
    causes = ("GPU fell off the bus", "NVLink error", "NCCL timeout", "host lost", "disk full")
    start = now = 1_767_225_600.0
    saved, evaluated = 0, 0

    def ns(seconds: float) -> int:
        return round(seconds * SECOND)

    with path.open("w") as out:

        def say(event: str, **keys: object) -> None:
            out.write(json.dumps({"event": event, **keys}) + "\n")

        def span(event: str, seconds: float, **keys: object) -> None:
            nonlocal now
            say(event, start_ns=ns(now), end_ns=ns(now + seconds), **keys)
            now += seconds

        span("queue", 5400)
        while now - start < end:
            fails = now + dice.expovariate(1 / (11 * 3600.0))
            say("open", schema="goodput.ledger/1", time_ns=ns(now), job="week", devices=64)
            span("initialisation", dice.uniform(120, 240))
            if step:
                span("checkpoint_load", dice.uniform(40, 90), step=saved)
                step = saved
            span("compile", dice.uniform(60, 100))
            while now < fails and now - start < end:
                step += 1
                if dice.random() < 0.02:
                    span("data_wait", dice.uniform(0.5, 20))
                span("step", length * dice.uniform(0.98, 1.06), step=step, tokens=4_194_304)
                if step % 150 == 0:
                    span("checkpoint_save", dice.uniform(20, 35), step=step)
                    saved = step
                if now - start > 86_400 * (evaluated + 1):
                    evaluated += 1
                    span("evaluation", 600)
            if now - start < end:
                say("failure", time_ns=ns(now), cause=dice.choice(causes))
                now += dice.choice((300, 420, 900, 3600))
        say("job_end", time_ns=ns(now), clean=True)


def account(path: Path) -> None:
    """In a process of its own: accounts for `path`, and prints what that took."""
    from goodput.events.account import Ideal
    from goodput.ledger.accounts import account_of
    from goodput.ledger.jobs import jobs_of
    from goodput.ledger.read import read

    began, cpu = time.perf_counter(), time.process_time()
    (job,) = jobs_of(read(path))
    found = account_of(job, Ideal(STEP - WAIT, None, "the step of the first job"))
    took, cpu = time.perf_counter() - began, time.process_time() - cpu
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    total = found.total
    figures = {"seconds": took, "cpu": cpu, "kilobytes": most, "goodput": total.goodput}
    figures["two"] = total.kept_ns / total.device_ns
    print(json.dumps(figures | {"buckets": found.total.buckets, "ns": found.total.device_ns}))


def ours(path: Path) -> dict[str, object]:
    command = [sys.executable, __file__, "--account", str(path)]
    run = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(run.stdout)


def check(found: dict[str, object], truth: dict[str, int]) -> None:
    """The account is the truth, to the nanosecond, and sums to the window."""
    expected = {name: time for name, time in truth.items() if time and name != "events"}
    assert found["buckets"] == expected, (found["buckets"], expected)
    assert sum(expected.values()) == found["ns"]


def large(folder: Path, events: int) -> None:
    path = folder / "large.jsonl"
    truth = write_job(path, events // 2)
    found = ours(path)
    check(found, truth)
    print(
        f"{truth['events']:,} events ({path.stat().st_size / 1e6:,.0f} MB): "
        f"{found['seconds']:.1f} s ({found['cpu']:.1f} s of CPU), "
        f"{found['kilobytes'] / 1e3:,.0f} MB at most, "
        f"goodput {100 * found['goodput']:.2f} %, exact to the nanosecond"
    )
    path.unlink()


def side_by_side(folder: Path, python: str | None) -> None:
    paths = []
    print("\nthe same job for both, and with every step twice as long:")
    for slower in (1, 2):
        path, cloud = folder / f"x{slower}.jsonl", folder / f"cloud{slower}.jsonl"
        truth = write_job(path, 50_000, slower, cloud)
        found = ours(path)
        check(found, truth)
        paths.append(str(cloud))
        print(
            f"  goodput, steps x{slower}: {found['seconds']:.2f} s ({found['cpu']:.2f} s of CPU), "
            f"two layers {100 * found['two']:.2f} %, three layers (ideal step "
            f"{(STEP - WAIT) / SECOND} s) {100 * found['goodput']:.2f} %"
        )
    if python is None:
        print("  ml-goodput-measurement: not run; --theirs names a Python that has it")
        return
    script = folder / "theirs.py"
    script.write_text(THEIRS)
    run = subprocess.run([python, str(script), *paths], check=False, capture_output=True, text=True)
    if run.returncode:
        print(run.stderr[-2000:])
        return
    for slower, line in zip((1, 2), run.stdout.splitlines()[-2:], strict=True):
        found = json.loads(line)
        badput = found["badput"].items()
        named = ", ".join(f"{name} {value:.2f}" for name, value in badput if value)
        print(
            f"  ml-goodput-measurement, steps x{slower}: {found['seconds']:.2f} s for "
            f"{found['entries']:,} entries, {found['goodput']:.2f} % ({named}; sum "
            f"{found['sum']:.2f})"
        )


def event_cost(folder: Path) -> None:
    import goodput

    count = 100_000
    ledger = goodput.Ledger(folder / "cost.jsonl")
    began, cpu = time.perf_counter(), time.thread_time()
    for number in range(count):
        with ledger.step(number, tokens=4096):
            pass
    took, cpu = time.perf_counter() - began, time.thread_time() - cpu
    ledger.close()
    print(
        f"\nan event costs the training thread {1e6 * took / count:.2f} us "
        f"({1e6 * cpu / count:.2f} us of CPU), of 20 us allowed"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=10_000_000)
    parser.add_argument("--theirs", metavar="PYTHON")
    parser.add_argument("--week", type=Path, metavar="FILE")
    parser.add_argument("--account", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.week is not None:
        write_week(options.week)
        return
    if options.account is not None:
        account(options.account)
        return
    with tempfile.TemporaryDirectory() as name:
        large(Path(name), options.events)
        side_by_side(Path(name), options.theirs)
        event_cost(Path(name))


if __name__ == "__main__":
    main()
