"""The directory for what a measurement writes on its way; it is gone afterwards."""

from __future__ import annotations

import tempfile

from goodput.errors import NotMeasuredError


def scratch() -> tempfile.TemporaryDirectory[str]:
    """A new directory, removed when closed.

    Raises:
        NotMeasuredError: there is no place for one.
    """
    try:
        return tempfile.TemporaryDirectory(prefix="goodput-", ignore_cleanup_errors=True)
    except OSError as error:
        raise NotMeasuredError(
            f"no temporary directory can be made ({error.strerror}); set TMPDIR to a directory "
            "with room"
        ) from error
