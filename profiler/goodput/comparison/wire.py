"""What the parent asks of a process and what that answers: one JSON message a line.

Every answer bears the nonce of the request, so that what a variant writes is taken for none.
"""

from __future__ import annotations

import os
from typing import IO, TypeAlias

import msgspec


class Chosen(msgspec.Struct, frozen=True, kw_only=True):
    """What a tuner of Triton's chose in another process: see `triton_tuned.Choice`."""

    kernel: str
    key: str
    config: str


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What one process is to do.

    Attributes:
        task: `describe`, `count`, `sample` or `target`.
        nonce: of every answer.
        file: the user's file; "" where `study` is given.
        study: a pickled study; empty where `file` is given.
        operator: which study of the file.
        cases: places of its cases.
        entries: names of what is timed in each case, the reference among them or not.
        seed: of all values and orders.
        trust: the level's name.
        check: whether to check before the timing and on held-back shapes.
        bound: of each case, for the anchor; by its place.
        architectures: chips to compile Triton kernels for.
        choices: of Triton's tuners, made in an earlier process, and not to be made again.
    """

    task: str
    nonce: str
    file: str = ""
    study: bytes = b""
    operator: str = ""
    cases: tuple[int, ...] = ()
    entries: dict[int, tuple[str, ...]] = {}
    seed: int = 0
    trust: str = "standard"
    check: bool = False
    bound: dict[int, str] = {}
    architectures: tuple[str, ...] = ()
    choices: tuple[Chosen, ...] = ()


class Answer(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind"):
    """The fields of every answer; `case` is a place, -1 of none, and `entry` a name, "" of all."""

    nonce: str
    case: int = -1
    entry: str = ""


class At(Answer, frozen=True, kw_only=True, tag="at"):
    """What is being done now: whose fault it is if nothing more is heard."""

    stage: str


class Described(Answer, frozen=True, kw_only=True, tag="described"):
    """One study: `entry` is its operator."""

    reference: str
    calls: tuple[str, ...]
    cases: tuple[str, ...]
    parameters: tuple[dict[str, str], ...]
    faults: dict[str, str]


class Counted(Answer, frozen=True, kw_only=True, tag="counted"):
    """What one call of one entry needs, counted on its shapes."""

    useful_flops: dict[str, int]
    executed_flops: int
    vector_flops: int
    special: int
    moved_bytes: int
    operators: dict[str, int]
    products: tuple[tuple[int, int, int, int, str], ...]
    tensor_bytes: int
    missing: tuple[str, ...]


class Trouble(Answer, frozen=True, kw_only=True, tag="trouble"):
    """Something could not be done; `verdict` is that of the row, `ERROR` or a worse one."""

    text: str
    verdict: str = "ERROR"


class Checked(Answer, frozen=True, kw_only=True, tag="checked"):
    """What the checks of one entry found beside troubles."""

    error: float | None
    native_error: float | None
    deterministic: bool | None
    notes: tuple[str, ...] = ()


class Memory(Answer, frozen=True, kw_only=True, tag="memory"):
    """The memory that a call takes at most."""

    peak_bytes: int


class Tuned(Answer, frozen=True, kw_only=True, tag="tuned"):
    """A tuner of Triton's chose; `carried` says whether other processes can be given it."""

    choice: Chosen
    seconds: float
    carried: bool


class HeldBack(Answer, frozen=True, kw_only=True, tag="held_back"):
    """The cases that nobody named and that variants were held to, and what that took in all."""

    names: tuple[str, ...]
    seconds: float


class Note(Answer, frozen=True, kw_only=True, tag="note"):
    """A sentence for the report."""

    text: str


class Timed(Answer, frozen=True, kw_only=True, tag="timed"):
    """The calls of one case in one process: seconds by entry, and of the anchor.

    `flush_bytes` are written between two calls, and `cache_bytes` is what the last cache holds, 0
    where that is not known.
    """

    anchor: tuple[float, ...]
    calls: dict[str, tuple[float, ...]]
    trains: dict[str, int]
    first_seconds: dict[str, float]
    device: str
    cache_bytes: int = 0
    flush_bytes: int = 0


class Resources(Answer, frozen=True, kw_only=True, tag="resources"):
    """One Triton kernel of an entry, as it was launched or compiled for a chip that is not here.

    What one launch of it does is all None where it could not be counted; `mode` is that of its
    products.
    """

    architecture: str
    kernel: str
    config: str
    registers: int
    spilled_bytes: int
    shared_bytes: int
    matrix_instructions: int
    mode: str = ""
    executed_flops: int | None = None
    vector_flops: int | None = None
    special: int | None = None
    moved_bytes: int | None = None


class End(Answer, frozen=True, kw_only=True, tag="end"):
    """All is done.

    Attributes:
        versions: of the frameworks that were loaded.
        seconds: that the process's own clock counted since its request.
    """

    versions: dict[str, str]
    seconds: float


Message: TypeAlias = (
    At
    | Described
    | Counted
    | Memory
    | Trouble
    | Checked
    | HeldBack
    | Note
    | Timed
    | Tuned
    | Resources
    | End
)

_decoder = msgspec.json.Decoder(Message)
_encoder = msgspec.json.Encoder()


def decoded(line: bytes, nonce: str) -> Message | None:
    """The answer in `line`; None where it is none, or not of this request."""
    try:
        answer = _decoder.decode(line)
    except msgspec.DecodeError:
        return None
    return answer if answer.nonce == nonce else None


class Wire:
    """The worker's end.

    Args:
        stream: where answers go.
        nonce: of the request.
    """

    def __init__(self, stream: IO[bytes], nonce: str) -> None:
        self._stream = stream
        self.nonce = nonce

    def say(self, answer: Message) -> None:
        """Sends one answer."""
        self._stream.write(_encoder.encode(answer) + b"\n")
        self._stream.flush()

    def at(self, stage: str, case: int = -1, entry: str = "") -> None:
        """Says what comes now."""
        self.say(At(nonce=self.nonce, stage=stage, case=case, entry=entry))

    def trouble(self, text: str, case: int = -1, entry: str = "", verdict: str = "ERROR") -> None:
        """Says what could not be done."""
        self.say(Trouble(nonce=self.nonce, text=text, case=case, entry=entry, verdict=verdict))

    def note(self, text: str, case: int = -1, entry: str = "") -> None:
        """Says something for the report."""
        self.say(Note(nonce=self.nonce, text=text, case=case, entry=entry))


def opened(descriptor: int) -> IO[bytes]:
    """The stream of a descriptor that only this process and not its children have."""
    os.set_inheritable(descriptor, False)  # noqa: FBT003 - its own signature
    return os.fdopen(descriptor, "wb")
