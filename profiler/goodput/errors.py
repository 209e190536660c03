"""Every error that goodput raises on purpose: one sentence each, with what to type next.

Only `cli.py` catches them; nothing here prints or exits. Beside them, how the errors of others are
told in one line.
"""

from __future__ import annotations


class GoodputError(Exception):
    """An error with advice; its text is shown to the user as it stands.

    `exit_code` is the process status that the command line ends with.
    """

    exit_code = 2


class UsageError(GoodputError):
    """What was asked for cannot be: a missing file, a negative count, an unknown name."""

    exit_code = 2


class TraceFormatError(UsageError):
    """A file is not a trace or recording that goodput can read, or it is cut off."""


class SchemaVersionError(UsageError):
    """A file was written by a newer goodput than this one."""


class WrongDeviceError(UsageError):
    """A capacity file describes another device than the recording."""


class FormulaError(UsageError):
    """A formula is registered twice, or returned something that is not work."""


class NotMeasuredError(GoodputError):
    """The measurement could not be made: no whole step, no device, no room to save."""

    exit_code = 3


class NotComparableError(GoodputError):
    """Two results have nothing in common that could be compared, e.g. unlike devices."""

    exit_code = 4


class UntrustworthyError(GoodputError):
    """A result breaks a hard limit, so it must not be read as a percentage."""

    exit_code = 5


def first_line(error: BaseException) -> str:
    """The first line of what an error of a library says; its type where it says nothing."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def typed_line(error: BaseException) -> str:
    """The type of an error of a program, and the first line of what it says."""
    return f"{type(error).__name__}: {error}".splitlines()[0]
