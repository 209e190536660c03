"""What a recording asks of its device, and what comes back for its own shapes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from goodput.capacity.profile import Capacity, Peak, Provenance, ShapePeak
from goodput.device import DeviceIdentity
from goodput.report.needs import HEAVIEST, heaviest_problems, shape_rates
from goodput.trace.recording import Recording, WorkEntry, WorkPass
from goodput.trace.table import Invocations, Trace
from goodput.work import Contraction, Work
from goodput_kernels.convolution import Convolution

DEVICE = DeviceIdentity("cpu", "test")
CONV = Convolution("float32", (2, 4, 8, 8), (4, 4, 3, 3), (1, 1), (0, 0), (1, 1))


def recording(problems):
    entries = tuple(
        WorkEntry(
            "aten::mm" if isinstance(problem, Contraction) else "aten::convolution",
            "forward",
            "",
            repr(problem),
            "float32",
            Work(flops=problem.flops),
            product=problem if isinstance(problem, Contraction) else None,
            convolution=problem if isinstance(problem, Convolution) else None,
        )
        for problem in problems
    )
    empty = Trace(DEVICE, "torch", (), Invocations.of({}), ("",))
    return Recording("train.py", "", empty, (), "host", work=WorkPass(entries))


def square(edge):
    return Contraction(1, edge, edge, edge, "float32")


@given(st.lists(st.integers(1, 40), max_size=80))
def test_the_heaviest_problems_are_those_with_most_flops_over_all_their_calls(edges):
    products, convolutions = heaviest_problems(recording([square(edge) for edge in edges]))
    assert convolutions == ()
    weights = {edge: edges.count(edge) * edge**3 for edge in edges}
    assert len(products) == min(HEAVIEST, len(weights))
    left_out = [w for edge, w in weights.items() if square(edge) not in products]
    assert all(weights[product.m] >= most for product in products for most in left_out)


def test_products_and_convolutions_compete_with_each_other():
    assert heaviest_problems(recording([square(2), CONV])) == ((square(2),), (CONV,))


def test_a_measured_shape_has_its_rate_under_the_names_of_its_calls():
    known = ShapePeak(Peak(5e9, Provenance("measured", "")), product=square(8))
    capacity = Capacity(DEVICE, shapes=(known,))
    found = shape_rates(recording([square(8), square(4), CONV]), capacity)
    assert found == {("aten::mm", repr(square(8))): 5e9}
    assert shape_rates(recording([square(8)]), Capacity(DEVICE)) == {}
    assert shape_rates(recording([square(8)]), None) == {}
