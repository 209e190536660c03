from hypothesis import given
from hypothesis import strategies as st

from goodput.renderers.tables import GAP, Column, Table, filled, fit, shorten

WORDS = st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), max_size=40)


@given(WORDS, st.integers(1, 50))
def test_shorten_keeps_both_ends_and_the_width(text: str, width: int) -> None:
    short = shorten(text, width)
    assert len(short) <= width
    if len(text) <= width:
        assert short == text
    elif width > 2:
        assert short[0] == text[0]
        assert short[-1] == text[-1]


def test_an_empty_column_is_left_out() -> None:
    assert [c.header for c in filled((Column("a", ("", "")), Column("b", ("", "x"))))] == ["b"]


def wide() -> Table:
    return Table(
        "t",
        (
            Column("name", ("n" * 30, "m"), least=10),
            Column("shapes", ("s" * 60, "t"), least=12, spare=1),
            Column("bound", ("compute", "memory"), spare=2),
            Column("time", ("12.3 ms", "1 s"), right=True),
        ),
    )


def width_of(table: Table) -> int:
    return sum(column.width for column in table.columns) + GAP * (len(table.columns) - 1)


def test_a_table_that_fits_is_left_alone() -> None:
    assert fit(wide(), 200) == wide()


@given(st.integers(1, 130))
def test_a_table_fits_as_far_as_it_can(width: int) -> None:
    fitted = fit(wide(), width)
    headers = [column.header for column in fitted.columns]
    assert headers[0] == "name"
    assert headers[-1] == "time"
    assert width_of(fitted) <= width or headers == ["name", "time"]
    assert all(len(column.cells) == 2 for column in fitted.columns)


def test_cells_are_cut_before_columns_go() -> None:
    fitted = fit(wide(), 70)
    assert [column.header for column in fitted.columns] == ["name", "shapes", "bound", "time"]
    assert width_of(fitted) <= 70


def test_the_most_dispensable_column_goes_first() -> None:
    assert [c.header for c in fit(wide(), 40).columns] == ["name", "shapes", "time"]
