"""Whole waves on real devices, and the share that any shape fills."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from goodput_kernels.waves import PAIRED_TILES, TILES, efficiency, exact_products, tiles

edges = st.integers(1, 20000)


@pytest.mark.parametrize(
    ("m", "n", "tile", "units", "expected"),
    [
        (2048, 2048, (128, 256), 132, 128 / 132),
        (4096, 4096, (128, 256), 132, 512 / 528),
        (8192, 8192, (128, 256), 132, 2048 / 2112),
        (16384, 16384, (128, 256), 132, 8192 / (132 * 63)),
        (2816, 1536, (128, 256), 132, 1),  # Hopper
        (2816, 3072, (128, 256), 132, 1),
        (2816, 6144, (128, 256), 132, 1),
        (8192, 8448, (128, 256), 132, 1),
        (2304, 1536, (128, 256), 108, 1),  # A100
        (4864, 4096, (256, 256), 304, 1),  # MI300X
        (9728, 8192, (256, 256), 304, 1),
    ],
)
def test_known_shapes(m, n, tile, units, expected):
    assert efficiency(m, n, *tile, units) == pytest.approx(expected)


@given(edges, edges, st.integers(1, 320), st.integers(1, 320), st.integers(1, 400))
def test_no_shape_fills_more_than_all(m, n, tile_m, tile_n, units):
    share = efficiency(m, n, tile_m, tile_n, units)
    assert 0 < share <= 1
    assert (share == 1) == (tiles(m, n, tile_m, tile_n) % units == 0)


@given(st.integers(1, 320), st.sampled_from([TILES, PAIRED_TILES]), st.integers(1, 8))
def test_every_shape_fills_whole_waves_of_one_of_the_tiles(units, choice, most):
    for m, n, k in exact_products(units, choice, (512,), most):
        exact = [
            t for t in choice if efficiency(m, n, *t, units) == 1 and m % t[0] == n % t[1] == 0
        ]
        assert exact
        assert min(tiles(m, n, *t) for t in exact) <= most * units
        assert k == 512


def test_the_known_winners_are_among_them():
    hopper = exact_products(132)
    assert {(2816, 1536, 8192), (2816, 3072, 12288), (2816, 1536, 16384)} <= set(hopper)
    assert len(hopper) == len(set(hopper)) < 110
    assert (2304, 1536, 12288) in exact_products(108)
    assert (4864, 4096, 8192) in exact_products(304, PAIRED_TILES)
