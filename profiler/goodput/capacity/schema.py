"""Whether the schema of a file is one that this goodput reads. Reads no file."""

from __future__ import annotations

from goodput.errors import SchemaVersionError, UsageError


def check_schema(schema: str, family: str, newest: int, name: str) -> None:
    """Nothing, if a file of `schema` can be read by this goodput.

    Raises:
        SchemaVersionError: its version is above `newest`.
        UsageError: it is not of `family`.
    """
    stem, _, version = schema.partition("/")
    if stem != family or not version.isdecimal():
        raise UsageError(f"{name} holds {schema!r}, not a {family} file")
    if int(version) > newest:
        raise SchemaVersionError(
            f"{name} has schema {schema}, newer than {family}/{newest} of this goodput; "
            "install a newer one: pip install --upgrade goodput-profiler"
        )
