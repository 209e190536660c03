"""The command without a process: what it chooses, what it refuses, its exit status."""

import json

import pytest

from goodput.cli import status_of
from goodput.commands import compared
from goodput.comparison.experiment import Calls, Collected, Experiment, Place
from goodput.comparison.wire import Described, Trouble
from goodput.errors import UsageError
from goodput.frontends.nvidia_clocks import Reading

STUDY = Described(
    nonce="",
    entry="gemm",
    reference="aten",
    calls=("aten", "triton_v1", "triton_v2", "other"),
    cases=("M=512", "M=4096"),
    parameters=({"M": "512"}, {"M": "4096"}),
    faults={},
)


@pytest.fixture
def plans(monkeypatch):
    """The plans that would have been measured; two processes of equal times each."""
    made = []

    def sample(self, _):
        made.append(self.plan)
        for case in self.plan.cases:
            for place, entry in enumerate(self.plan.entries):
                times = Calls((1.0 + place,), (1.0,), None)
                self.collected.calls[case, entry] = dict.fromkeys(range(12), times)

    monkeypatch.setattr(compared, "described", lambda *_: (STUDY,))
    monkeypatch.setattr(Experiment, "count", lambda _: None)
    monkeypatch.setattr(Experiment, "sample", sample)
    return made


@pytest.fixture
def file(tmp_path):
    place = tmp_path / "variants.py"
    place.touch()
    return str(place)


def test_variants_and_cases_are_chosen_by_name(plans, file):
    options = ["-k", "triton", "--case", "M=4096", "--no-capacity"]
    assert status_of(["compare", file, *options]) == 0
    [plan] = plans
    assert plan.entries == ("aten", "triton_v1", "triton_v2")
    assert plan.cases == (1,)
    assert plan.processes == 10  # three pairs: ceil(log2(200 x 3))


@pytest.mark.parametrize(
    ("options", "pairs"), [([], 12), (["-k", "other"], 2), (["-k", "other", "--case", "M=512"], 1)]
)
def test_the_number_of_processes_is_that_of_the_pairs(plans, file, options, pairs):
    from goodput.measure.families import processes_for

    assert status_of(["compare", file, "--no-capacity", *options]) == 0
    assert plans[0].processes == processes_for(pairs)


def test_json_is_alone_on_stdout(plans, file, capfd):
    assert status_of(["compare", file, "--no-capacity", "--json", "-", "--seed", "7"]) == 0
    content = json.loads(capfd.readouterr().out)
    assert content["comparisons"][0]["seed"] == plans[0].seed == 7


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["-k", "pallas"], "nothing is left of -k pallas: there are aten, triton_v1"),
        (["--case", "M=7"], "nothing is left of --case M=7"),
        (["--case", "M"], "write a parameter and its value"),
        (["--no-capacity", "--plot", "x.svg"], "leave out"),
        (["--trust", "blind"], "blind"),
    ],
)
def test_what_cannot_be_is_usage(plans, file, options, words, capfd):
    assert status_of(["compare", file, *options]) == 2
    assert words in capfd.readouterr().err
    assert not plans


def test_no_file_is_usage(capfd):
    assert status_of(["compare", "nowhere.py"]) == 2
    assert "there is no file nowhere.py" in capfd.readouterr().err


@pytest.mark.parametrize(("verdict", "status"), [("INCORRECT", 5), ("SUSPECT", 5), ("ERROR", 0)])
def test_the_status_is_that_of_the_worst_row(plans, file, monkeypatch, verdict, status):
    sample = Experiment.sample

    def with_trouble(self, bound):
        sample(self, bound)
        self.collected.troubles[0, "other"] = Trouble(nonce="", text="x", verdict=verdict)

    monkeypatch.setattr(Experiment, "sample", with_trouble)
    assert status_of(["compare", file, "--no-capacity"]) == status
    assert plans


def test_where_nothing_was_measured_the_status_is_3(plans, file, monkeypatch):
    monkeypatch.setattr(Experiment, "sample", lambda *_: None)
    assert status_of(["compare", file, "--no-capacity"]) == 3
    assert not plans


def test_an_unknown_level_is_refused_from_python(plans):
    with pytest.raises(UsageError, match="audit"):
        compared.comparisons(Place("f.py"), compared.Choice(trust="blind"))
    assert not plans
    assert Collected().calls == {}


def test_clocks_are_those_of_a_device_at_work():
    readings = [
        Reading(0.0, hertz, None, None, None, None, reasons, "")
        for hertz, reasons in ((0.3e9, 0x1), (1.98e9, 0), (1.5e9, 0x4), (1.7e9, 0x2), (None, 0))
    ]
    found = compared.clocks_of(readings)
    assert (found.low_hz, found.median_hz, found.high_hz) == (1.5e9, 1.7e9, 1.98e9)
    assert found.slowed == pytest.approx(1 / 3)
    assert compared.clocks_of(readings[:1]) is None
