"""Processes that hang, die, lie or answer: what the parent makes of each, with a small worker."""

import json
import time
from dataclasses import replace
from pathlib import Path

import pytest

from goodput.comparison import processes
from goodput.comparison.experiment import Collected, Experiment, Place, Plan, digest_of
from goodput.comparison.processes import Outcome, outcome_of
from goodput.comparison.wire import At, Chosen, Described, End, Request, Timed, Tuned, decoded
from goodput.errors import NotMeasuredError

WORKER = """
import json, os, signal, sys, time
stream = os.fdopen(int(sys.argv[1]), "wb")
asked = json.loads(sys.stdin.read())
def say(**answer):
    stream.write(json.dumps({"nonce": asked["nonce"], **answer}).encode() + b"\\n"); stream.flush()
say(kind="at", stage="work", case=0, entry="b")
"""


@pytest.fixture
def worker(tmp_path, monkeypatch):
    def write(rest):
        (tmp_path / "small_worker.py").write_text(WORKER + rest)
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))
        monkeypatch.setattr(processes, "_WORKER", "small_worker")
        return outcome_of(Request(task="sample", nonce="secret"), 3.0)

    return write


def test_an_end_is_an_end(worker):
    outcome = worker('say(kind="end", versions={}, seconds=1.0)')
    assert outcome.death == ""
    assert isinstance(outcome.answers[0], End)


@pytest.mark.parametrize(
    ("rest", "words"),
    [
        ("time.sleep(60)", "it hangs: no answer for 3 s"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "SIGKILL (out of memory?)"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", "SIGSEGV"),
        ("print('last words'); sys.exit(4)", "status 4: last words"),
        ("os._exit(0)", "ended by itself before it was done"),
    ],
)
def test_a_death_is_told_with_its_place(worker, rest, words):
    outcome = worker(rest)
    assert words in outcome.death
    assert outcome.last == At(nonce="secret", stage="work", case=0, entry="b")


def test_what_bears_another_nonce_is_no_answer(worker):
    lie = 'say(nonce="guess", kind="note", text="all is well"); stream.write(b"no JSON\\n")'
    outcome = worker(f'{lie}\nsay(kind="end", versions={{}}, seconds=1.0)')
    assert [type(answer) for answer in outcome.answers] == [End]


def test_children_of_a_worker_end_with_it(worker, tmp_path):
    pid = tmp_path / "pid"
    sleeping = "import subprocess\nchild = subprocess.Popen(['sleep', '99'])\n"
    worker(f"{sleeping}open({str(pid)!r}, 'w').write(str(child.pid))\ntime.sleep(60)")
    status = Path("/proc") / pid.read_text() / "stat"
    time.sleep(0.2)
    assert not status.exists() or status.read_text().split()[2] == "Z"


def test_decoding_refuses_what_is_no_message():
    assert decoded(b"{", "n") is None
    assert decoded(json.dumps({"kind": "end", "nonce": "n"}).encode(), "n") is None


def plan():
    described = Described(
        nonce="",
        entry="gemm",
        reference="a",
        calls=("a", "b", "c"),
        cases=("M=1", "M=2"),
        parameters=({"M": "1"}, {"M": "2"}),
        faults={},
    )
    return Plan(Place("f.py"), described, (0, 1), ("a", "b", "c"), 2, "fast", 5)


def timed(case, names):
    return Timed(
        nonce="",
        case=case,
        anchor=(1.0,),
        calls=dict.fromkeys(names, (1.0,)),
        trains={},
        first_seconds={},
        device="cpu",
    )


def test_after_a_death_the_others_go_on_without_the_culprit(monkeypatch):
    asked = []

    def answer(request, *_):
        asked.append(request.entries)
        if "b" in request.entries.get(1, ()):
            last = At(nonce="", stage="timed calls", case=1, entry="b")
            return Outcome([timed(0, request.entries[0])], last, "its process was ended by SIGSEGV")
        return Outcome([timed(case, names) for case, names in request.entries.items()])

    monkeypatch.setattr("goodput.comparison.experiment.outcome_of", answer)
    experiment = Experiment(plan(), lambda _: None)
    experiment.sample({})
    assert asked == [
        {0: ("a", "b", "c"), 1: ("a", "b", "c")},
        {1: ("a", "c")},
        {0: ("a", "b", "c"), 1: ("a", "c")},
    ]
    assert "SIGSEGV, during timed calls" in experiment.collected.trouble(1, "b").text
    assert experiment.collected.trouble(0, "b") is None
    assert set(experiment.collected.calls[1, "c"]) == {0, 1}


def test_a_reference_that_dies_takes_its_case_with_it(monkeypatch):
    def answer(request, *_):
        if 0 in request.entries:
            return Outcome([], At(nonce="", stage="x", case=0, entry="a"), "it hangs")
        return Outcome([timed(case, names) for case, names in request.entries.items()])

    monkeypatch.setattr("goodput.comparison.experiment.outcome_of", answer)
    experiment = Experiment(plan(), lambda _: None)
    experiment.sample({})
    assert "the reference: it hangs" in experiment.collected.trouble(0, "c").text
    assert (0, "c") not in experiment.collected.calls
    assert (1, "c") in experiment.collected.calls


def test_a_file_that_cannot_be_loaded_ends_all(monkeypatch):
    monkeypatch.setattr(
        "goodput.comparison.experiment.outcome_of", lambda *_: Outcome(death="status 1")
    )
    experiment = Experiment(plan(), lambda _: None)
    experiment.sample({})
    assert experiment.collected.trouble(1, "b").text == "status 1"
    assert isinstance(experiment.collected, Collected)


def test_what_a_tuner_chose_in_one_process_is_given_to_the_next(monkeypatch):
    asked = []
    choice = Chosen(kernel="m.kernel", key="(64,)", config="block: 64")

    def answer(request, *_):
        asked.append(request.choices)
        tuned = Tuned(nonce="", case=0, entry="b", choice=choice, seconds=0.5, carried=True)
        first = [tuned] if not request.choices else []
        return Outcome([timed(case, names) for case, names in request.entries.items()] + first)

    monkeypatch.setattr("goodput.comparison.experiment.outcome_of", answer)
    experiment = Experiment(plan(), lambda _: None)
    experiment.sample({})
    assert asked == [(), (choice,)]
    assert experiment.collected.tuning_seconds((0, "b")) == 0.5


def test_a_file_that_changes_between_processes_is_no_measurement(monkeypatch, tmp_path):
    file = tmp_path / "variants.py"
    file.write_text("first")
    watched = replace(plan(), place=Place(str(file), digest=digest_of(file)))

    def answer(request, *_):
        file.write_text("second")
        return Outcome([timed(case, names) for case, names in request.entries.items()])

    monkeypatch.setattr("goodput.comparison.experiment.outcome_of", answer)
    with pytest.raises(NotMeasuredError, match="changed while it was measured"):
        Experiment(watched, lambda _: None).sample({})
