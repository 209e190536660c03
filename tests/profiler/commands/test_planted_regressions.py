"""A regression of each kind is planted, and the right tier finds it with the right cause.

| planted                 | tier     | cause     |
|-------------------------|----------|-----------|
| a product done twice    | exact    | numerator |
| a fused operator undone | exact    | code      |
| a graph break           | exact    | code      |
| recompute switched on   | exact    | code      |
| an upcast to float32    | exact    | precision |
| a Triton config spills  | exact    | code      |
| a slower data path      | measured | code      |
"""

import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from goodput.commands.observing import Request, observe
from goodput.commands.timed_runs import OUTSIDE, values_of
from goodput.device import DeviceIdentity
from goodput.frontends.timed_case import TimedCase
from goodput.gates.baselines import Baseline
from goodput.gates.blessing import held_against
from goodput.gates.declarations import Case
from goodput.gates.held import Held
from goodput.gates.judge import judged
from goodput.gates.judge_measured import results
from goodput.gates.observation import OperatorFigures
from goodput.gates.observed_run import CaseRun
from goodput.measure.interleaved import Rounds
from goodput.report.verdicts import CaseResult, Cause, Tier, Verdict

PROGRAM = """
import torch
from torch import nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

DTYPE = torch.bfloat16
model = nn.Sequential(nn.Linear(64, 128), nn.GELU(), nn.Linear(128, 64)).to(DTYPE)

def part(x):
    return model(x)

def step():
    def take(x):
        loss = part(x).float().sum()
        loss.backward()
        return loss
    return take, (torch.randn(32, 64, dtype=DTYPE, requires_grad=True),)

def compiled():
    @torch.compile
    def take(x):
        y = x @ x
        return y.relu()
    return take, (torch.randn(64, 64),)
"""

PLANTED = {
    "a product done twice": (
        ("return model(x)", "return model(x) + model(x)"),
        "step",
        ("useful_flops", Cause.NUMERATOR),
    ),
    "a fused operator undone": (
        ("nn.GELU()", "Undone()"),
        "step",
        ("operator_calls", Cause.CODE),
    ),
    "a graph break": (
        ("y = x @ x", "y = x @ x; print(end='')"),
        "compiled",
        ("graph_breaks", Cause.CODE),
    ),
    "recompute switched on": (
        ("return model(x)", "return checkpoint(model, x, use_reentrant=False)"),
        "step",
        ("recompute_ratio", Cause.CODE),
    ),
    "an upcast to float32": (
        ("return model(x)", "return model.float()(x.float())"),
        "step",
        ("mode_width", Cause.PRECISION),
    ),
}
UNDONE = """
class Undone(nn.Module):
    def forward(self, x):
        return x * 0.5 * (1.0 + torch.erf(x / 2**0.5))
"""


def counted(folder: Path, name: str, text: str, function: str, **request: object) -> CaseRun:
    path = folder / f"{name}.py"
    path.write_text(text)
    before = list(sys.path), list(sys.argv)
    try:
        seen = observe(Request(target=f"{path}:{function}", **request)).observation
    finally:
        sys.path[:], sys.argv[:] = before
    return CaseRun(
        "planted",
        Tier.EXACT,
        {"program": "planted.py"},
        (seen.values,) * 3,
        seen.operators,
        seen.toolchain,
        seen.method,
        places=seen.places,
        notes=seen.notes,
        reproduce="goodput check --case planted",
    )


def tell(capsys: pytest.CaptureFixture[str], planted: str, result: CaseResult, metric: str) -> None:
    """The row of the table: what was planted, the tier that found it, its cause and its figure."""
    one = next(finding for finding in result.findings if finding.metric == metric)
    with capsys.disabled():
        print(f"\n  {planted:25} {result.tier:9} {one.cause:10} {one.sentence}")  # noqa: T201 - the table


def found(result: CaseResult) -> dict[str, Cause | None]:
    return {one.metric: one.cause for one in result.findings if one.verdict is Verdict.REGRESSED}


@pytest.mark.parametrize("planted", PLANTED)
def test_the_exact_tier_finds_it(planted, tmp_path, capsys) -> None:
    change, function, expected = PLANTED[planted]
    program = PROGRAM.replace("DTYPE = ", f"{UNDONE}\nDTYPE = ")
    before = counted(tmp_path, "planted_before", program, function)
    after = counted(tmp_path, "planted_after", program.replace(*change), function)
    assert judged(before, held_against(before, ""), {}).verdict is Verdict.PASS
    result = judged(after, held_against(before, ""), {})
    metric, cause = expected
    assert result.verdict is Verdict.REGRESSED
    assert found(result)[metric] is cause
    assert result.worst.cause is cause
    assert result.operators or metric == "graph_breaks"
    if metric == "graph_breaks":
        place = next(one for one in result.findings if one.metric == metric)
        assert place.file.endswith("planted_after.py")
        assert "print" in place.sentence
    tell(capsys, planted, result, metric)


KERNEL = """
import torch
import triton
import triton.language as tl

@triton.jit
def product(a, b, c, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_K: tl.constexpr):
    rows = tl.arange(0, BLOCK_M)[:, None]
    columns = tl.arange(0, BLOCK_N)[None, :]
    inner = tl.arange(0, BLOCK_K)
    total = tl.zeros((BLOCK_M, BLOCK_N), tl.float32)
    for start in range(0, 256, BLOCK_K):
        left = tl.load(a + rows * 256 + start + inner[None, :])
        right = tl.load(b + (start + inner)[:, None] * 256 + columns)
        total += tl.dot(left, right)
    tl.store(c + rows * 256 + columns, total)

def step():
    def take(a, b, c):
        product[(1,)](a, b, c, BLOCK_M=SIZE, BLOCK_N=SIZE, BLOCK_K=32, num_warps=WARPS)
        return c
    return take, tuple(torch.randn(256, 256, dtype=torch.float16) for _ in range(3))
"""


def test_the_exact_tier_finds_a_triton_config_that_spills(tmp_path, capsys) -> None:
    pytest.importorskip("triton")

    def with_config(name: str, size: int, warps: int) -> CaseRun:
        text = KERNEL.replace("SIZE", str(size)).replace("WARPS", str(warps))
        return counted(tmp_path, name, text, "step", targets=("sm_90",))

    before, after = with_config("spill_before", 128, 8), with_config("spill_after", 128, 1)
    name = "spills.product@sm_90"
    assert before.agreed[name] == 0
    assert after.agreed[name] > 0
    result = judged(after, held_against(before, ""), {})
    assert found(result)[name] is Cause.CODE
    place = next(one for one in result.findings if one.metric == name)
    assert place.file.endswith("spill_after.py")
    tell(capsys, "a Triton config spills", result, name)


@dataclass
class Machine:
    """Processes whose step waits for data, on a device whose clock wanders."""

    data_seconds: float

    def processes(self) -> tuple[dict[str, float], ...]:
        return tuple(self.process(n) for n in range(9))

    def process(self, number: int) -> dict[str, float]:
        speed = 1 + 0.1 * (number % 3)
        steps = tuple((0.08 / speed) * (1 + n / 1e4) + self.data_seconds / speed for n in range(20))
        rounds = Rounds(steps, tuple(0.001 / speed for _ in range(20)))
        timed = TimedCase(rounds, "4096x4096x4096 bfloat16", 1e9, DeviceIdentity("cuda", "GPU"))
        return values_of(timed, {"useful_flops.bfloat16": 1e10})


def test_the_measured_tier_finds_a_slower_data_path(capsys) -> None:
    def run(data_seconds: float) -> CaseRun:
        processes = Machine(data_seconds).processes()
        counts = {"useful_flops": 1e10, "useful_flops.bfloat16": 1e10}
        operators = {
            "aten::mm forward bfloat16": OperatorFigures(seconds=0.08),
            OUTSIDE: OperatorFigures(seconds=data_seconds),
        }
        return CaseRun(
            "planted",
            Tier.MEASURED,
            {"program": "x"},
            processes,
            operators,
            counts=counts,
            again=processes,
        )

    def outcome(after: float) -> CaseResult:
        baseline: Baseline = held_against(run(0.01), "")
        return results([Held(Case("planted"), run(after), baseline)])[0]

    assert outcome(0.01).verdict is Verdict.PASS
    slower = outcome(0.02)
    assert (slower.verdict, slower.worst.cause) == (Verdict.REGRESSED, Cause.CODE)
    assert slower.worst.change == pytest.approx(0.11, abs=0.01)
    assert [one.operator for one in slower.operators] == [OUTSIDE]
    tell(capsys, "a slower data path", slower, "cost")
