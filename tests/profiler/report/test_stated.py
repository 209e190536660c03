"""What authors of kernels state, beside what is counted: a table of the report."""

from goodput.renderers.stated import stated_table
from goodput.report.build import build
from goodput.report.stated import stated
from goodput.trace.recording import COUNTED, Recording, WorkEntry, WorkPass
from goodput.trace.table import Invocations, Trace
from goodput.work import Work

KERNEL = Work(flops=100, padding_flops=20, vector_flops=5, bytes_read=30, bytes_written=10)


def entry(name, work=KERNEL, flops=None, moved=None):
    return WorkEntry(
        name, "forward", "", "", "float32", work, stated_flops=flops, stated_bytes=moved
    )


def test_calls_of_a_kernel_are_summed_and_those_without_a_statement_are_left_out():
    one, other = stated(
        [
            entry("triton::product", flops=120, moved=40),
            entry("aten::mm"),
            entry("triton::product", flops=120, moved=40),
            entry("triton::sum", Work(vector_flops=7, bytes_read=8), flops=7),
        ]
    )
    assert (one.kernel, one.calls) == ("triton::product", 2)
    assert (one.flops, one.executed_flops, one.stated_flops) == (200, 240, 240)
    assert (one.bytes, one.stated_bytes) == (80, 80)
    assert (other.flops, other.stated_flops, other.stated_bytes) == (7, 7, None)


def test_what_is_not_counted_or_not_said_of_every_call_is_unknown_and_not_zero():
    (one,) = stated([entry("triton::odd", None, flops=5), entry("triton::odd", flops=5)])
    assert (one.flops, one.executed_flops, one.bytes) == (None, None, None)
    (one,) = stated([entry("triton::odd", moved=5), entry("triton::odd", flops=5, moved=5)])
    assert (one.stated_flops, one.stated_bytes) == (None, 10)


def recording(*entries):
    trace = Trace(None, "torch", (), Invocations.of({}), ("",))
    return Recording("x", "", trace, (), COUNTED, work=WorkPass(entries))


def test_the_report_holds_both_side_by_side():
    report = build(recording(entry("triton::product", flops=90, moved=80)), None)
    table = stated_table(report)
    assert table.rows == [
        ("triton::product", "1", "100", "120", "90.0", "0.900", "40.0", "80.0", "2.000")
    ]
    assert stated_table(build(recording(entry("aten::mm")), None)) is None
