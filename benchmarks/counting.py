"""What counters of FLOPs say and what they take: goodput beside eight others, on the same models.

Each counts the forward pass of each model in a process of its own; the figure is the ratio of what
it says to the truth (derived by hand, every attention pair counted, as the others do), and its time
(the best of some, and the first, which pays for imports). The others live in an environment made
for this run; those that cannot be installed are skipped, and those that fail on a model say why.
JAX programs are counted beside XLA's own cost analysis and jax.experimental.roofline.
The times are of unlike work: the others run the model, goodput works its shapes out, makes a whole
report, and knows equal calls from the count before; the first time knows nothing.

Usage: python benchmarks/counting.py [--rounds N] [--only MODEL]
"""

import argparse
import inspect
import json
import os
import subprocess
import sys
import tempfile
import time
import venv
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from models.jax_counted import MODELS as JAX_MODELS
from tabulate import tabulate

PEERS = {
    "fvcore": ["fvcore", "iopath", "yacs", "portalocker", "termcolor"],
    "DeepSpeed": ["deepspeed", "hjson", "py-cpuinfo", "psutil", "einops", "msgpack", "ninja"],
    "calflops": ["calflops", "accelerate", "psutil"],
    "ptflops": ["ptflops"],
    "thop": ["thop"],
    "roofline": ["absl-py"],
    "flax tabulate": [
        *("flax", "msgpack", "optax", "chex", "orbax-checkpoint", "etils", "treescope", "absl-py"),
        *("tensorstore", "toolz", "humanize", "simplejson", "nest-asyncio", "importlib-resources"),
        *("rich", "markdown-it-py", "mdurl", "pygments", "aiofiles", "psutil", "uvloop"),
    ],
}
"""What to install of each, without their own idea of which torch to bring."""

BATCH, TOKENS, WIDTH, HEADS, LAYERS = 2, 256, 256, 4, 8


# --- models and their truths ----------------------------------------------------------------------


def mlp() -> tuple[Any, tuple[Any, ...], int]:
    import torch
    from torch import nn

    model = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))
    return model, (torch.randn(32, 64),), 2 * 32 * (64 * 128 + 128 * 10)


def convolutions() -> tuple[Any, tuple[Any, ...], int]:
    """Return strided, depthwise, pointwise and transposed convolutions."""
    import torch
    from torch import nn

    model = nn.Sequential(
        nn.Conv2d(3, 32, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(32, 32, 3, padding=1, groups=32),
        nn.Conv2d(32, 64, 1),
        nn.ConvTranspose2d(64, 16, 2, stride=2),
    )
    places = 2 * 32 * 32
    taps = 32 * 3 * 9 + 32 * 9 + 64 * 32 + 64 * 16 * 4
    return model, (torch.randn(2, 3, 64, 64),), 2 * places * taps


def lstm() -> tuple[Any, tuple[Any, ...], int]:
    import torch
    from torch import nn

    gates = 4 * 48 * (32 + 48) + 4 * 48 * (48 + 48)
    return nn.LSTM(32, 48, 2, batch_first=True), (torch.randn(4, 10, 32),), 2 * 4 * 10 * gates


def language_model(kind: str, feed_forward: int, **fields: Any) -> tuple[Any, tuple[Any, ...], int]:
    """Return a Hugging Face model of `LAYERS` layers with `feed_forward` weights for a token."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    config = AutoConfig.for_model(
        kind,
        hidden_size=WIDTH,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        num_key_value_heads=2,
        vocab_size=1024,
        max_position_embeddings=512,
        use_cache=False,
        **fields,
    )
    projections = 2 * WIDTH * WIDTH + 2 * WIDTH * (WIDTH // 2)
    layer = 2 * BATCH * TOKENS * (projections + feed_forward)
    attention = 2 * 2 * BATCH * TOKENS * TOKENS * WIDTH
    truth = LAYERS * (layer + attention) + 2 * BATCH * TOKENS * WIDTH * 1024
    model = AutoModelForCausalLM.from_config(config).eval()
    return model, (torch.randint(0, 1024, (BATCH, TOKENS)),), truth


def llama() -> tuple[Any, tuple[Any, ...], int]:
    return language_model("llama", 3 * WIDTH * 1024, intermediate_size=1024)


def mixtral() -> tuple[Any, tuple[Any, ...], int]:
    feed_forward = 2 * 3 * WIDTH * 512 + WIDTH * 4
    experts = {"num_local_experts": 4, "num_experts_per_tok": 2}
    return language_model("mixtral", feed_forward, intermediate_size=512, **experts)


MODELS = {
    "mlp": mlp,
    "convolutions": convolutions,
    "lstm": lstm,
    "llama": llama,
    "mixtral": mixtral,
}
# --- the counters ---------------------------------------------------------------------------------


def with_goodput(model: Any, inputs: tuple[Any, ...]) -> float:
    import goodput

    counted = goodput.count(model, *inputs, convention="dense-attention").totals.useful_flops
    assert counted is not None
    return counted


def with_flop_counter_mode(model: Any, inputs: tuple[Any, ...]) -> float:
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as mode:
        model(*inputs)
    return mode.get_total_flops()


def with_fvcore(model: Any, inputs: tuple[Any, ...]) -> float:
    from fvcore.nn import FlopCountAnalysis

    analysis = FlopCountAnalysis(model, inputs)
    analysis.unsupported_ops_warnings(enabled=False).uncalled_modules_warnings(enabled=False)
    return 2 * analysis.total()


def with_deepspeed(model: Any, inputs: tuple[Any, ...]) -> float:
    from deepspeed.profiling.flops_profiler import FlopsProfiler

    profiler = FlopsProfiler(model)
    profiler.start_profile()
    model(*inputs)
    flops = float(profiler.get_total_flops())
    profiler.end_profile()
    return flops


def with_calflops(model: Any, inputs: tuple[Any, ...]) -> float:
    from calflops import calculate_flops

    flops, _, _ = calculate_flops(
        model, args=list(inputs), print_results=False, output_as_string=False
    )
    return float(flops)


def with_ptflops(model: Any, inputs: tuple[Any, ...]) -> float:
    from ptflops import get_model_complexity_info

    # By name: of inputs by position it tells the mean of a sample.
    name = next(iter(inspect.signature(model.forward).parameters))
    macs, _ = get_model_complexity_info(
        model,
        (1,),
        input_constructor=lambda _: {name: inputs[0]},
        print_per_layer_stat=False,
        as_strings=False,
        backend="pytorch",
    )
    return 2 * float(macs)


def with_thop(model: Any, inputs: tuple[Any, ...]) -> float:
    from thop import profile

    macs, _ = profile(model, inputs=inputs, verbose=False)
    return 2 * float(macs)


def with_cost_analysis(call: Any, inputs: tuple[Any, ...]) -> float:
    import jax

    found = jax.jit(call).lower(*inputs).cost_analysis()
    if found is None:
        raise RuntimeError("this backend has no cost analysis")
    return float(found["flops"])


def with_roofline(call: Any, inputs: tuple[Any, ...]) -> float:
    from jax.experimental import roofline

    _, result = roofline.roofline(call)(*inputs)
    return float(result.flops)


def with_flax(call: Any, inputs: tuple[Any, ...]) -> float:
    """Return what the table of a flax module that does nothing but `call` says: XLA's count."""
    import io
    import re

    import jax
    import jax.numpy as jnp
    from flax import linen

    class Whole(linen.Module):
        @linen.compact
        def __call__(self, *inputs: Any) -> Any:
            return call(*inputs)

    arrays = jax.tree.map(lambda shape: jnp.zeros(shape.shape, shape.dtype), inputs)
    table = Whole().tabulate(
        jax.random.key(0), *arrays, compute_flops=True, console_kwargs={"width": 400}
    )
    rows = [line for line in io.StringIO(table) if "Whole" in line]
    numbers = re.findall(r"\u2502\s*(\d+)\s*(?=\u2502)", rows[-1])
    return float(numbers[-1])


JAX_COUNTERS: dict[str, Callable[[Any, tuple[Any, ...]], float]] = {
    "goodput": with_goodput,
    "cost_analysis": with_cost_analysis,
    "roofline": with_roofline,
    "flax tabulate": with_flax,
}
COUNTERS: dict[str, Callable[[Any, tuple[Any, ...]], float]] = {
    "goodput": with_goodput,
    "FlopCounterMode": with_flop_counter_mode,
    "fvcore": with_fvcore,
    "DeepSpeed": with_deepspeed,
    "calflops": with_calflops,
    "ptflops": with_ptflops,
    "thop": with_thop,
}


def measured(counter: str, name: str, rounds: int) -> None:
    """Print what one counter says of one model, and its best time, as JSON on the last line."""
    warnings.simplefilter("ignore")
    make = {**MODELS, **JAX_MODELS}[name]
    count = (JAX_COUNTERS if name in JAX_MODELS else COUNTERS)[counter]
    if name in MODELS:
        import torch

        torch.manual_seed(0)
    model, inputs, truth = make()
    said, seconds = [], []
    for _ in range(rounds + 1):
        began = time.perf_counter()
        said.append(count(model, inputs))
        seconds.append(time.perf_counter() - began)
    print(
        "\n" + json.dumps({"ratio": said[0] / truth, "first": seconds[0], "best": min(seconds[1:])})
    )


# --- the comparison -------------------------------------------------------------------------------


def environment(folder: Path) -> str:
    """Return the Python of a new environment that sees what this one has."""
    venv.create(folder, with_pip=True)
    site = next(folder.glob("lib/python*/site-packages"))
    (site / "outer.pth").write_text("\n".join(path for path in sys.path if path.startswith("/")))
    return str(folder / "bin" / "python")


def installed(python: str, packages: list[str]) -> str:
    """Install `packages`; return why that failed, or ""."""
    command = [python, "-m", "pip", "install", "--quiet", "--no-deps", *packages]
    settings = {**os.environ, "DS_BUILD_OPS": "0"}
    done = subprocess.run(command, capture_output=True, text=True, env=settings, check=False)
    return done.stderr.strip()[-200:] if done.returncode else ""


def one(python: str, counter: str, name: str, rounds: int) -> dict[str, float] | str:
    """Return what a counter says of a model in a process of its own, or why it says nothing."""
    command = [python, __file__, "--measured", counter, name, str(rounds)]
    settings = {**os.environ, "JAX_TRACEBACK_FILTERING": "off"}  # else the last line tells of it
    done = subprocess.run(command, capture_output=True, text=True, env=settings, check=False)
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["no reason given"]
        return lines[-1][:100]
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


Found = dict[str, dict[str, dict[str, float] | str]]


def main() -> None:
    """Print the tables, and fail where goodput is not exact."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="timed counts of each; the best is")
    parser.add_argument("--only", choices=[*MODELS, *JAX_MODELS], help="one model")
    args = parser.parse_args()
    notes: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        python = environment(Path(folder) / "peers")
        families = [
            of_all(python, names, counters, notes, args.rounds)
            for models, counters in ((MODELS, COUNTERS), (JAX_MODELS, JAX_COUNTERS))
            if (names := [name for name in models if args.only in (None, name)])
        ]
    for family in families:
        show(family)
        for name, results in family.items():
            ours, theirs = results.get("goodput"), results.get("FlopCounterMode")
            if isinstance(ours, dict) and isinstance(theirs, dict):
                best, first = (ours[key] / theirs[key] for key in ("best", "first"))
                notes.append(
                    f"goodput's time of FlopCounterMode's on {name}: {best:.2f}, "
                    f"the first {first:.2f}"
                )
            for counter, result in results.items():
                if isinstance(result, str):
                    notes.append(f"{counter} on {name}: {result}")
    print("\n".join(["", *notes]))
    counts = [results["goodput"] for family in families for results in family.values()]
    sys.exit(not all(isinstance(result, dict) and result["ratio"] == 1 for result in counts))


def of_all(
    python: str, names: list[str], counters: Iterable[str], notes: list[str], rounds: int
) -> Found:
    """Return what each counter that can be installed says of each model."""
    present = []
    for counter in counters:
        reason = installed(python, PEERS[counter]) if counter in PEERS else ""
        if reason:
            notes.append(f"skipped: {counter} could not be installed: {reason}")
        else:
            present.append(counter)
    return {
        name: {counter: one(python, counter, name, rounds) for counter in present} for name in names
    }


def show(found: Found) -> None:
    """Print the tables of models that the same counters count."""
    counters = list(next(iter(found.values())))
    for title, key, scale, form in (
        ("said / truth", "ratio", 1, ".4g"),
        ("best time, ms", "best", 1e3, ".1f"),
        ("first time, ms", "first", 1e3, ".1f"),
    ):
        rows = [
            [name, *(cell(results[counter], key, scale, form) for counter in counters)]
            for name, results in found.items()
        ]
        headers, sides = ["model", *counters], ["left"] + ["right"] * len(counters)
        table = tabulate(rows, headers, disable_numparse=True, colalign=sides)
        print(f"\n{title}\n{table}")


def cell(result: dict[str, float] | str, key: str, scale: float, form: str) -> str:
    """Return one figure of a counter, or that it failed."""
    return "failed" if isinstance(result, str) else format(result[key] * scale, form)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--measured"]:
        measured(sys.argv[2], sys.argv[3], int(sys.argv[4]))
    else:
        main()
