"""Ledger files into sessions, a block at a time: a file of any size costs its columns alone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import msgspec

from goodput.errors import UsageError
from goodput.events.wire import Entry
from goodput.ledger.collect import Collector
from goodput.ledger.sessions import Session

SUFFIX = ".jsonl"
_BLOCK = 1 << 22
RANK_IN_NAME = re.compile(r"\.rank\d+$")
"""What stands in the name of a rank's file, before its ending."""
_DECODER = msgspec.json.Decoder(Entry)


def files_of(path: Path) -> list[Path]:
    """The files of the ledger `path`, one a rank, or of all ledgers in a directory.

    Raises:
        UsageError: there is none.
    """
    if path.is_dir():
        found = sorted(path.rglob(f"*{SUFFIX}"))
        if not found:
            raise UsageError(f"{path} holds no ledger (*{SUFFIX}); name a directory that does")
        return found
    ranks = sorted(path.parent.glob(f"{_glob(path.stem)}.rank*{path.suffix}"))
    found = [file for file in (path, *ranks) if file.is_file()]
    if not found:
        raise UsageError(f"there is no ledger {path}; goodput.Ledger writes one")
    return found


def _glob(name: str) -> str:
    """`name` as a pattern that means nothing else."""
    return re.sub(r"([*?\[])", r"[\1]", name)


def read(file: Path) -> list[Session]:
    """The sessions in `file`.

    A line that is cut off or no entry is told in the notes of its session.

    Raises:
        UsageError: it cannot be read.
        SchemaVersionError: a newer goodput wrote it.
    """
    collector = Collector(str(file), RANK_IN_NAME.sub("", file.stem))
    try:
        with file.open("rb") as stream:
            for block in _blocks(stream):
                _take(block, collector)
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}") from error
    return collector.sessions()


def _blocks(stream: BinaryIO) -> Iterator[bytes]:
    """The file in blocks of whole lines; the last may lack its end."""
    rest = b""
    while block := stream.read(_BLOCK):
        cut = block.rfind(b"\n") + 1
        if cut:
            yield rest + block[:cut]
            rest = block[cut:]
        else:
            rest += block
    if rest:
        yield rest


def _take(block: bytes, collector: Collector) -> None:
    try:
        entries = _DECODER.decode_lines(block)
    except msgspec.MsgspecError:
        _take_lines(block, collector)
    else:
        collector.add(entries)


def _take_lines(block: bytes, collector: Collector) -> None:
    """Line by line, where one of them is damaged."""
    good: list[Entry] = []
    damaged = cut = 0
    for line in block.splitlines(keepends=True):
        if not line.strip():
            continue
        try:
            good.append(_DECODER.decode(line))
        except msgspec.MsgspecError:
            cut, damaged = cut + (not line.endswith(b"\n")), damaged + line.endswith(b"\n")
    collector.add(good)
    if cut:
        collector.note("the last line is cut off: the writer was killed, or still writes")
    if damaged:
        collector.note(f"{damaged} lines are no events and are left out: damaged, or cut off")
