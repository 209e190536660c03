import json
import re
from collections.abc import Callable

import pytest

from goodput.capacity import datasheet
from goodput.renderers.datasheet_table import datasheet_json, render_datasheet

ROWS = datasheet.rows()
WIDTHS = (80, 100, 120)
SOME = ("V100-SXM2", "A10G", "L40S", "RTX 4090", "H200-SXM", "GB300", "MI250X (one GCD)", "TPU v4")


@pytest.mark.parametrize("width", [80, 120])
def test_gold_of_a_few_rows(gold: Callable[[str, str], None], width: int) -> None:
    few = [row for row in ROWS if row.name in SOME]
    gold(f"datasheet_{width}.txt", render_datasheet(few, width=width))


@pytest.mark.parametrize("width", WIDTHS)
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    assert max(map(len, render_datasheet(ROWS, width=width).splitlines())) <= width


@pytest.mark.parametrize("width", WIDTHS)
def test_every_source_is_told_in_full(width: int) -> None:
    text = " ".join(render_datasheet(ROWS, width=width).split())
    listed = text.partition(" with the clocks ")[2]
    for number, source in enumerate(dict.fromkeys(row.source for row in ROWS), 1):
        assert f"[{number}] {' '.join(source.split())}" in listed


def test_a_row_points_to_its_source() -> None:
    text = render_datasheet(ROWS, width=120)
    line = next(line for line in text.splitlines() if line.startswith("H200-SXM "))
    mark = re.search(r"\[\d+\]", line)
    assert mark is not None
    assert re.search(rf"^{re.escape(mark[0])} +.*one H200 itself", text, re.MULTILINE)


def test_what_a_device_lacks_is_a_dash_and_never_zero() -> None:
    text = render_datasheet([row for row in ROWS if row.name == "V100-SXM2"], width=120)
    line = text.splitlines()[3]
    assert line.split()[:5] == ["V100-SXM2", "-", "125", "T", "-"]
    assert " 0 " not in line


def test_the_dtypes_asked_for_are_shown_and_no_other() -> None:
    lines = render_datasheet(ROWS[:3], ["float64", "int8"], width=120).splitlines()
    assert " ".join(lines[1].split()) == "device float64 int8 memory source runtime names"


def test_a_runtime_name_stands_beside_where_there_is_room() -> None:
    lines = render_datasheet(ROWS, ["bfloat16"], width=120).splitlines()
    line = next(line for line in lines if line.startswith("H200-SXM "))
    row = next(row for row in ROWS if row.name == "H200-SXM")
    assert line.split("] ")[1].strip().startswith(row.aliases[0])


def test_json_has_every_row_with_all_it_holds() -> None:
    decoded = json.loads(datasheet_json(ROWS))
    assert decoded["schema"] == "goodput.datasheet/1"
    assert [one["name"] for one in decoded["devices"]] == [row.name for row in ROWS]
    for one, row in zip(decoded["devices"], ROWS, strict=True):
        assert one["flops_per_s"] == row.flops_per_s
        assert tuple(one["aliases"]) == row.aliases
        assert one["source"] == row.source
