"""`goodput doctor`: what on this machine will spoil a measurement."""

from __future__ import annotations

from pathlib import Path

import click

from goodput.commands.streams import report_stream
from goodput.errors import NotMeasuredError


@click.command(name="doctor", short_help="Say what on this machine spoils a measurement.")
@click.option("--json", metavar="FILE|-", help="Write what was found as JSON; - is stdout, alone.")
def command(*, json: str | None) -> int:
    """Look for what will spoil a measurement here: load, clocks, quotas, settings, jitter.

    Nothing is changed, and no framework is imported. The status is 0 whatever is found.
    """
    import msgspec

    from goodput.commands.output import print_text, write_file
    from goodput.frontends.host_device import cores_in_use, cpu_identity
    from goodput.gates.machine import looked_at
    from goodput.measure.clock import HostClock

    with report_stream(alone=json == "-") as stream:
        found = looked_at(cores_in_use(), HostClock())
        whole = {
            "schema": "goodput.doctor/1",
            "device": cpu_identity(),
            "symptoms": [{**msgspec.to_builtins(one), "spoils": one.spoils} for one in found],
        }
        as_json = msgspec.json.format(msgspec.json.encode(whole), indent=1).decode() + "\n"
        spoiling = sum(one.spoils for one in found)
        noun = "thing" if spoiling == 1 else "things"
        lines = [f"goodput doctor: {cpu_identity().name}", ""]
        lines += [f"{'!' if one.spoils else ' '} {one.subject:10} {one.told}" for one in found]
        lines += ["", f"{spoiling} {noun} will spoil a measurement here"]
        lines += [f"  {one.subject}: {one.advice}" for one in found if one.spoils]
        text = as_json if json == "-" else "\n".join(lines) + "\n"
        written = json in {None, "-"} or write_file(Path(str(json)), as_json)
        printed = print_text(text, stream)
    return 0 if written and printed else NotMeasuredError.exit_code
