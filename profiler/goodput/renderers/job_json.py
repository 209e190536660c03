"""A job's account as JSON, `goodput.job/1`: device nanoseconds, ratios 1.0 = 100 %."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from goodput.events.account import Account, JobAccount
from goodput.renderers.job import losses

SCHEMA = "goodput.job/1"
"""Its number changes only when the meaning of a key does; keys are added freely."""


def job_json(jobs: Sequence[JobAccount], unread: Sequence[str] = ()) -> str:
    """One job, or with several a list under `jobs`."""
    if len(jobs) == 1 and not unread:
        content = {"schema": SCHEMA, **_job(jobs[0])}
    else:
        content = {"schema": SCHEMA, "jobs": [_job(job) for job in jobs], "unread": list(unread)}
    return msgspec.json.format(msgspec.json.encode(content), indent=2).decode() + "\n"


def _job(job: JobAccount) -> dict[str, Any]:
    return {
        "job": job.job,
        "state": job.state,
        "devices": job.devices,
        "layers_known": job.layers_known,
        **_account(job.total),
        "ideal": msgspec.to_builtins(job.ideal),
        "causes": [
            {**msgspec.to_builtins(cause), "total_ns": cause.total_ns} for cause in job.causes
        ],
        "incarnations": [
            {**msgspec.to_builtins(each), "account": _account(each.account)}
            for each in job.incarnations
        ],
        "windows": [_account(each) for each in job.windows],
        "rolling": [_account(each) for each in job.rolling],
        "spread": msgspec.to_builtins(job.spread),
        "notes": job.notes,
        "errors": job.errors,
    }


def _account(account: Account) -> dict[str, Any]:
    return {
        "start_ns": account.start_ns,
        "end_ns": account.end_ns,
        "device_ns": account.device_ns,
        "infrastructure": account.infrastructure,
        "framework": account.framework,
        "program": account.program,
        "goodput": account.goodput,
        "kept_ns": account.kept_ns,
        "ideal_ns": account.ideal_ns,
        "tokens": account.tokens,
        "steps": {**msgspec.to_builtins(account.steps), "done": account.steps.done},
        "buckets": account.buckets,
        "custom": account.custom,
        "losses": [
            {
                "layer": bucket.layer,
                "bucket": bucket.name,
                "device_ns": time,
                "share": time / account.device_ns if account.device_ns else None,
            }
            for bucket, time in losses(account)
        ],
    }
