"""The datasheet: exact names only, dense figures that their own units and clocks give again."""

import pytest

from goodput.capacity.datasheet import (
    capacity_from_datasheet,
    full_row_of,
    nearest_names,
    row_of,
    rows,
)
from goodput.device import DeviceIdentity
from goodput.errors import UsageError
from goodput.work import ITEM_BYTES

# Vendors' own figures, cut or rounded, that units x FLOP/clock x clock misses by over 3 %.
EXCEPTIONS = {
    ("B300", "float64"),
    ("B300", "int8"),
    ("GB300", "float64"),
    ("GB300", "int8"),
    ("GB10 (DGX Spark)", "float64"),
}

DERIVABLE = [
    (row, mode)
    for row in rows()
    for mode in row.flops_per_s
    if row.derived_flops_per_s(mode) is not None
]


def test_every_device_of_the_facts_has_a_row():
    assert len(rows()) == 67
    assert len({row.name for row in rows()}) == 67


def test_no_two_rows_share_an_alias():
    aliases = [alias for row in rows() for alias in row.aliases]
    assert len(aliases) == len(set(aliases))


def test_every_row_names_its_source_and_uses_our_modes():
    for row in rows():
        assert row.source
        assert set(row.flops_per_s) <= {*ITEM_BYTES, "tf32"}
        assert set(row.flops_per_clock) <= set(row.flops_per_s)


@pytest.mark.parametrize(
    ("row", "mode"), DERIVABLE, ids=lambda x: x if isinstance(x, str) else x.name
)
def test_units_and_clock_give_the_listed_peak(row, mode):
    ratio = row.derived_flops_per_s(mode) / row.flops_per_s[mode]
    if (row.name, mode) in EXCEPTIONS:
        assert abs(ratio - 1) > 0.03, "no exception any more: take it off the list"
    else:
        assert ratio == pytest.approx(1, abs=0.03)


def test_most_rows_are_checked_that_way():
    assert len({row.name for row, _ in DERIVABLE}) == 47


@pytest.mark.parametrize(
    ("name", "row"),
    [
        ("NVIDIA H100 80GB HBM3", "H100-SXM"),
        ("NVIDIA H200", "H200-SXM"),
        ("NVIDIA H20", "H20"),
        ("NVIDIA B300", "B300"),
        ("NVIDIA GB300", "GB300"),
        ("NVIDIA L4", "L4"),
        ("NVIDIA L40", "L40"),
        ("NVIDIA L40S", "L40S"),
        ("NVIDIA A10", "A10"),
        ("NVIDIA A10G", "A10G"),
        ("NVIDIA A100-SXM4-80GB", "A100-SXM4-80GB"),
        ("Tesla V100-SXM2-32GB", "V100-SXM2"),
        ("NVIDIA B200", "B200"),
        ("AMD Instinct MI300X VF", "MI300X"),
    ],
)
def test_a_runtime_name_finds_its_own_row(name, row):
    assert row_of(name).name == row


@pytest.mark.parametrize(
    "name",
    [
        "",
        "NVIDIA A100-PG509-200",
        "NVIDIA H100",
        "nvidia h200",
        "NVIDIA H200 ",
        "NVIDIA GeForce RTX 4090 Laptop GPU",
        "AMD Instinct MI250X/MI250",
        "H100-SXM",
    ],
)
def test_any_other_name_is_unknown(name):
    assert row_of(name) is None


def test_dense_traps():
    assert row_of("NVIDIA H100 80GB HBM3").flops_per_s["bfloat16"] == 989.4e12
    assert row_of("NVIDIA L4").flops_per_s["bfloat16"] == 121e12
    assert row_of("NVIDIA GeForce RTX 4090").flops_per_s["float16"] == 165.2e12
    assert row_of("NVIDIA B300").flops_per_s["int8"] < 0.2e15
    assert row_of("AMD Instinct MI250X").flops_per_s["bfloat16"] == 191.5e12
    assert "bfloat16" not in row_of("Tesla V100-SXM2-16GB").flops_per_s


def test_the_ceiling_is_at_the_highest_clock():
    row = full_row_of("NVIDIA H200")
    assert row.ceiling_flops_per_s("bfloat16") == pytest.approx(132 * 4096 * 1980e6)
    assert full_row_of("TPU v4").ceiling_flops_per_s("bfloat16") is None


def test_both_float8_formats_have_the_rate():
    rates = row_of("NVIDIA H200").flops_per_s
    assert rates["float8_e5m2"] == rates["float8_e4m3"] == 1978.9e12


def test_capacity_from_the_datasheet():
    device = DeviceIdentity("cuda", "NVIDIA H100 80GB HBM3")
    capacity = capacity_from_datasheet(device)
    assert capacity.device == device
    assert capacity.flops_per_s["bfloat16"].rate == 989.4e12
    assert capacity.flops_per_s["bfloat16"].provenance.source == "datasheet"
    assert capacity.vector.rate == 66.9e12
    assert capacity.special.rate == 132 * 16 * 1980e6
    assert capacity.floor_seconds == 0
    for mix in ("read", "copy", "in-place"):
        assert capacity.bytes_per_s(mix, 1 << 10) == 3.35e12
        assert capacity.bytes_per_s(mix, 1 << 34) == 3.35e12
    assert capacity.datasheet == row_of(device.name)


def test_a_device_whose_special_rate_is_not_known_has_none():
    assert capacity_from_datasheet(DeviceIdentity("cuda", "NVIDIA A10")).special is None


def test_an_unknown_device_is_an_error_that_helps():
    with pytest.raises(UsageError, match=r"NVIDIA A100-PG509-200 .*NVIDIA A100.*--capacity FILE"):
        capacity_from_datasheet(DeviceIdentity("cuda", "NVIDIA A100-PG509-200"))
    with pytest.raises(UsageError, match=r"no name.*--capacity FILE"):
        capacity_from_datasheet(DeviceIdentity("cuda", ""))


def test_nearest_names_are_aliases():
    assert "NVIDIA H200" in nearest_names("NVIDIA H2000")
    assert nearest_names("abacus") == ()
