"""Published examples, to the digit."""

import pytest

from goodput.events.account import Ideal

MINUTE = 60 * 10**9
HOUR = 60 * MINUTE


@pytest.fixture
def two_hundred_minutes(lines):
    # AI-Hypercomputer/resiliency's README: steps 25 to 75 net, ideal 2 minutes, 200 minutes in all.
    job = lines(unit=MINUTE).open()
    job.span("checkpoint_load", 5, step=25).steps(26, 50, 2.5)
    job.span("checkpoint_save", 5, step=50).steps(51, 66, 2.5)
    job.moment("failure", cause="machine lost").wait(15)
    job.open().span("checkpoint_load", 5, step=50).steps(51, 75, 2.5)
    return job.span("checkpoint_save", 5, step=75).write()


def test_the_200_minute_job(two_hundred_minutes, account):
    found = account(two_hundred_minutes, Ideal(2 * MINUTE, None, "by hand"))
    total = found.total
    assert total.device_ns == 200 * MINUTE
    assert total.goodput == 0.5
    losses = {
        "checkpoint_load": 0.05,
        "lost steps": 0.20,
        "restart": 0.075,
        "checkpoint_save": 0.05,
    }
    for bucket, share in losses.items():
        assert total.buckets[bucket] == share * total.device_ns, bucket
    assert total.slowdown_ns == 0.125 * total.device_ns
    assert (total.infrastructure, total.framework) == (185 / 200, 125 / 185)
    assert total.program == 0.8
    product = total.infrastructure * total.framework * total.program
    assert product == pytest.approx(0.5, rel=1e-15)


def test_without_an_ideal_the_200_minute_job_has_two_layers(two_hundred_minutes, account):
    found = account(two_hundred_minutes)
    assert found.layers_known == 2
    assert found.total.program is None
    assert found.total.goodput == 125 / 200


def test_1200_planned_hours_with_125_lost(lines, account):
    # AWS: 1,200 hours were planned, 125 of them lost to failures: 89.6 %.
    job = lines(unit=HOUR).open().steps(1, 500, 1).span("checkpoint_save", 0, step=500)
    job.moment("failure", cause="NVLink").wait(75).open().steps(501, 900, 1)
    job.span("checkpoint_save", 0, step=900).moment("failure", cause="disk").wait(50)
    job.open().steps(901, 1075, 1).end()
    total = account(job.write()).total
    assert total.device_ns == 1200 * HOUR
    assert total.device_ns - total.kept_ns == 125 * HOUR
    assert f"{100 * total.goodput:.1f}" == "89.6"


def mlg_job(job, steps=5):
    # ml-goodput-measurement's own tests: 1 s of initialisation, 2 s of preparation, 2 s of data,
    # steps of 3 s of which the first starts up for 5 s longer.
    job.open().span("initialisation", 1).span("event", 0)
    job.span("custom", 2, name="training preparation").span("data_wait", 2)
    job.span("compile", 5)
    return job.steps(0, steps - 1, 3)


def test_five_steps_of_three_seconds(lines, account):
    total = account(mlg_job(lines()).end().write()).total
    assert total.goodput == pytest.approx(15 / 25)
    assert total.buckets == {
        "kept steps": 15 * 10**9,
        "initialisation": 10**9,
        "compile": 5 * 10**9,
        "data_wait": 2 * 10**9,
        "custom": 2 * 10**9,
    }
    assert total.custom == {"training preparation": 2 * 10**9}


def test_five_steps_of_which_a_disruption_wastes_two(lines, account):
    job = mlg_job(lines()).span("checkpoint_save", 0, step=2).wait(10)
    mlg_job(job, 0).steps(3, 4, 3).end()
    total = account(job.write()).total
    assert total.buckets["lost steps"] == 6 * 10**9
    assert total.buckets["kept steps"] == 15 * 10**9
    assert total.buckets["restart"] == 10 * 10**9
    assert sum(total.buckets.values()) == total.device_ns
