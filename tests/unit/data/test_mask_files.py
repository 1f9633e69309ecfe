"""Masks: none of a defect is lost by resizing, compression adds nothing to it, and several masks are one."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from kdzoo.data.mask_files import look_at_mask, read_full_mask, read_mask, read_scaled_mask, resize_mask
from kdzoo.errors import ImageError


def save(path, mask, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(mask).save(path, **options)
    return path


def drawn(side, *boxes, value=255):
    mask = np.zeros((side, side), np.uint8)
    for top, left, height, width in boxes:
        mask[top : top + height, left : left + width] = value
    return mask


def by_hand(mask, shape):
    """Every small pixel that covers a part of a marked one is marked, looked up one by one."""
    small = np.zeros(shape, np.uint8)
    for row, column in np.argwhere(mask):
        (top, bottom), (left, right) = (
            (place * new // old, -(-(place + 1) * new // old))
            for place, new, old in ((row, shape[0], mask.shape[0]), (column, shape[1], mask.shape[1]))
        )
        small[top:bottom, left:right] = 1
    return small


@settings(deadline=None)
@given(
    arrays(np.uint8, st.tuples(st.integers(1, 17), st.integers(1, 17)), elements=st.integers(0, 1)),
    st.integers(1, 17),
    st.integers(1, 17),
)
def test_a_smaller_mask_marks_all_that_covers_a_defect(mask, height, width):
    shape = (min(height, mask.shape[0]), min(width, mask.shape[1]))
    assert (resize_mask(mask, shape) == by_hand(mask, shape)).all()


def test_a_larger_mask_takes_the_nearest_pixel():
    mask = np.array([[1, 0], [0, 0]], np.uint8)
    for shrink in ("any", "nearest"):
        assert resize_mask(mask, (4, 4), shrink).tolist() == [[1, 1, 0, 0], [1, 1, 0, 0], [0] * 4, [0] * 4]
    assert resize_mask(mask, (2, 2)) is mask
    # One side longer, the other shorter.
    assert resize_mask(np.array([[0], [0], [0], [1]], np.uint8), (2, 3)).tolist() == [[0, 0, 0], [1, 1, 1]]


def test_defects_of_a_few_pixels_stay_in_small_inputs(tmp_path):
    for number in range(12):
        path = save(tmp_path / f"{number}.png", drawn(1024, (97 + 70 * number, 205 + 61 * number, 3, 3)))
        assert 1 <= read_mask(path, 128).sum() <= 4
        assert read_scaled_mask(path, (200, 300)).any()
    lost = sum(not read_mask(tmp_path / f"{number}.png", 128, shrink="nearest").any() for number in range(12))
    assert lost > 6, "the nearest pixel would have lost most of them"


def test_padding_is_no_defect(tmp_path):
    path = save(tmp_path / "wide.png", np.full((10, 40), 255, np.uint8))
    mask = read_mask(path, 20, resize="pad")
    assert mask.sum() == 5 * 20 and mask.any(axis=1).sum() == 5


@pytest.mark.parametrize("value", [255, 128, 40])
def test_a_jpeg_marks_what_is_brighter_than_half(tmp_path, value):
    mask = drawn(256, *((20 + step, 30 + step // 2, 1, 4) for step in range(200)), value=value)
    drawn_pixels = (mask > 0).sum()
    for quality in (60, 85, 95):
        read = read_full_mask(save(tmp_path / f"{quality}.jpg", mask, quality=quality))
        assert 0.8 < read.sum() / drawn_pixels < 1.2
    assert read_full_mask(save(tmp_path / "lossless.png", mask)).sum() == drawn_pixels
    assert not read_full_mask(save(tmp_path / "black.jpg", drawn(64))).any()
    # By what it is, not by what it is called.
    (tmp_path / "85.jpg").rename(tmp_path / "85.png")
    assert 0.8 < read_full_mask(tmp_path / "85.png").sum() / drawn_pixels < 1.2


def test_other_lossy_files_are_read_as_jpegs_are(tmp_path):
    mask = drawn(64, (10, 10, 10, 10))
    for name, options in (("lossy.webp", {"quality": 60}), ("camera.mpo", {"quality": 80})):
        path = save(tmp_path / name, mask, **options)
        assert 80 < read_full_mask(path).sum() < 120
        assert look_at_mask(path, (64, 64), image_path=path).lossy
    lossless = save(tmp_path / "exact.webp", mask, lossless=True)
    assert read_full_mask(lossless).sum() == 100 and not look_at_mask(lossless, (64, 64), image_path=lossless).lossy
    assert not read_full_mask(save(tmp_path / "faint.jpg", np.full((64, 64), 2, np.uint8))).any()


def test_the_masks_of_a_folder_are_one(tmp_path):
    folder = tmp_path / "000"
    save(folder / "000.png", drawn(32, (2, 2, 3, 3)))
    save(folder / "001.png", drawn(32, (20, 20, 1, 1)))
    assert read_full_mask(folder).sum() == 10 and read_mask(folder, 8, (32, 32)).sum() == 5
    save(folder / "002.png", drawn(16))
    with pytest.raises(ImageError, match=r"002\.png is 16x16 pixels, others in its folder are 32x32"):
        read_full_mask(folder)
    (tmp_path / "none").mkdir()
    with pytest.raises(ImageError, match="is a folder without images"):
        read_full_mask(tmp_path / "none")


def test_what_a_mask_looks_like(tmp_path):
    def look(path, size=(64, 64)):
        return look_at_mask(path, size, image_path=tmp_path / "image.png")

    plain = look(save(tmp_path / "plain.png", drawn(64, (0, 0, 8, 8))))
    assert (plain.marked, plain.lossy, plain.grays) == (1 / 64, False, 1)
    assert look(save(tmp_path / "photo.jpg", drawn(64, (0, 0, 8, 8)))).lossy
    ramp = np.tile(np.arange(64, dtype=np.uint8) * 4, (64, 1))
    assert look(save(tmp_path / "ramp.png", ramp)).grays == 63
    assert look(save(tmp_path / "inverted.png", 255 - drawn(64, (0, 0, 8, 8)))).marked == 63 / 64
    with pytest.raises(ImageError, match=r"is 64x64 pixels, but its image .*image.png is 32x32"):
        look(tmp_path / "plain.png", (32, 32))
