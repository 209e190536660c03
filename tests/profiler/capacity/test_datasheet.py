"""The datasheet: exact names only, dense figures that their own units and clocks give again."""

import json

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
    # Of the others no source says how many FLOP a unit does a clock.
    assert len({row.name for row, _ in DERIVABLE}) == 47
    assert {row.name for row in rows() if row.flops_per_clock and row.clock_hz} == {
        row.name for row, _ in DERIVABLE
    }


@pytest.mark.parametrize("name", ["RTX 3090", "RTX 4090", "RTX 5090"])
def test_a_geforce_sums_in_float16_at_twice_the_rate_and_no_roof_is_that_high(name):
    (row,) = (row for row in rows() if row.name == name)
    twice = row.float16_accumulate
    assert "float16" in twice.flops_per_s
    assert twice.flops_per_s.keys() == twice.flops_per_clock.keys()
    for mode, rate in twice.flops_per_s.items():
        assert rate == pytest.approx(2 * row.flops_per_s[mode], rel=1e-3)
        derived = row.units * twice.flops_per_clock[mode] * row.clock_hz["tensor"]
        assert derived == pytest.approx(rate, rel=0.03)
    device = DeviceIdentity("cuda", row.aliases[0])
    assert capacity_from_datasheet(device).flops_per_s["float16"].rate == row.flops_per_s["float16"]


def test_no_other_row_has_an_accumulate_type_of_its_own():
    own = {row.name for row in rows() if row.float16_accumulate.flops_per_s}
    assert own == {"RTX 3090", "RTX 4090", "RTX 5090"}


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
    assert row_of("NVIDIA L40S").flops_per_s["float8_e4m3"] == 733e12
    assert row_of("NVIDIA A10G").flops_per_s["bfloat16"] == 70e12
    assert row_of("NVIDIA GeForce RTX 4090").flops_per_s["float16"] == 165.2e12
    assert row_of("NVIDIA B300").flops_per_s["int8"] < 0.2e15
    assert "bfloat16" not in row_of("Tesla V100-SXM2-16GB").flops_per_s


@pytest.mark.parametrize(
    ("inner", "outer"),
    [
        ("NVIDIA B300", "NVIDIA GB300"),
        ("NVIDIA B200", "NVIDIA GB200"),
        ("NVIDIA H20", "NVIDIA H200"),
        ("NVIDIA H200", "NVIDIA H200 NVL"),
        ("NVIDIA L4", "NVIDIA L40"),
        ("NVIDIA L4", "NVIDIA L40S"),
        ("NVIDIA L40", "NVIDIA L40S"),
        ("NVIDIA A10", "NVIDIA A100-SXM4-80GB"),
        ("NVIDIA A10", "NVIDIA A10G"),
        ("NVIDIA GH200 480GB", "NVIDIA GH200 144G HBM3e"),
        ("TPU v5", "TPU v5 lite"),
        ("TPU v4", "TPU v4 lite"),
    ],
)
def test_a_name_inside_another_has_a_row_of_its_own(inner, outer):
    assert row_of(inner) is not None
    assert row_of(outer) is not None
    assert row_of(inner).name != row_of(outer).name
    assert row_of(inner).flops_per_s != row_of(outer).flops_per_s or (
        row_of(inner).bytes_per_s != row_of(outer).bytes_per_s
    )


@pytest.mark.parametrize("row", rows(), ids=lambda row: row.name)
def test_no_part_of_a_name_finds_a_row(row):
    for alias in row.aliases:
        for near in (alias[:-1], alias[1:], alias.lower(), f"{alias} ", f"x{alias}"):
            found = row_of(near)
            assert found is None or near in full_row_of(near).aliases
        assert row_of(f"{alias} (another)") is None


@pytest.mark.parametrize(
    ("name", "package"),
    [
        ("AMD Instinct MI250X", 383e12),
        ("AMD Instinct MI250", 362.1e12),
        ("TPU v2", 45e12),
        ("TPU v3", 123e12),
        ("TPU7x", 2307e12),
        ("Intel(R) Data Center GPU Max 1550", 839e12),
    ],
)
def test_a_die_that_the_framework_shows_has_half_of_its_package(name, package):
    assert row_of(name).flops_per_s["bfloat16"] == pytest.approx(package / 2, rel=0.02)


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
    assert all("H100" in name for name in nearest_names("H100 SXM"))
    assert nearest_names("abacus") == ()


# --- the facts ---

OUR_MODES = {
    "fp64": "float64",
    "fp32": "float32",
    "tf32": "tf32",
    "bf16": "bfloat16",
    "fp16": "float16",
    "fp8": "float8_e4m3",
    "int8": "int8",
}
# The facts give the quoted boost where they know no higher clock; such cards run above it.
NO_HIGHEST_CLOCK = {row.name for row in rows() if row.name.startswith("RTX") and row.clock_hz}
NO_HIGHEST_CLOCK -= {"RTX 5090"}


@pytest.fixture(scope="module")
def devices(repository):
    path = repository.parent / "shared" / "facts" / "devices.json"
    if not path.is_file():
        pytest.skip("the facts are not beside the checkout (../shared/facts/devices.json)")
    return {device["name"]: device for device in json.loads(path.read_text())["devices"]}


def by_mode(figures):
    # float64 and float32 of a matrix unit, where there is one, stand for the type.
    tensor = {name.removesuffix("_tensor"): x for name, x in figures.items() if "_tensor" in name}
    chosen = {**figures, **{name: x for name, x in tensor.items() if x}}
    return {OUR_MODES[name]: x for name, x in chosen.items() if name in OUR_MODES and x}


def test_every_device_of_the_facts_is_here(devices):
    assert {row.name for row in rows()} == set(devices)


@pytest.mark.parametrize("row", rows(), ids=lambda row: row.name)
def test_a_row_says_what_the_facts_say(row, devices):
    facts = devices[row.name]
    assert row.flops_per_s == by_mode(facts["peaks"])
    assert row.flops_per_clock == by_mode(facts["flops_per_clk_per_unit"] or {})
    assert set(row.aliases) == {*facts["aliases"], *facts["jax_device_kind"]}
    assert row.vendor == facts["vendor"]
    assert row.units == facts["units"]
    assert row.memory_bytes == facts["memory_bytes"]
    assert row.bytes_per_s == facts["mem_bw_Bps"]
    assert row.vector_flops_per_s == facts["peaks"].get("fp32")
    caches = (facts["l2_bytes"] or 0, facts["llc_bytes"] or 0)
    assert row.last_level_cache_bytes == max(caches)
    accumulate = {mode: facts["peaks"].get(f"{name}_acc16") for name, mode in OUR_MODES.items()}
    assert row.float16_accumulate.flops_per_s == {m: x for m, x in accumulate.items() if x}


@pytest.mark.parametrize("row", rows(), ids=lambda row: row.name)
def test_a_rows_clocks_are_those_of_the_facts(row, devices):
    facts = devices[row.name]
    given = {
        "vector": facts["boost_clock_MHz"],
        "tensor": facts["tensor_boost_clock_MHz"],
        "max": None if row.name in NO_HIGHEST_CLOCK else facts["max_clock_MHz"],
    }
    assert row.clock_hz == {kind: 1e6 * clock for kind, clock in given.items() if clock}


@pytest.mark.parametrize("row", rows(), ids=lambda row: row.name)
def test_nothing_that_anybody_measured_is_above_a_ceiling(row, devices):
    for one in devices[row.name]["achieved"]:
        mode = OUR_MODES.get(one.get("dtype"))
        ceiling = row.ceiling_flops_per_s(mode) if mode else None
        if ceiling is not None:
            assert one["flops"] <= 1.03 * ceiling, one


def test_that_some_of_it_is_above_a_datasheet(devices):
    # So that a datasheet peak is never taken for a bound, and the test before this one can fail.
    above = {
        row.name
        for row in rows()
        for one in devices[row.name]["achieved"]
        if one.get("dtype") in OUR_MODES
        and one["flops"] > row.flops_per_s.get(OUR_MODES[one["dtype"]], float("inf"))
    }
    assert {"RTX 4090", "RTX 5090", "H200-NVL"} <= above
