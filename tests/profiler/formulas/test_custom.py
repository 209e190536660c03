from itertools import count

import pytest

from goodput.errors import FormulaError
from goodput.formulas.custom import formula
from goodput.formulas.registry import work_of
from goodput.work import Call, TensorSpec, Work

NUMBERS = count()
CALL = Call(
    "",
    inputs=(TensorSpec((8, 4), "float32"), (TensorSpec((4,), "float64"),)),
    outputs=(TensorSpec((8,), "float32"),),
)


@pytest.fixture
def name() -> str:
    """An operator that no test has used: the registry is the process's own."""
    return f"mylib::operator_{next(NUMBERS)}"


def call(name: str) -> Call:
    return Call(name, CALL.inputs, CALL.outputs)


def test_an_integer_is_the_useful_flops_and_bytes_are_those_of_the_tensors(name: str) -> None:
    @formula(name)
    def flops(call: Call) -> int:
        return 2 * call.tensors[0].numel

    assert work_of(call(name)) == Work(
        flops=64, dense_flops=64, bytes_read=8 * 4 * 4 + 4 * 8, bytes_written=8 * 4
    )
    assert flops(call(name)) == 64


def test_work_is_taken_as_it_is(name: str) -> None:
    work = Work(vector_flops=3, bytes_read=5)
    formula(name)(lambda _: work)
    assert work_of(call(name)) is work


def test_none_is_unknown(name: str) -> None:
    formula(name)(lambda _: None)
    assert work_of(call(name)) is None


@pytest.mark.parametrize("value", [1.5, "12", (1,)])
def test_anything_else_is_an_error(name: str, value: object) -> None:
    formula(name)(lambda _: value)  # type: ignore[arg-type, return-value]  # what is refused
    with pytest.raises(FormulaError, match=r"return a goodput\.Work or an integer"):
        work_of(call(name))


def test_a_second_formula_must_be_meant(name: str) -> None:
    formula(name)(lambda _: 1)
    with pytest.raises(FormulaError, match="replace=True"):
        formula(name)(lambda _: 2)
    formula(name, replace=True)(lambda _: 3)
    work = work_of(call(name))
    assert work is not None
    assert work.flops == 3


def test_what_goodput_knows_itself_must_be_replaced_on_purpose() -> None:
    with pytest.raises(FormulaError, match="aten::mm has a formula already"):
        formula("aten::mm")(lambda _: 1)
