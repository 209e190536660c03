"""Whole waves: product shapes whose tiles fill all of a device's units every time. Pure integers.

A product of `m x n` is cut into tiles, one a unit at a time. A last wave that is not full leaves
units idle, so the library's best shape is one whose tiles are a multiple of the units, if the tile
is the one that it takes: shapes for every common tile are rivals, timed and never trusted.
"""

from __future__ import annotations

from collections.abc import Iterable

TILES = ((128, 256), (256, 128), (192, 192), (256, 192), (320, 128))
"""Rows and columns of tiles that vendor libraries take on NVIDIA's Hopper and before."""

PAIRED_TILES = ((256, 256), (256, 128), (256, 192))
"""Tiles of two units together: Blackwell's pairs; also MI300's of one."""

KINDS = ("cuda", "hip")
"""Kinds of devices that work in waves."""

MOST_WAVES = 8
"""Waves in the largest product."""

_FACES = 2
# Shapes for each number of waves: the squarest moves the fewest bytes, the next is its rival.


def tiles(m: int, n: int, tile_m: int, tile_n: int) -> int:
    """Tiles that cover `m x n`."""
    return -(-m // tile_m) * -(-n // tile_n)


def efficiency(m: int, n: int, tile_m: int, tile_n: int, units: int) -> float:
    """The share of the units' time that tiles of `m x n` fill: `T / (P ceil(T / P))`, at most 1.

    Elements of a tile beyond the edge of the result count as filled here.
    """
    count = tiles(m, n, tile_m, tile_n)
    return count / (units * -(-count // units))


def exact_products(
    units: int,
    tiles: Iterable[tuple[int, int]] = TILES,
    ks: Iterable[int] = (8192, 12288, 16384),
    most_waves: int = MOST_WAVES,
) -> tuple[tuple[int, int, int], ...]:
    """`(m, n, k)` that fill whole waves of `units`, the squarest of 1, 2, 4, ... waves.

    Args:
        units: that work at once: multiprocessors or compute units, or pairs of them.
        tiles: `(rows, columns)` of the tiles that a library may take.
        ks: lengths of the sums; short ones do not reach the peak (1024: 0.89 of it).
        most_waves: the largest number of waves.
    """
    waves = [2**power for power in range(most_waves.bit_length()) if 2**power <= most_waves]
    faces = {
        face: None  # a dict keeps the order
        for tile in tiles
        for count in waves
        for face in _squarest(units * count, *tile)
    }
    return tuple((m, n, k) for m, n in faces for k in ks)


def _squarest(count: int, tile_m: int, tile_n: int) -> list[tuple[int, int]]:
    """The faces of `count` tiles that are nearest to square."""
    divisors = [a for a in range(1, count + 1) if count % a == 0]
    faces = [(tile_m * a, tile_n * (count // a)) for a in divisors]
    return sorted(faces, key=lambda face: max(face) / min(face))[:_FACES]
