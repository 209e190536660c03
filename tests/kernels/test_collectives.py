"""Two processes over gloo: every collective gives each rank what it should."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from goodput_kernels.collectives import COLLECTIVES, bus_factor

pytest.importorskip("torch", reason="kernels run through torch")

KERNELS = Path(__file__).resolve().parents[2] / "kernels"

RANK = """
import json, sys
from torch import distributed
sys.path.insert(0, sys.argv[3])
from goodput_kernels import collectives
distributed.init_process_group(
    "gloo", init_method="file://" + sys.argv[2], rank=int(sys.argv[1]), world_size=2
)
found = {}
for name in collectives.COLLECTIVES:
    (candidate,) = collectives.candidates(name, 4096)
    try:
        call = candidate.prepare()
        call(), call()
    except RuntimeError as error:
        found[name] = str(error)
        continue
    result = candidate.verify()
    found[name] = [result.passed, candidate.amount, candidate.label]
forget = distributed.broadcast
distributed.broadcast = lambda values, src: None
found["twin"] = collectives.candidates("broadcast", 4096)[0].verify().passed
distributed.destroy_process_group()
print(json.dumps(found))
"""


def test_two_processes(tmp_path):
    command = [sys.executable, "-c", RANK]
    ranks = [
        subprocess.Popen(
            [*command, str(rank), str(tmp_path / "meeting"), str(KERNELS)],
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    try:
        answers = [json.loads(rank.communicate(timeout=120)[0]) for rank in ranks]
    finally:
        for rank in ranks:
            rank.kill()
    for answer in answers:
        for name in COLLECTIVES:
            assert answer[name] == [True, 4096, f"gloo {name} of 4096 bytes over 2 ranks"]
    # A broadcast that sends nothing is right on the rank that has it all, and wrong on the other.
    assert [answer["twin"] for answer in answers] == [True, False]


@pytest.mark.parametrize(
    ("name", "ranks", "factor"),
    [
        ("all-reduce", 8, 1.75),
        ("all-reduce", 2, 1),
        ("all-gather", 8, 0.875),
        ("reduce-scatter", 4, 0.75),
        ("all-to-all", 2, 0.5),
        ("broadcast", 8, 1),
    ],
)
def test_bus_factors_of_nccl_tests(name, ranks, factor):
    assert bus_factor(name, ranks) == factor


@given(st.integers(2, 10_000))
def test_an_all_reduce_is_a_reduce_scatter_and_an_all_gather(ranks):
    both = bus_factor("reduce-scatter", ranks) + bus_factor("all-gather", ranks)
    assert bus_factor("all-reduce", ranks) == pytest.approx(both)


def test_an_unknown_collective_has_no_factor():
    with pytest.raises(KeyError):
        bus_factor("all-the-best", 2)
