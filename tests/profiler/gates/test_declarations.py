"""What a project declares, and how wrong declarations are told."""

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from goodput.errors import UsageError
from goodput.gates.declarations import found_from, of_table
from goodput.gates.program_check import fault
from goodput.report.metrics import METRICS, limit_of
from goodput.report.verdicts import Tier
from goodput.units import quantity, si

CASE = """
[case.gpt]
target = "models/gpt.py:train_step"
tiers = ["exact", "modelled", "measured"]
device = "NVIDIA H200"
batch = 4
budget = { useful_flops = "7.1 TFLOP", mfu = "40%", graph_breaks = 0 }
"""


def gates(text, tmp_path):
    return of_table(tomllib.loads(text), tmp_path / "goodput.toml")


def test_a_case_as_the_readme_shows_it(tmp_path):
    (case,) = gates(CASE, tmp_path).cases
    assert case.target == "models/gpt.py:train_step"
    assert case.tiers == (Tier.EXACT, Tier.MODELLED, Tier.MEASURED)
    assert case.budget == pytest.approx({"useful_flops": 7.1e12, "mfu": 0.4, "graph_breaks": 0.0})
    assert case.fingerprint == {"program": "models/gpt.py:train_step", "batch": 4}


def test_a_script_with_arguments(tmp_path):
    (case,) = gates("[case.t]\nscript = \"train.py --name 'a b'\"", tmp_path).cases
    assert case.script == ("train.py", "--name", "a b")
    assert case.tiers == (Tier.EXACT,)


def test_a_file_of_variants_is_measured(tmp_path):
    text = "[case.ops]\ncompare = 'gemm_variants.py'\nbudget = { 'ratio.gemm fast, M=64' = 1.5 }"
    (case,) = gates(text, tmp_path).cases
    assert (case.compare, case.tiers) == ("gemm_variants.py", (Tier.MEASURED,))
    assert case.budget == {"ratio.gemm fast, M=64": 1.5}
    assert case.fingerprint == {"program": "gemm_variants.py"}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[case.a]\ntraget = 'a.py:b'", "did you mean target"),
        ("[cases.a]\ntarget = 'a.py:b'", "did you mean case"),
        ("[case.a]\ntarget = 'a.py:b'\ntiers = ['exakt']", "did you mean exact"),
        ("[case.a]\ntarget = 'a.py:b'\nbudget = { useful_flop = 1 }", "did you mean useful_flops"),
        ("[case.a]\ntarget = 'a.py:b'\nbudget = { useful_flops = '1 TB' }", "unit 'B'"),
        ("[case.a]\ntarget = 'a.py:b'\nbudget = { mfu = '40' }", "give '%'"),
        ("[case.a]\ntarget = 'a.py:b'\nbudget = { bytes = 'many' }", "no quantity"),
        ("[case.a]\ntarget = 'a.py:b'\nscript = 'a.py'", "one of target, script, compare"),
        ("[case.a]", "one of target, script, compare"),
        ("[case.a]\ntarget = 'a.py'", "no file.py:function"),
        ("[case.a]\ntarget = 'a.py:b'\ntiers = ['modelled']", "needs a device"),
        ("[case.a]\ntarget = 'a.py:b'\nbatch = 0", "at least 1"),
        ("[case.a]\ntarget = 'a.py:b'\nmin_effect = '2 s'", "percentage"),
        ("[case.a]\ntarget = 'a.py:b'\nanchor = 'memry'", "did you mean memory"),
        ("[case.'a b']\ntarget = 'a.py:b'", "named by letters"),
        ("case = 3", "must be a table"),
        ("[case.a]\ncompare = 'a.py'\ntiers = ['exact']", "compared by their times"),
        ("[case.a]\ncompare = 'a.py'\nbatch = 3", "batch is of a target or a script"),
        ("[case.a]\ncompare = 'a.py'\nbudget = { mfu = '4%' }", "not mfu"),
        (
            "[case.a]\ntarget = 'a.py:b'\nbudget = { mfu = '4%' }",
            r"mfu is held in the measured or modelled tier, and tiers = \['exact'\] leaves",
        ),
        (
            "[case.a]\ntarget = 'a.py:b'\nbudget = { launches = 9 }",
            "launches is held in the measured tier",
        ),
    ],
)
def test_what_is_wrong_is_named(text, told, tmp_path):
    with pytest.raises(UsageError, match=told):
        gates(text, tmp_path)


def test_the_nearest_file_counts(tmp_path):
    (tmp_path / "pyproject.toml").write_text("[tool.goodput.case.a]\ntarget = 'a.py:b'")
    inner = tmp_path / "inner"
    inner.mkdir()
    (inner / "pyproject.toml").write_text("[tool.other]\nx = 1")
    assert found_from(inner).root == tmp_path
    (inner / "goodput.toml").write_text("[case.c]\ntarget = 'a.py:b'")
    assert [case.name for case in found_from(inner).cases] == ["c"]


@pytest.mark.parametrize("text", ["case = [", "<<<<<<< HEAD\n[case.a]\n>>>>>>> x\n"])
def test_what_is_no_toml_is_told(text, tmp_path):
    (tmp_path / "goodput.toml").write_text(text)
    with pytest.raises(UsageError, match="no TOML"):
        found_from(tmp_path)


def test_nothing_declared_is_told(tmp_path):
    with pytest.raises(UsageError, match="no gates are declared"):
        found_from(tmp_path)


@pytest.mark.parametrize(
    ("target", "told"),
    [
        ("a.py:step", ""),
        ("a.py:made", ""),
        ("a.py:steps", "did you mean step"),
        ("none.py:step", "there is no file"),
        ("broken.py:step", "no Python"),
        ("star.py:anything", ""),
        ("package.module:step", ""),
    ],
)
def test_a_program_that_is_not_there_is_told_before_it_runs(target, told, tmp_path):
    (tmp_path / "a.py").write_text("def step(): ...\nmade = step")
    (tmp_path / "broken.py").write_text("def step(:")
    (tmp_path / "star.py").write_text("from a import *")
    (case,) = gates(f"[case.a]\ntarget = '{target}'", tmp_path).cases
    found = fault(case, tmp_path)
    assert told in found
    assert bool(found) == bool(told)


@given(st.floats(1e-9, 1e18), st.sampled_from(["FLOP", "B", "s", "FLOP/s"]))
def test_a_quantity_is_read_back(value, unit):
    read, found = quantity(si(value, unit, 9))
    assert found == unit
    assert read == pytest.approx(value, rel=1e-6)


@pytest.mark.parametrize("name", METRICS)
def test_each_metric_s_own_text_is_a_limit(name):
    assert limit_of(name, METRICS[name].text(0.25).replace(",", "")) == pytest.approx(0.25)
