"""Tiles of large images: where they lie, and that what is cut and blended is the image again."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kdzoo.data.tiling import Blend, Grid, Tiling
from kdzoo.errors import ConfigError

SIDES = st.integers(1, 300)


def test_as_few_tiles_as_overlap_enough_from_the_first_pixel_to_the_last() -> None:
    grid = Tiling(side=256, overlap=32).grid(256, 1000)
    assert grid.tops == (0,)
    assert grid.lefts == (0, 186, 372, 558, 744) == tuple(744 * number // 4 for number in range(5))
    assert len(grid) == 5


def test_one_pixel_more_than_a_tile_takes_two() -> None:
    assert Tiling(side=64).grid(65, 64).tops == (0, 1)


def test_an_image_is_scaled_before_it_is_cut() -> None:
    grid = Tiling(side=64, overlap=0, scale=0.5).grid(256, 129)
    assert grid.shape == (128, 65)
    assert grid.tops == (0, 64)
    assert grid.lefts == (0, 1)


def test_a_small_image_lies_in_the_middle_with_its_edge_around_it() -> None:
    grid = Tiling(side=4, overlap=0).grid(1, 2)
    values = np.array([[1, 2]], np.uint8)
    assert grid.padded
    assert grid.on_canvas(values, edge=True).tolist() == [[1, 1, 2, 2]] * 4
    assert grid.on_canvas(values).sum() == 3
    assert grid.joined(grid.cut(values)).tolist() == [[1, 2]]


@pytest.mark.parametrize(("overlap", "scale"), [(-1, 1.0), (33, 1.0), (32, 0.0), (32, 5.0)])
def test_what_cannot_be_is_refused(overlap: int, scale: float) -> None:
    with pytest.raises(ConfigError, match=r"overlap|scale"):
        Tiling(side=64, overlap=overlap, scale=scale)


def test_a_crossfade_is_linear_over_the_overlap() -> None:
    """Two tiles of 4 on 6 pixels share 2: the first weighs 3/4 and 1/4 there, by the centres of its pixels."""
    rows, columns = Tiling(side=4, overlap=2).grid(4, 6).weights
    assert rows.tolist() == [[1, 1, 1, 1]]
    assert columns.tolist() == [[1, 1, 0.75, 0.25], [0.25, 0.75, 1, 1]]


@given(height=SIDES, width=SIDES, side=st.sampled_from([8, 32, 64]), share=st.floats(0, 0.5))
def test_cut_and_joined_is_the_same_and_blended_maps_are_the_map(
    height: int, width: int, side: int, share: float
) -> None:
    grid = Tiling(side=side, overlap=int(side * share)).grid(height, width)
    values = np.random.default_rng(height * 301 + width).random((height, width), np.float32)
    tiles = grid.cut(values)
    assert tiles.shape == (len(grid), side, side)
    assert np.array_equal(grid.joined(tiles), values)
    assert np.allclose(_blended(grid, tiles), values, atol=1e-6)


def test_maps_that_differ_by_a_constant_are_blended_without_a_seam() -> None:
    """Neighbours that say 0 and 1: the map goes from one to the other over the overlap, in steps of 1/32."""
    grid = Tiling(side=64, overlap=32).grid(64, 96)
    maps = np.stack([np.zeros((64, 64), np.float32), np.ones((64, 64), np.float32)])
    blended = _blended(grid, maps)
    assert np.abs(np.diff(blended, axis=1)).max() == pytest.approx(1 / 32, rel=1e-4)
    assert blended[:, :32].max() == 0
    assert blended[:, 64:].min() == 1


def test_a_map_is_written_into_an_array_that_is_there() -> None:
    for height in (64, 20):
        grid = Tiling(side=32, overlap=8).grid(height, 70)
        into = np.zeros(grid.shape, np.float32)
        blend = Blend(grid, into)
        blend.add(0, np.ones((len(grid), 32, 32), np.float32))
        assert blend.done() is into
        assert np.allclose(into, 1)


def _blended(grid: Grid, tiles: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
    blend = Blend(grid)
    for first in range(0, len(grid), 3):
        blend.add(first, tiles[first : first + 3])
    return blend.done()


@given(height=SIDES, width=SIDES, side=st.sampled_from([8, 32, 64]), share=st.floats(0, 0.5), pick=st.integers(0, 999))
def test_what_tiles_share_is_the_same_place_of_the_image(
    height: int, width: int, side: int, share: float, pick: int
) -> None:
    grid = Tiling(side=side, overlap=int(side * share)).grid(height, width)
    number = pick % len(grid)
    where = grid.cut(np.arange(height * width).reshape(height, width))
    shared = {other: (own, ours) for other, own, ours in grid.shared_with(number)}
    assert shared[number] == ((slice(0, side), slice(0, side)),) * 2
    for other, tile in enumerate(where):
        if other in shared:
            own, ours = shared[other]
            assert np.array_equal(tile[own], where[number][ours])
        else:
            inner = set(tile.ravel().tolist()) & set(where[number].ravel().tolist())
            assert inner <= {0}, "only zeros beside the image and its first pixel"


def test_an_image_is_joined_of_its_rows_among_those_of_many() -> None:
    grid = Tiling(side=4, overlap=0).grid(4, 8)
    values = np.arange(32).reshape(4, 8)
    many = np.concatenate([np.zeros((3, 4, 4), int), grid.cut(values)[::-1]])
    assert np.array_equal(grid.joined(many, [4, 3]), values)
