from dataclasses import replace

import pytest

from goodput.renderers.module_tree import SHOWN, branches, module_table, starred
from goodput.report.model import Report


def test_layers_of_a_list_are_one_line(report: Report) -> None:
    tree = branches(report.modules)
    assert [branch.path for branch in tree] == [
        "",
        "embed",
        "blocks",
        "blocks.*",
        "blocks.*.attention",
        "blocks.*.mlp",
        "head",
    ]
    layer = tree[3]
    assert layer.count == 3
    assert layer.device_seconds == pytest.approx(0.06)
    assert layer.goodput == pytest.approx(0.8)


def test_a_branch_with_unknown_work_has_no_goodput(report: Report) -> None:
    root = branches(report.modules)[0]
    assert root.lost_seconds is None
    assert root.goodput is None


def test_starred() -> None:
    assert starred("h.10.mlp.2") == "h.*.mlp.*"
    assert starred("") == ""
    assert starred("layer1.conv") == "layer1.conv"
    assert starred("Model_0.Layer_12") == "Model_*.Layer_*"


def test_a_module_alone_keeps_its_own_number(report: Report) -> None:
    names = ("", "Model_0", "Model_0.Layer_0", "Model_0.Layer_1")
    rows = tuple(replace(report.modules[1], module=name) for name in names)
    assert [branch.name for branch in branches(rows)] == ["", "Model_0", "Layer_*"]


def test_children_stand_under_their_parent_in_any_order_of_rows(report: Report) -> None:
    shuffled = tuple(sorted(report.modules, key=lambda row: row.module[::-1]))
    paths = [branch.path for branch in branches(shuffled)]
    for path in paths:
        above = path.rpartition(".")[0]
        if above:
            between = paths[paths.index(above) + 1 : paths.index(path)]
            assert all(other.startswith(f"{above}.") for other in between)


def test_what_is_left_out_is_counted(report: Report) -> None:
    many = tuple(replace(report.modules[1], module=f"m{'x' * n}") for n in range(SHOWN + 6))
    table = module_table(replace(report, modules=many))
    assert table is not None
    assert len(table.rows) == SHOWN
    assert table.notes == ("… 6 more; every module with --by module",)


def test_no_modules_no_table(report: Report) -> None:
    assert module_table(replace(report, modules=())) is None


def test_without_times_the_tree_is_of_work(
    counted_report: Report, count_only_report: Report
) -> None:
    table = module_table(counted_report)
    assert table is not None
    assert table.headers == ["module", "useful", "share", "bytes", "ideal"]
    layers = next(row for row in table.rows if "x3" in row[0])
    assert layers[1:4] == ("9.60 GFLOP", "96.0 %", "36.0 MB")
    alone = module_table(count_only_report)
    assert alone is not None
    assert alone.headers == ["module", "useful", "share", "bytes"]
