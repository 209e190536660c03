"""The examples for GitHub: what runs strangers' code has no rights, what has rights runs none."""

import re
from importlib.resources import files

import pytest

from goodput.cli import goodput
from goodput.commands.check import command
from goodput.renderers.check_markdown import MARKER

yaml = pytest.importorskip("yaml")
EXAMPLES = files("goodput.gates").joinpath("examples")


def example(name: str):
    text = EXAMPLES.joinpath(name).read_text(encoding="utf-8")
    return text, yaml.safe_load(text)


def steps(workflow) -> list[dict]:
    return [step for job in workflow["jobs"].values() for step in job["steps"]]


def test_the_action_types_options_that_are_there() -> None:
    text, action = example("action.yml")
    assert action["runs"]["using"] == "composite"
    known = {name for item in command.params for name in (*item.opts, *item.secondary_opts)}
    assert set(re.findall(r"(--[a-z]+) ", text)) <= known
    assert goodput.get_command(None, "check") is command
    for step in action["runs"]["steps"]:
        if "run" in step:
            assert step["shell"] == "bash"
            # An input in a script would be run as a part of it.
            assert "${{" not in step["run"]
    given = set(re.findall(r"inputs\.(\w+)", text))
    assert given == set(action["inputs"])


def test_what_runs_the_pull_request_may_write_nothing() -> None:
    text, workflow = example("check.yml")
    assert workflow["permissions"] == {"contents": "read"}
    assert "pull_request" in workflow[True]  # `on`, to a reader of YAML 1.1
    assert "pull_request_target" not in text.replace("#", "")
    assert "secrets" not in text
    checkout = steps(workflow)[0]["with"]
    assert checkout == {"fetch-depth": 0, "persist-credentials": False}


def test_what_may_comment_runs_nothing_of_the_pull_request() -> None:
    text, workflow = example("comment.yml")
    assert list(workflow[True]) == ["workflow_run"]
    assert workflow[True]["workflow_run"]["workflows"] == [example("check.yml")[1]["name"]]
    assert "checkout" not in text
    assert not any("run" in step for step in steps(workflow))
    assert workflow["permissions"] == {"actions": "read", "pull-requests": "write"}
    assert MARKER in text


def test_the_artifact_of_one_is_what_the_other_reads() -> None:
    action, comment = example("action.yml")[0], steps(example("comment.yml")[1])[0]
    assert "goodput-${{ inputs.tier }}" in action
    assert comment["with"]["name"] == "goodput-exact"
    assert "goodput.md" in action
