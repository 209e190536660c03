"""Files of other systems: what they tell comes out, and what they do not is not made up."""

import json

import pytest

from goodput.errors import TraceFormatError, UsageError
from goodput.ledger.accounts import account_of
from goodput.ledger.importers.detect import sessions_of
from goodput.ledger.importers.times import clock, nanoseconds
from goodput.ledger.jobs import jobs_of

SECOND = 10**9


@pytest.fixture
def imported(tmp_path):
    def of(content, name="run.log", **how):
        path = tmp_path / name
        path.write_text(content)
        (job,) = jobs_of(sessions_of(path, **how))
        return account_of(job)

    return of


def in_lines(*objects):
    return "".join(json.dumps(each) + "\n" for each in objects)


def entry(kind, at, **more):
    return {"job_name": "job", f"{kind}_time": at, **more}


def google_job(steps=5, length=3, start=1000.0):
    at = start
    found = [entry("job_start", at), entry("tpu_init_start", at), entry("tpu_init_end", at + 1)]
    found += [entry("training_prep_start", at + 1), entry("training_prep_end", at + 3)]
    found += [entry("data_loading_start", at + 3), entry("data_loading_end", at + 5)]
    at += 5
    for step in range(steps):
        found.append(entry("step_start", at, step_count=step))
        at += length
    return found, at


def test_entries_of_ml_goodput_measurement(imported):
    found, at = google_job()
    total = imported(in_lines(*found, entry("job_end", at))).total
    assert total.buckets == {
        "kept steps": 15 * SECOND,
        "initialisation": SECOND,
        "custom": 2 * SECOND,
        "data_wait": 2 * SECOND,
    }


def test_a_disruption_in_ml_goodput_measurement(imported):
    found, at = google_job()
    again, at = google_job(start=at + 10)
    # The second life begins with step 3 of the first: steps 3 and 4 are done again.
    for each in again:
        if "step_count" in each:
            each["step_count"] += 3
    text = json.dumps([*({"jsonPayload": one} for one in (*found, *again, entry("job_end", at)))])
    total = imported(text, "entries.json").total
    assert total.steps.kept == 8
    # The last step before the disruption never ended by what was told.
    assert total.buckets["lost steps"] == 3 * SECOND
    assert sum(total.buckets.values()) == total.device_ns


def test_events_of_resiliency(imported):
    # Its own example: 200 minutes, steps 25 to 75, two minutes a step at best.
    minute = 60
    events = [
        {"event_type": "job_started", "timestamp": 0},
        {"event_type": "checkpoint_loaded", "step": 25, "timestamp": 5 * minute, "duration": 300},
        {"event_type": "checkpoint_saved", "step": 50, "timestamp": 72 * minute, "duration": 300},
        {"event_type": "job_terminated", "timestamp": 112 * minute},
        {"event_type": "job_started", "timestamp": 127 * minute},
        {"event_type": "checkpoint_loaded", "step": 50, "timestamp": 132 * minute, "duration": 300},
        {"event_type": "checkpoint_saved", "step": 75, "timestamp": 200 * minute, "duration": 300},
    ]
    total = imported(in_lines(*events)).total
    assert total.steps.kept == 50
    assert total.buckets["restart"] == 15 * minute * SECOND
    assert total.buckets["checkpoint_load"] == 10 * minute * SECOND
    assert total.buckets["checkpoint_save"] == 10 * minute * SECOND
    assert total.buckets["unattributed"] == 40 * minute * SECOND


def span(name, start, end, flagged=True, **attributes):
    return {
        "name": name,
        "start_time_unix_nano": start * SECOND,
        "end_time_unix_nano": end * SECOND,
        "attributes": {"is_goodput_span": flagged, **attributes},
    }


SPANS = (
    span("startup.imports", 0, 10),
    span("load_checkpoint", 10, 15, iteration=0),
    span("train", 15, 35, iteration=1, end_iteration=10),
    span("checkpoint.save", 35, 40, iteration=10),
    span("checkpoint.save.io_write", 36, 39, iteration=10),
    span("something else", 0, 40, flagged=False),
    span("evaluate", 40, 42),
)


def as_otlp(each):
    attributes = [
        {"key": key, "value": {"boolValue" if key.startswith("is") else "intValue": str(value)}}
        for key, value in each["attributes"].items()
    ]
    return {
        "name": each["name"],
        "startTimeUnixNano": str(each["start_time_unix_nano"]),
        "endTimeUnixNano": str(each["end_time_unix_nano"]),
        "attributes": attributes,
    }


@pytest.mark.parametrize("form", ["lines", "otlp"])
def test_spans_of_megatron(imported, form):
    otlp = {"resourceSpans": [{"scopeSpans": [{"spans": [as_otlp(one) for one in SPANS]}]}]}
    total = imported(in_lines(*SPANS) if form == "lines" else json.dumps(otlp)).total
    assert total.buckets == {
        "kept steps": 20 * SECOND,
        "initialisation": 10 * SECOND,
        "checkpoint_load": 5 * SECOND,
        "checkpoint_save": 5 * SECOND,
        "evaluation": 2 * SECOND,
    }
    assert total.steps.kept == 10


MEGATRON = """
 [2026-01-01 00:00:20] iteration       10/    500 | consumed samples:  80 | \
elapsed time per iteration (ms): 2000.0 | throughput per GPU (TFLOP/s/GPU): 410.1 |
  successfully saved checkpoint from iteration      10 to /checkpoints
 [2026-01-01 00:00:40] iteration       20/    500 | consumed samples: 160 | \
elapsed time per iteration (ms): 2000.0 |
  successfully loaded checkpoint from /checkpoints [ t 1/1, p 1/1 ] at iteration 10
 [2026-01-01 00:02:20] iteration       20/    500 | elapsed time per iteration (ms): 2000.0 |
  successfully saved checkpoint from iteration      20 to /checkpoints
"""
TITAN = """
[titan] 2026-01-01 00:00:10,000 - root - INFO - step:  1  loss: 12.1  memory: 1GiB  tps: 1,000
[titan] 2026-01-01 00:00:28,000 - root - INFO - step: 10  loss: 10.1  memory: 1GiB  tps: 1,000
[titan] 2026-01-01 00:00:33,000 - root - INFO - Finished saving the checkpoint in 5.00 seconds.
[titan] 2026-01-01 00:00:53,000 - root - INFO - step: 20  loss:  9.1  memory: 1GiB  tps: 1,000
"""
MAXTEXT = """
completed step: 0, seconds: 20.000, TFLOP/s/device: 9.1, Tokens/s/device: 100.1, loss: 10.9
completed step: 1, seconds: 2.000, TFLOP/s/device: 91.1, Tokens/s/device: 1000.1, loss: 10.8
Saved a checkpoint at step 1.
completed step: 2, seconds: 2.000, TFLOP/s/device: 91.1, Tokens/s/device: 1000.1, loss: 10.7
"""
HUGGINGFACE = """
 10%|#         | 10/100 [00:20<03:00,  2.00s/it]
Saving model checkpoint to out/checkpoint-10
 20%|##        | 20/100 [00:45<02:40,  2.00s/it]
"""


@pytest.mark.parametrize(
    ("text", "trainer", "kept", "unsaved", "seconds"),
    [
        (MEGATRON, "megatron", 20, 0, 40),
        (TITAN, "torchtitan", 9, 10, 18),
        (MAXTEXT, "maxtext", 2, 1, 22),
        (HUGGINGFACE, "huggingface", 0, 10, 0),
    ],
)
@pytest.mark.parametrize("told", [True, False])
def test_logs_of_trainers(imported, text, trainer, kept, unsaved, seconds, told):
    total = imported(text, source=trainer if told else None).total
    assert (total.steps.kept, total.steps.unsaved) == (kept, unsaved)
    assert total.buckets.get("kept steps", 0) == seconds * SECOND
    assert sum(total.buckets.values()) == total.device_ns


def test_what_megatron_did_again_is_lost(imported):
    total = imported(MEGATRON).total
    assert total.steps.lost == 10
    assert total.buckets["lost steps"] == 20 * SECOND


def test_a_pattern_of_ones_own(imported):
    text = "".join(f"epoch 1 it={n} took 0.5s\n" for n in range(1, 5))
    total = imported(text, pattern=r"it=(?P<step>\d+) took (?P<seconds>[\d.]+)s").total
    assert total.buckets == {"unsaved steps": 2 * SECOND}


@pytest.mark.parametrize(("pattern", "told"), [("(", "no regular"), ("x(?P<a>1)", "group")])
def test_a_pattern_that_is_none(imported, pattern, told):
    with pytest.raises(UsageError, match=told):
        imported("x", pattern=pattern)


SACCT = """JobID|Submit|Start|End|State|AllocTRES
77|2026-01-01T00:00:00|2026-01-01T00:10:00|2026-01-01T01:10:00|NODE_FAIL|cpu=8,gres/gpu=4
77.batch|2026-01-01T00:10:00|2026-01-01T00:10:00|2026-01-01T01:10:00|FAILED|cpu=8
77|2026-01-01T01:10:00|2026-01-01T01:20:00|2026-01-01T02:00:00|COMPLETED|cpu=8,gres/gpu=4
"""


def test_slurm_alone_tells_the_layer_below(imported):
    found = imported(SACCT)
    hour = 3600 * SECOND
    assert found.job == "77"
    assert found.total.device_ns == 2 * 4 * hour
    assert found.total.buckets["queue"] == 4 * hour // 3
    assert found.total.infrastructure == pytest.approx(100 / 120)
    assert found.causes[0].cause == "NODE_FAIL"


def test_slurm_beside_a_ledger_of_its_job(tmp_path, lines):
    (tmp_path / "sacct.txt").write_text(SACCT)
    job = lines("job.jsonl")
    job.now = nanoseconds("2026-01-01T00:12:00")
    job.open(job="77", devices=4).steps(1, 58, 60).span("checkpoint_save", 0, step=58)
    job.now = nanoseconds("2026-01-01T01:25:00")
    job.open(job="77", devices=4).steps(59, 93, 60).end()
    files = [tmp_path / "sacct.txt", job.write()]
    (found,) = jobs_of([session for file in files for session in sessions_of(file)])
    total = account_of(found).total
    minute = 4 * 60 * SECOND
    assert total.buckets == {
        "kept steps": 93 * minute,
        "queue": 20 * minute,
        "allocation": 7 * minute,
    }


def test_a_table_that_lacks_a_column(imported):
    with pytest.raises(TraceFormatError, match="needed columns"):
        imported("JobID|Start\n1|x\n", source="sacct")


def test_a_file_of_nothing(imported):
    with pytest.raises(UsageError, match="--from says what it is of"):
        imported("nothing here\n", source="megatron")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (12, 12 * SECOND),
        (1.5, 1_500_000_000),
        ("1970-01-01T00:00:01Z", SECOND),
        ("1970-01-01 00:00:01,250", 1_250_000_000),
        ("1970-01-01T01:00:00+01:00", 0),
    ],
)
def test_times(text, expected):
    assert nanoseconds(text) == expected


def test_a_time_that_is_none():
    with pytest.raises(TraceFormatError, match="is no time"):
        nanoseconds("yesterday")
    with pytest.raises(TraceFormatError, match="is no time"):
        clock("1:xx")


def test_times_on_a_clock():
    assert [clock("1:02:03"), clock("02:03"), clock("1-00:00:01")] == [
        3723 * SECOND,
        123 * SECOND,
        86_401 * SECOND,
    ]
