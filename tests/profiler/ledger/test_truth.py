"""Random jobs whose truth is known, because the test made them: the ledger must tell just that."""

import json
import random
from collections import Counter

import pytest

CASES = 1_000
PART = 250


class Truth:
    """A job that is simulated step by step, with whole snapshots of what it knows.

    Nothing here is shared with the accounting: each nanosecond is booked as it passes, and what
    became of a step is decided by looking at the state that the job ends with.
    """

    def __init__(self, dice, job):
        self.dice, self.job = dice, job
        self.buckets = Counter()
        self.done = []  # every step that was done: [number, nanoseconds]
        self.state = []  # places in `done` that the present state is made of
        self.durable = 0  # how many of these are on disk
        self.anew = False  # whether the process has not loaded what the job had done
        self.disk = {}  # step -> the state in that checkpoint
        self.clean = False

    def book(self, bucket, length):
        self.buckets[bucket] += length
        self.job.now += length

    def some(self):
        return self.dice.randint(1, 40)

    def life(self, first):
        dice, job = self.dice, self.job
        job.open()
        start = job.now
        if dice.random() < 0.7:
            self.book("initialisation", length := self.some())
            job.add("initialisation", start_ns=start, end_ns=start + length)
        if not first:
            self.resume()
        for _ in range(dice.randint(0, 12)):
            self.act()

    def resume(self):
        """A new process begins from a checkpoint, told or shown by its next step's number."""
        choice = self.dice.choice(["last", "any", "scratch"]) if self.disk else "scratch"
        if choice == "scratch":
            self.anew = True  # which nothing tells before the first step is tried
            return
        step = max(self.disk) if choice == "last" else self.dice.choice(sorted(self.disk))
        start, length = self.job.now, self.some()
        self.book("checkpoint_load", length)
        self.job.add("checkpoint_load", step=step, start_ns=start, end_ns=start + length)
        self.state = list(self.disk[step])
        self.durable = len(self.state)
        self.anew = False

    def act(self):
        kind = self.dice.random()
        if kind < 0.55:
            self.step()
        elif kind < 0.70:
            self.save()
        elif kind < 0.75 and self.disk:
            self.resume_here()
        elif kind < 0.82:
            self.plain("data_wait")
        elif kind < 0.88:
            self.plain("evaluation")
        elif kind < 0.94:
            self.plain("compile")
        else:
            self.book("unattributed", self.some())
            # A sign of life, without which a process that ends here would not have lived so long.
            self.job.moment("alive")

    def resume_here(self):
        step = self.dice.choice(sorted(self.disk))
        start, length = self.job.now, self.some()
        self.book("checkpoint_load", length)
        self.job.add("checkpoint_load", step=step, start_ns=start, end_ns=start + length)
        self.state = list(self.disk[step])
        self.durable = len(self.state)
        self.anew = False

    def plain(self, event):
        start, length = self.job.now, self.some()
        self.book(event, length)
        self.job.add(event, start_ns=start, end_ns=start + length)

    def step(self):
        if self.anew:
            self.state, self.durable, self.anew = [], 0, False
        number = (self.done[self.state[-1]][0] if self.state else 0) + 1
        start, length, waited = self.job.now, self.some(), 0
        if self.dice.random() < 0.3:  # a wait inside the step, which owns its time
            waited = self.dice.randint(1, length)
            self.job.add("data_wait", start_ns=start, end_ns=start + waited)
            self.buckets["data_wait"] += waited
        self.job.now += length
        ok = self.dice.random() < 0.95
        self.job.add("step", step=number, start_ns=start, end_ns=start + length, ok=ok)
        if not ok:
            self.buckets["unfinished steps"] += length - waited
            return
        self.done.append([number, length - waited])
        self.state.append(len(self.done) - 1)

    def save(self):
        if not self.state or self.anew:
            return
        number = self.done[self.state[-1]][0]
        start, length = self.job.now, self.some()
        keys = {"step": number, "start_ns": start}
        fate = self.dice.random()
        self.book("checkpoint_save", length)
        if fate < 0.85:
            self.job.add("checkpoint_save", end_ns=start + length, **keys)
            self.disk[number] = list(self.state)
            self.durable = len(self.state)
        else:
            self.job.add("checkpoint_save", end_ns=start + length, ok=False, **keys)

    def run(self):
        lives = self.dice.randint(1, 5)
        for number in range(lives):
            self.life(number == 0)
            if number < lives - 1:
                if self.dice.random() < 0.5:
                    self.job.moment("failure", cause=self.dice.choice(["ECC", "network"]))
                self.book("restart", self.some())
        if self.dice.random() < 0.5:
            self.clean = True
            self.job.end()
        else:
            self.job.moment("alive")
        self.judge()

    def judge(self):
        kept = len(self.state) if self.clean else self.durable
        fates = dict.fromkeys(self.state[:kept], "kept steps")
        fates |= dict.fromkeys(self.state[kept:], "unsaved steps")
        for place, (_, length) in enumerate(self.done):
            self.buckets[fates.get(place, "lost steps")] += length


@pytest.mark.parametrize("first", range(0, CASES, PART))
def test_a_job_is_told_as_it_was(first, lines, account):
    for seed in range(first, first + PART):
        job = lines("case.jsonl", unit=1)
        truth = Truth(random.Random(seed), job)  # noqa: S311 - a repeatable case
        truth.run()
        if job.now == 0:
            continue
        total = account(job.write()).total
        expected = {name: time for name, time in truth.buckets.items() if time}
        assert total.buckets == expected, f"seed {seed}"
        assert sum(total.buckets.values()) == total.device_ns == job.now, f"seed {seed}"


def as_rank(lines, rank, *, all_tell):
    """The lines as another rank would write them; where rank 0 tells of checkpoints, only lives."""
    for line in lines:
        entry = json.loads(line)
        if entry["event"] == "open":
            entry |= {"rank": rank, "world_size": 3, "job": "run"}
        elif rank and not all_tell and entry["event"].startswith("checkpoint"):
            entry = {"event": "alive", "time_ns": entry["end_ns"]}
        yield json.dumps(entry)


def of_three_ranks(truth, *, all_tell):
    expected = {name: 3 * time for name, time in truth.buckets.items() if time}
    if not all_tell:
        quiet = 0
        for name in {"checkpoint_save", "checkpoint_load"} & set(expected):
            expected[name] //= 3
            quiet += 2 * expected[name]
        expected["unattributed"] = expected.get("unattributed", 0) + quiet
    return {name: time for name, time in expected.items() if time}


@pytest.mark.parametrize("all_tell", [True, False])
def test_a_job_of_three_ranks_is_told_as_it_was(all_tell, lines, account):
    for seed in range(50):
        job = lines("run.jsonl", unit=1)
        truth = Truth(random.Random(seed), job)  # noqa: S311 - a repeatable case
        truth.run()
        if job.now == 0:
            continue
        written = job.lines
        for rank in (2, 1, 0):
            name = f"run.rank{rank}.jsonl" if rank else "run.jsonl"
            own = lines(name)
            own.lines = list(as_rank(written, rank, all_tell=all_tell))
            path = own.write()
        total = account(path).total
        assert total.buckets == of_three_ranks(truth, all_tell=all_tell), f"seed {seed}"
        assert sum(total.buckets.values()) == total.device_ns == 3 * job.now, f"seed {seed}"
