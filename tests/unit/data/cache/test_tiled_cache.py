"""Images decoded as tiles of their own resolution."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kdzoo.data.cache.decoded import DecodedPart, decode
from kdzoo.data.samples import Sample
from kdzoo.data.tiling import Tiling
from kdzoo.errors import ConfigError, ImageError

TILING = Tiling(side=32, overlap=8)


@pytest.fixture
def samples(tmp_path: Path) -> list[Sample]:
    """A normal image of 70 x 100, a defective one of 32 x 40 with its mask, and one smaller than a tile."""
    noise = np.random.default_rng(3)
    made = []
    for number, (height, width, label) in enumerate([(70, 100, 0), (32, 40, 1), (10, 50, 0)]):
        path, mask = tmp_path / f"{number}.png", None
        Image.fromarray(noise.integers(0, 255, (height, width, 3), np.uint8)).save(path)
        if label:
            mask = tmp_path / f"{number}_mask.png"
            marked = np.zeros((height, width), np.uint8)
            marked[4:9, 30:37] = 255
            Image.fromarray(marked).save(mask)
        made.append(
            Sample(
                id=path.name,
                path=path,
                split="test",
                defect_type="dent" if label else "good",
                mask_path=mask,
            )
        )
    return made


def _decoded(samples: list[Sample], tmp_path: Path, tiling: Tiling = TILING) -> DecodedPart:
    return decode(samples, size=32, cache_dir=tmp_path / "cache", masks=True, tiling=tiling)


def test_the_tiles_of_an_image_are_its_own_pixels(samples: list[Sample], tmp_path: Path) -> None:
    part = _decoded(samples, tmp_path)
    assert part.grids is not None
    assert [grid.shape for grid in part.grids] == [(70, 100), (32, 40), (10, 50)]
    assert [len(grid) for grid in part.grids] == [12, 2, 2]
    assert part.images.shape == (16, 32, 32, 3)
    start = 0
    for sample, grid in zip(samples, part.grids, strict=True):
        joined = grid.joined(part.images[start : start + len(grid)])
        assert np.array_equal(joined, np.asarray(Image.open(sample.path)))
        start += len(grid)


def test_masks_are_cut_like_their_images(samples: list[Sample], tmp_path: Path) -> None:
    part = _decoded(samples, tmp_path)
    assert part.masks is not None
    assert part.grids is not None
    marked = part.grids[1].joined(part.masks[12:14])
    assert marked.sum() == 35
    assert marked[4:9, 30:37].all()
    assert part.masks[:12].sum() == part.masks[14:].sum() == 0


def test_beside_a_small_image_its_edge_goes_on(samples: list[Sample], tmp_path: Path) -> None:
    part = _decoded(samples, tmp_path)
    own = np.asarray(Image.open(samples[2].path))
    assert np.array_equal(part.images[14][0], own[0, :32])
    assert np.array_equal(part.images[14][31], own[9, :32])


def test_scaled_images_are_resized_whole(samples: list[Sample], tmp_path: Path) -> None:
    part = _decoded(samples, tmp_path, Tiling(side=32, overlap=8, scale=0.5))
    assert part.grids is not None
    assert [grid.shape for grid in part.grids] == [(35, 50), (16, 20), (5, 25)]
    resized = Image.open(samples[0].path).resize((50, 35), Image.Resampling.BILINEAR)
    assert np.array_equal(part.grids[0].joined(part.images[: len(part.grids[0])]), np.asarray(resized))


def test_an_entry_is_found_again_and_other_tiles_are_another_entry(samples: list[Sample], tmp_path: Path) -> None:
    first = _decoded(samples, tmp_path)
    again = _decoded(samples, tmp_path)
    assert again.folder == first.folder
    assert again.grids == first.grids
    assert _decoded(samples, tmp_path, Tiling(side=32, overlap=4)).folder != first.folder
    assert decode(samples, size=32, cache_dir=tmp_path / "cache", masks=True).folder != first.folder


def test_unreadable_images_are_named_or_left_out(samples: list[Sample], tmp_path: Path) -> None:
    samples[0].path.write_bytes(b"no image")
    with pytest.raises(ImageError, match=r"1 of 3 images cannot be used"):
        _decoded(samples, tmp_path)
    part = decode(
        samples, size=32, cache_dir=tmp_path / "cache", masks=True, tiling=TILING, skip_unreadable=True
    )  # fmt: skip
    assert part.grids is not None
    assert [grid.shape for grid in part.grids] == [(32, 40), (10, 50)]
    assert len(part.images) == 4


def test_tiles_of_another_side_are_refused(samples: list[Sample], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="32 pixels do not fill squares of 64"):
        decode(samples, size=64, cache_dir=tmp_path / "cache", masks=True, tiling=TILING)
