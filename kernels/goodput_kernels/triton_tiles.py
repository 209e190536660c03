"""Which tiles a matrix product in Triton is cut into, by chip family and math mode. Runs nothing.

A handful for each: the tournament halves them. They are the shapes that public kernels win with
(Triton's own persistent matmul tutorial; hipBLASLt's for CDNA3), cut to what compiles without a
spilled register, which a test holds for every one of them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from goodput_kernels.triton_architecture import Architecture

GROUP = 8
"""Rows of tiles that are walked together, column by column, so that operands stay in the L2."""

_ITEM_BYTES = {"float32": 4, "tf32": 4, "bfloat16": 2, "float16": 2, "float8_e4m3": 1, "int8": 1}

MODES = tuple(_ITEM_BYTES)
"""The math modes that there are tiles for."""


@dataclass(frozen=True, slots=True)
class Tile:
    """One way to cut a product, and how it is run.

    Attributes:
        m, n: rows and columns of the result that one program computes at a time.
        k_bytes: bytes of a row of each operand that are fetched at a time.
        warps, stages: warps of a program (more, where specialised); fetches under way at a time.
        descriptors: whether tiles are fetched by tensor descriptors (TMA), else by pointers.
        specialize: whether some warps only fetch and others only multiply.
        flatten: whether the loop over tiles and the loop over k become one, so that fetching the
            next tile overlaps with storing this one.
        halves: whether the result is stored in two halves, which takes half the shared memory.
        promote: products (in k) that the matrix unit sums in its own, smaller accumulator before
            they are added in float32; 0 leaves it to Triton, which on Hopper sums all of k so in
            float8 (fast accumulation).
        instruction: edge of AMD's matrix instruction; 0 leaves it to Triton.
    """

    m: int
    n: int
    k_bytes: int
    warps: int
    stages: int
    descriptors: bool = False
    specialize: bool = False
    flatten: bool = True
    halves: bool = False
    promote: int = 0
    instruction: int = 0

    def k(self, mode: str) -> int:
        """Columns of an operand that are fetched at a time."""
        return self.k_bytes // _ITEM_BYTES[mode]

    def name(self, mode: str) -> str:
        """What tells it from the others, e.g. `tma-128x256x64-w8-s4-halves`."""
        marks = {
            "specialized": self.specialize,
            "nested": self.descriptors and not self.flatten,
            "halves": self.halves,
            f"promote{self.promote}": self.promote > 0,
        }
        kind = "tma" if self.descriptors else "pointers"
        shape = f"{self.m}x{self.n}x{self.k(mode)}"
        given = [mark for mark, there in marks.items() if there]
        return "-".join([kind, shape, f"w{self.warps}", f"s{self.stages}", *given])

    def least_shared_bytes(self) -> int:
        """Shared memory of the fetches alone: no compiler gets by with less."""
        buffers = self.stages if self.descriptors else max(self.stages - 1, 1)
        return (self.m + self.n) * self.k_bytes * buffers


def tiles(mode: str, architecture: Architecture) -> tuple[Tile, ...]:
    """The tiles to try for `mode` on `architecture`; none where it lacks the mode."""
    if mode not in MODES or (mode == "float8_e4m3" and architecture.float8 is None):
        return ()
    found = _FAMILIES[architecture.family](mode)
    return tuple(t for t in found if t.least_shared_bytes() <= architecture.shared_bytes)


def _ampere(mode: str) -> tuple[Tile, ...]:
    if mode == "float32":
        return _VECTOR
    if mode == "tf32":
        return (Tile(128, 128, 128, 8, 4), Tile(128, 64, 128, 4, 3), Tile(64, 128, 128, 4, 3))
    if mode in {"int8", "float8_e4m3"}:
        # Bytes are packed and unpacked in registers, which leaves room for fewer accumulators.
        return (Tile(128, 128, 64, 8, 3), Tile(128, 128, 64, 8, 4), Tile(128, 64, 64, 4, 4))
    return (
        Tile(128, 256, 64, 8, 3),
        Tile(128, 256, 128, 8, 3),
        Tile(256, 128, 64, 8, 4),
        Tile(128, 128, 64, 4, 4),
    )


def _hopper(mode: str) -> tuple[Tile, ...]:
    if mode == "float32":
        return _VECTOR
    large = Tile(128, 256, 128, 8, 3 if _wide(mode) else 4, descriptors=True, halves=True)
    small = Tile(128, 128, 128, 4, 3 if _wide(mode) else 4, descriptors=True)
    found: tuple[Tile, ...] = (
        large,
        replace(large, stages=3, flatten=False),
        replace(large, m=256, n=128, stages=3),
        small,
    )
    if mode == "float8_e4m3":
        # The promoted sums take as many registers again: the large tile spills.
        found += (replace(small, warps=8, promote=128),)
    return found


def _blackwell(mode: str) -> tuple[Tile, ...]:
    if mode == "float32":
        return (_VECTOR[0], replace(_VECTOR[1], warps=8))
    plain = Tile(128, 256, 128, 8, 3 if _wide(mode) else 4, descriptors=True, halves=True)
    small = Tile(128, 128, 128, 4, 4, descriptors=True, specialize=True)
    if mode == "tf32":  # Triton 3.6 and 3.7 keep a second copy of the result in shared memory
        return (replace(plain, stages=2), small)
    if mode == "int8":
        return (plain, small)
    return (replace(plain, warps=4, specialize=True), plain, small)


def _cdna3(mode: str) -> tuple[Tile, ...]:
    found = (Tile(256, 128, 128, 8, 2), Tile(128, 128, 128, 4, 2))
    if mode == "float32":  # its matrix instructions take more registers: the large tile spills
        return found
    large = Tile(256, 256, 64, 8, 2, instruction=16)
    if mode in {"bfloat16", "float16"}:
        return (large, replace(large, k_bytes=128), *found)
    return (large, *found)


def _cdna4(mode: str) -> tuple[Tile, ...]:
    if mode == "tf32":  # CDNA4 has no such instruction any more
        return ()
    return tuple(tile for tile in _cdna3(mode) if tile.m * tile.k_bytes < 256 * 128)


def _wide(mode: str) -> bool:
    """Whether a result takes four bytes, so that staging it takes twice the shared memory."""
    return mode in {"tf32", "int8"}


# Strict float32 runs on the vector units, which take their factors from registers.
_VECTOR = (Tile(128, 128, 64, 8, 3), Tile(128, 64, 64, 4, 3), Tile(64, 128, 64, 4, 3))

_FAMILIES = {
    "ampere": _ampere,
    "hopper": _hopper,
    "blackwell": _blackwell,
    "cdna3": _cdna3,
    "cdna4": _cdna4,
}
