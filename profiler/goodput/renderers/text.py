"""The report for a terminal: one screen with the answer, then the tables that explain it."""

from __future__ import annotations

from datetime import datetime

from goodput.renderers.content import Content, content_of
from goodput.renderers.terminal import WIDTH, Paint, labelled, painter, sentences, table_lines
from goodput.report.model import Report


def render_text(
    report: Report, *, width: int = WIDTH, colour: bool = False, now: datetime | None = None
) -> str:
    """The report in lines of at most `width` characters.

    Args:
        report: what to say.
        width: 80 to 120 is what the tables were made for.
        colour: whether escape sequences may be used.
        now: to tell the capacity's age; left out without it.
    """
    return content_text(content_of(report, now), width=width, colour=colour)


def content_text(content: Content, *, width: int = WIDTH, colour: bool = False) -> str:
    """What a report says, in lines of at most `width` characters."""
    title = painter(colour, bold=True)
    blocks = [
        title(content.title),
        sentences("error", content.errors, width, painter(colour, fg="red", bold=True)),
        labelled(content.headline, width),
        *(table_lines(table, width, title) for table in content.tables),
        _trust(content, width, title),
        sentences("warning", content.warnings, width, painter(colour, fg="yellow")),
    ]
    return "\n\n".join(block for block in blocks if block) + "\n"


def _trust(content: Content, width: int, title: Paint) -> str:
    if not content.honesty:
        return ""
    return f"{title('How far to trust this')}\n{labelled(content.honesty, width)}"
