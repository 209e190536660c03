"""The pytest plugin: budgets of a step as marks, and the fixture `efficiency` that holds them.

Imports neither torch nor jax nor numpy before a test asks for the fixture.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from goodput.commands.tested import Efficiency

_MARKS = {
    "limit_flops(limit)": "useful FLOPs of the step, at most",
    "limit_recompute(limit)": "executed over useful FLOPs, at most",
    "limit_graph_breaks(limit)": "graphs that torch.compile breaks, at most",
    "limit_operator_calls(limit)": "operator calls of the step, at most",
    "limit_spills(limit, target)": "bytes that a Triton kernel spills on a GPU target, at most",
    "min_predicted_mfu(limit, device)": "MFU that the counts predict for a device, at least",
    "min_mfu(limit, device)": "measured MFU, at least; skipped on another device",
    "min_goodput(limit)": "measured goodput, at least",
}
UPDATE = "--goodput-update"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds the options."""
    group = parser.getgroup("goodput", "efficiency budgets")
    group.addoption(UPDATE, action="store_true", help="write the baselines of `efficiency` tests")


def pytest_configure(config: pytest.Config) -> None:
    """Makes the marks known."""
    for mark, told in _MARKS.items():
        config.addinivalue_line("markers", f"{mark}: {told}")


@pytest.fixture
def efficiency(request: pytest.FixtureRequest) -> Efficiency:
    """Counts a step and holds it against the test's marks and its baseline.

    `efficiency(step, *inputs)` runs nothing but what a mark needs to be timed, and returns the
    figures by metric. It fails the test where a limit is broken or a figure rose above the
    baseline, which `--goodput-update` writes.
    """
    from goodput.commands.tested import Efficiency

    marks: list[Any] = list(request.node.iter_markers())
    return Efficiency(
        request.node.nodeid,
        request.config.rootpath,
        tuple((mark.name, mark.args, mark.kwargs) for mark in marks),
        update=bool(request.config.getoption(UPDATE)),
    )
