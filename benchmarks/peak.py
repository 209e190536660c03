"""Whether `goodput peak` finds the roof: beside every backend measured by hand in the same run.

On a CPU: the float32 and bfloat16 roofs against the best of NumPy, torch.mm, oneDNN and XLA in
plain loops at several sizes, before and after; repeat runs against their stated spread; the status
while another process burns a core. On a CUDA device also: figures against those promised for an
H200, and the bfloat16 roof against a fixed 8192-cube and a search over random shapes.

Usage: python benchmarks/peak.py [--level quick|standard] [--repeats N] [-o FILE]
"""

import argparse
import json
import math
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from tabulate import tabulate

from goodput.capacity import peaks_file
from goodput.capacity.measurement import Measurement, Peaks

EDGES = (256, 384, 512, 768, 1024, 1536, 2048)
MODES = ("float32", "bfloat16")
ALONE = ("NumPy matmul", "torch.mm")
"""What one would take for the roof without looking further."""
WITHIN = 0.05
LOOP_SECONDS = 0.4
LONGEST_CALL = 0.5
"""A backend that takes longer than this for one product is not tried at larger ones."""
BURN = "while True: pass"

H200 = "NVIDIA H200"
CUBE = 8192
RANDOM_SHAPES = 60
TRAIN_SECONDS = 0.2
PROMISED = {
    "bfloat16 burst": (850e12, math.inf),
    "seconds for it": (0.0, 30.0),
    "float8_e4m3 burst": (1.45e15, math.inf),
    "copy, main memory": (4.0e12, math.inf),
    "read, main memory": (4.4e12, math.inf),
    "zeros over random data": (1.08, 1.16),
    "shortest launch, seconds": (1e-6, 4e-6),
}


@dataclass
class Verdicts:
    """What held and what did not, and the numbers behind it."""

    rows: list[tuple[str, str, str, str]] = field(default_factory=list)
    missed: bool = False

    def add(self, what: str, found: str, wanted: str, held: bool | None = None) -> None:
        """One more; `held` is None where nothing was promised."""
        word = {None: "-", True: "ok", False: "MISSED"}[held]
        self.rows.append((what, found, wanted, word))
        self.missed |= held is False


# --- by hand --------------------------------------------------------------------------------------


def best_rate(call: Callable[[], object], flops: int) -> tuple[float, float]:
    """FLOP/s of the fastest call in a plain loop, and its seconds."""
    call()
    seconds, begin = [], time.perf_counter()
    while not seconds or time.perf_counter() - begin < LOOP_SECONDS:
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return flops / min(seconds), min(seconds)


def backends(mode: str, edge: int) -> Iterator[tuple[str, Callable[[], object]]]:
    """Each library's product of two random squares."""
    dtype = getattr(torch, mode)
    left, right = torch.randn(2, edge, edge).to(dtype)
    if mode == "float32":
        a, b, out = left.numpy(), right.numpy(), np.empty((edge, edge), np.float32)
        yield "NumPy matmul", lambda: np.matmul(a, b, out=out)
    result = torch.empty_like(left)
    yield "torch.mm", lambda: torch.mm(left, right, out=result)
    try:
        packed = torch.ops.mkldnn._reorder_linear_weight(right, edge)
    except RuntimeError:  # this CPU cannot
        pass
    else:
        linear = torch.ops.mkldnn._linear_pointwise
        yield "oneDNN linear", lambda: linear(left, packed, None, "none", [], "")
    try:
        import jax
        import jax.numpy as jnp
    except ImportError:
        return
    x, y = (jnp.asarray(t.float().numpy()).astype(mode) for t in (left, right))
    dot = jax.jit(jnp.dot)
    yield "XLA jnp.dot", lambda: dot(x, y).block_until_ready()


def by_hand(best: dict[tuple[str, str], tuple[float, int]]) -> None:
    """Raise the best rate and its edge of each mode and backend."""
    too_slow = set()
    with torch.no_grad():
        for edge in EDGES:
            for mode in MODES:
                for name, call in backends(mode, edge):
                    if (mode, name) in too_slow:
                        continue
                    rate, seconds = best_rate(call, 2 * edge**3)
                    best[mode, name] = max(best.get((mode, name), (0.0, 0)), (rate, edge))
                    if seconds > LONGEST_CALL:
                        too_slow.add((mode, name))


# --- by goodput -----------------------------------------------------------------------------------


def peaks(level: str, folder: Path, *modes: str) -> Peaks:
    """What `goodput peak` finds with an empty cache."""
    with tempfile.TemporaryDirectory(dir=folder) as cache:
        file = Path(cache) / "peaks.json"
        dtypes = [word for mode in modes for word in ("--dtype", mode)]
        subprocess.run(
            [sys.executable, "-m", "goodput", "peak", f"--{level}", *dtypes, "--json", str(file)],
            env={**os.environ, "GOODPUT_CACHE": cache},
            stdout=subprocess.DEVNULL,
            check=True,
        )
        return peaks_file.load(file)


def figure(found: Peaks, unit: str, subject: str, regime: str = "burst") -> Measurement | None:
    """The figure with the largest footprint."""
    own = [m for m in found.measurements if (m.unit, m.subject) == (unit, subject) and m.rate]
    own = [m for m in own if m.regime == regime]
    return max(own, key=lambda m: m.size, default=None)


def rate_of(one: Measurement | None) -> float:
    """Its rate; NaN without one, which no promise is kept by."""
    return one.rate if one is not None and one.rate is not None else math.nan


def compare_cpu(level: str, repeats: int, folder: Path, verdicts: Verdicts) -> None:
    """Roofs against the best by hand, and repeat runs against each other."""
    best: dict[tuple[str, str], tuple[float, int]] = {}
    by_hand(best)
    runs = [peaks(level, folder, *MODES) for _ in range(repeats)]
    by_hand(best)
    rows = []
    for mode in MODES:
        roofs = [figure(run, "matmul", mode) for run in runs]
        first = rate_of(roofs[0])
        hand = {name: found for (own, name), found in best.items() if own == mode}
        for name, (rate, edge) in hand.items():
            rows.append((mode, name, f"{edge}", f"{rate / 1e9:.1f}", f"{first / rate:.2f}"))
        for number, one in enumerate(roofs, 1):
            kernel = f"{one.kernel}, {one.status}, spread {one.spread:.3f}" if one else "none"
            rows.append((mode, f"goodput run {number}", kernel, f"{rate_of(one) / 1e9:.1f}", ""))
        highest = max(rate for rate, _ in hand.values())
        verdicts.add(
            f"{mode} roof / best by hand",
            f"{first / highest:.3f}",
            f"at least {1 - WITHIN}",
            first >= (1 - WITHIN) * highest,
        )
        for name in ALONE:
            if name in hand:
                verdicts.add(f"{mode} roof / {name} alone", f"{first / hand[name][0]:.3f}", "")
        judge_repeats(mode, roofs, verdicts)
    print(tabulate(rows, ("mode", "backend", "edge or kernel", "GFLOP/s", "goodput / it")), "\n")


def judge_repeats(mode: str, roofs: list[Measurement | None], verdicts: Verdicts) -> None:
    """Two runs may differ by what both say that their figure varies by."""
    rates = [rate_of(one) for one in roofs]
    allowed = 2 * max((one.spread for one in roofs if one), default=0.0)
    differ = max(rates) / min(rates) - 1
    verdicts.add(
        f"{mode}, {len(roofs)} runs differ by",
        f"{differ:.3f}",
        f"at most {allowed:.3f}",
        differ <= allowed,
    )


def compare_contended(folder: Path, verdicts: Verdicts) -> None:
    """The status while another process burns one core."""
    burner = subprocess.Popen([sys.executable, "-c", BURN])
    try:
        found = peaks("quick", folder, "float32")
    finally:
        burner.kill()
        burner.wait()
    one = figure(found, "matmul", "float32")
    status = one.status if one else "none"
    verdicts.add("float32 with a burnt core", status, "contended", status == "contended")


# --- on a CUDA device -----------------------------------------------------------------------------


def cuda_rate(m: int, n: int, k: int) -> float:
    """FLOP/s of torch.mm in bfloat16, by events around a train."""
    left, right = (torch.randn(*s, device="cuda", dtype=torch.bfloat16) for s in ((m, k), (k, n)))
    result = torch.empty(m, n, device="cuda", dtype=torch.bfloat16)
    calls = max(3, round(TRAIN_SECONDS * 6e14 / (2 * m * n * k)))
    rates = []
    for _ in range(3):
        first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        first.record()
        for _ in range(calls):
            torch.mm(left, right, out=result)
        last.record()
        last.synchronize()
        rates.append(2 * m * n * k * calls / (first.elapsed_time(last) / 1e3))
    return max(rates[1:])


def compare_cuda(folder: Path, verdicts: Verdicts) -> None:
    """The figures against what was promised for an H200, and against plainer searches."""
    quick = peaks("quick", folder, "bfloat16")
    whole = peaks("standard", folder)
    floor = min(
        (1 / m.rate for m in whole.measurements if m.unit == "latency" and m.rate),
        default=math.nan,
    )
    found = {
        "bfloat16 burst": rate_of(figure(whole, "matmul", "bfloat16")),
        "seconds for it": quick.seconds,
        "float8_e4m3 burst": rate_of(figure(whole, "matmul", "float8_e4m3")),
        "copy, main memory": rate_of(figure(whole, "memory", "copy")),
        "read, main memory": rate_of(figure(whole, "memory", "read")),
        "zeros over random data": whole.zeros_ratio.get("bfloat16", math.nan),
        "shortest launch, seconds": floor,
    }
    for what, (least, most) in PROMISED.items():
        held = least <= found[what] <= most if whole.device.name == H200 else None
        verdicts.add(what, f"{found[what]:.4g}", f"{least:.4g} to {most:.4g} on {H200}", held)
    draw = random.Random(0)  # noqa: S311  # shapes, no secrets
    sides = [tuple(256 * draw.randint(4, 64) for _ in range(3)) for _ in range(RANDOM_SHAPES)]
    roof = rate_of(figure(quick, "matmul", "bfloat16"))
    for name, rate in {
        f"{CUBE}-cube": cuda_rate(CUBE, CUBE, CUBE),
        f"best of {RANDOM_SHAPES} random shapes": max(cuda_rate(*shape) for shape in sides),
    }.items():
        text = f"{rate / 1e12:.0f} TFLOP/s, ratio {roof / rate:.3f}"
        verdicts.add(f"bfloat16 roof / {name}", text, f"at least {1 - WITHIN}", roof > 0.95 * rate)


# --- all of it ------------------------------------------------------------------------------------


def main() -> None:
    """Compare everything that this machine has; fail where a promise is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--level", choices=("quick", "standard"), default="quick")
    parser.add_argument("--repeats", type=int, default=3, help="runs of goodput peak")
    parser.add_argument("-o", "--output", type=Path, help="keep the verdicts as JSON")
    args = parser.parse_args()
    if "PYTHONPATH" in os.environ:
        given = os.environ["PYTHONPATH"].split(os.pathsep)
        os.environ["PYTHONPATH"] = os.pathsep.join(map(os.path.abspath, given))
    verdicts = Verdicts()
    load = os.getloadavg()[0]
    print(f"load before: {load:.1f} on {os.cpu_count()} cores", "\n")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        if torch.cuda.is_available():
            compare_cuda(folder, verdicts)
        else:
            compare_cpu(args.level, args.repeats, folder, verdicts)
            compare_contended(folder, verdicts)
        name = peaks("quick", folder, "float32").device.name if args.output else ""
    print(tabulate(verdicts.rows, ("what", "found", "wanted", "")))
    if args.output:
        kept = {"device": name, "torch": torch.__version__, "load": load, "verdicts": verdicts.rows}
        args.output.write_text(json.dumps(kept, indent=1))
    sys.exit(verdicts.missed)


if __name__ == "__main__":
    main()
