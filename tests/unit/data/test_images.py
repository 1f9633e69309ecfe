import os
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image, ImageFile

from kdzoo.data.images import MAX_PIXELS, read_image, read_rgb, read_size, resize_rgb, to_rgb_array
from kdzoo.data.mask_files import read_mask
from kdzoo.errors import ImageError


def saved(tmp_path, image, name="image.png", **options):
    path = tmp_path / name
    image.save(path, **options)
    return path


def pixels(path):
    return np.array(read_image(path))


def png_claiming(width, height):
    """A PNG of a few bytes that says it is larger."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


class TestAsAPersonSeesIt:
    def test_sixteen_bit_gray_is_scaled(self, tmp_path):
        values = np.array([[0, 257, 128 * 257, 65535]], np.uint16)
        path = saved(tmp_path, Image.fromarray(values))
        assert pixels(path)[0, :, 0].tolist() == [0, 1, 128, 255]

    def test_sixteen_bit_tiff_in_either_byte_order(self, tmp_path):
        values = np.array([[0, 65535, 100 * 257]], np.uint16)
        for order, mode in ((">u2", "I;16B"), ("<u2", "I;16")):
            image = Image.frombytes(mode, (3, 1), values.astype(order).tobytes())
            path = saved(tmp_path, image, f"{mode[-1]}.tif")
            assert pixels(path)[0].tolist() == [[0] * 3, [255] * 3, [100] * 3]

    def test_transparency_is_laid_on_white(self, tmp_path):
        image = Image.new("RGBA", (3, 1))
        image.putdata([(10, 20, 30, 255), (10, 20, 30, 0), (0, 0, 0, 51)])
        assert pixels(saved(tmp_path, image))[0].tolist() == [[10, 20, 30], [255, 255, 255], [204, 204, 204]]

    def test_gray_with_alpha(self, tmp_path):
        image = Image.new("LA", (2, 1))
        image.putdata([(90, 255), (90, 0)])
        assert pixels(saved(tmp_path, image))[0].tolist() == [[90] * 3, [255] * 3]

    def test_palette_with_a_transparent_entry(self, tmp_path):
        image = Image.new("P", (3, 1))
        image.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
        image.putdata([0, 1, 2])
        path = saved(tmp_path, image, transparency=1)
        assert pixels(path)[0].tolist() == [[255, 0, 0], [255, 255, 255], [0, 0, 255]]

    def test_cmyk_becomes_rgb(self, tmp_path):
        path = saved(tmp_path, Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "red.jpg", quality=100)
        red, green, blue = pixels(path)[4, 4]
        assert red > 245 and green < 10 and blue < 10

    @pytest.mark.parametrize("name", ["turned.jpg", "turned.png", "turned.tif", "turned.webp"])
    def test_the_cameras_orientation_is_applied(self, tmp_path, name):
        image = Image.new("RGB", (32, 16), "black")
        image.paste((255, 255, 255), (0, 0, 16, 16))  # left half white; turned clockwise it is the upper half
        exif = Image.Exif()
        exif[ExifTags.Base.Orientation] = 6
        path = saved(tmp_path, image, name, exif=exif, **({"quality": 95} if name[-3:] != "tif" else {}))
        shown = read_image(path)
        assert shown.size == (16, 32)
        array = np.array(shown)
        assert array[4, 8].min() > 240 and array[28, 8].max() < 15

    def test_first_of_several_frames(self, tmp_path):
        frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
        path = saved(tmp_path, frames[0], "frames.tif", save_all=True, append_images=frames[1:])
        assert pixels(path)[0, 0].tolist() == [255, 0, 0]

    def test_one_bit_and_one_pixel(self, tmp_path):
        path = saved(tmp_path, Image.new("1", (1, 1), 1))
        assert read_rgb(path, 4).tolist() == np.full((4, 4, 3), 255).tolist()

    def test_a_name_that_is_not_utf8_can_be_read(self, tmp_path):
        path = tmp_path / os.fsdecode(b"part-\xff.png")
        Image.new("RGB", (2, 2), (1, 2, 3)).save(path)
        assert pixels(path)[0, 0].tolist() == [1, 2, 3]


class TestWhatCannotBeRead:
    def refused(self, path):
        with pytest.raises(ImageError) as caught:
            read_image(path)
        assert path.name in str(caught.value)
        return str(caught.value)

    @pytest.mark.parametrize("name", ["cut.png", "cut.jpg", "cut.bmp", "cut.tif", "cut.webp"])
    @pytest.mark.parametrize("kept", [0.3, 0.8])
    def test_truncated(self, tmp_path, name, kept):
        noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
        path = saved(tmp_path, Image.fromarray(noise), name)
        path.write_bytes(path.read_bytes()[: int(path.stat().st_size * kept)])
        self.refused(path)
        assert ImageFile.LOAD_TRUNCATED_IMAGES is False

    def test_empty_file(self, tmp_path):
        path = tmp_path / "empty.png"
        path.touch()
        assert "0 bytes" in self.refused(path)

    def test_not_an_image(self, tmp_path):
        path = tmp_path / "letter.png"
        path.write_text("Dear all")
        assert "not an image" in self.refused(path)

    def test_a_format_that_starts_programs_is_not_an_image(self, tmp_path):
        path = tmp_path / "script.png"
        path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n%%EOF\n")
        assert "not an image" in self.refused(path)

    @pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
    @pytest.mark.parametrize("width", [MAX_PIXELS // 10_000 + 1, 60_000])
    def test_decompression_bomb(self, tmp_path, width):
        path = tmp_path / "bomb.png"
        path.write_bytes(png_claiming(width, 10_000))
        assert "pixels" in self.refused(path)

    def test_missing(self, tmp_path):
        assert "No such file" in self.refused(tmp_path / "gone.png")

    def test_link_in_a_circle(self, tmp_path):
        path = tmp_path / "loop.png"
        path.symlink_to(path)
        assert "symbolic links" in self.refused(path)

    def test_a_folder_and_a_pipe_do_not_hang(self, tmp_path):
        (tmp_path / "folder.png").mkdir()
        os.mkfifo(tmp_path / "pipe.png")
        assert "not a regular file" in self.refused(tmp_path / "folder.png")
        assert "not a regular file" in self.refused(tmp_path / "pipe.png")

    def test_the_message_of_a_name_that_is_not_utf8_can_be_printed(self, tmp_path):
        path = tmp_path / os.fsdecode(b"part-\xff\n.png")
        path.touch()
        with pytest.raises(ImageError) as caught:
            read_image(path)
        assert r"part-\xff\n.png" in str(caught.value).encode("utf-8").decode()

    def test_floats_out_of_range(self, tmp_path):
        path = saved(tmp_path, Image.fromarray(np.array([[0.0, 90.0]], np.float32)), "height.tif")
        assert "floats" in self.refused(path)

    @settings(max_examples=60, deadline=None)
    @given(data=st.data())
    def test_flipped_bytes_end_in_an_image_or_an_image_error(self, tmp_path_factory, data):
        folder = tmp_path_factory.mktemp("flipped")
        suffix = data.draw(st.sampled_from(["png", "jpg", "bmp", "tif", "webp"]))
        path = saved(folder, Image.fromarray(np.arange(768, dtype=np.uint8).reshape(16, 16, 3)), f"x.{suffix}")
        content = bytearray(path.read_bytes())
        flips = st.tuples(st.integers(0, len(content) - 1), st.integers(1, 255))
        for position, change in data.draw(st.lists(flips, min_size=1, max_size=6)):
            content[position] ^= change
        path.write_bytes(content)
        try:
            assert read_image(path).mode == "RGB"
        except ImageError as error:
            assert path.name in str(error)


class TestInMemory:
    def test_file_and_memory_give_the_same_pixels(self, tmp_path):
        image = Image.fromarray(np.random.default_rng(1).integers(0, 256, (37, 53, 4), dtype=np.uint8))
        exif = Image.Exif()
        exif[ExifTags.Base.Orientation] = 8
        path = saved(tmp_path, image, exif=exif)
        from_file = read_rgb(path, 16)
        with Image.open(path) as opened:
            assert np.array_equal(resize_rgb(opened, 16), from_file)
        assert np.array_equal(resize_rgb(read_image(path), 16), from_file)
        assert np.array_equal(resize_rgb(to_rgb_array(read_image(path)), 16), from_file)

    def test_shrinking_averages(self):
        checks = np.indices((64, 64)).sum(axis=0) % 2 * np.uint8(255)
        assert np.abs(resize_rgb(checks.astype(np.uint8), 8).astype(int) - 127).max() <= 2

    def test_the_ratio_is_not_kept(self):
        wide = np.zeros((4, 40, 3), np.uint8)
        wide[:, 20:] = 200
        resized = resize_rgb(wide, 10)
        assert resized.shape == (10, 10, 3)
        assert (resized[:, :4] == 0).all() and (resized[:, 6:] == 200).all()

    @pytest.mark.parametrize(
        ("array", "expected"),
        [
            (np.array([[7]], np.uint8), [7, 7, 7]),
            (np.array([[[7]]], np.uint8), [7, 7, 7]),
            (np.array([[[7, 0]]], np.uint8), [255, 255, 255]),
            (np.array([[[1, 2, 3]]], np.uint8), [1, 2, 3]),
            (np.array([[[1, 2, 3, 255]]], np.uint8), [1, 2, 3]),
            (np.array([[[0, 257, 65535]]], np.uint16), [0, 1, 255]),
            (np.array([[[0.0, 0.5, 1.0]]], np.float32), [0, 128, 255]),
            (np.array([[True]]), [255, 255, 255]),
        ],
    )
    def test_arrays(self, array, expected):
        assert to_rgb_array(array).tolist() == [[expected]]

    @pytest.mark.parametrize(
        "array",
        [
            np.zeros((2, 2, 5), np.uint8),
            np.zeros(4, np.uint8),
            np.zeros((0, 3, 3), np.uint8),
            np.zeros((2, 2), np.int64),
            np.full((2, 2), np.nan, np.float32),
            np.full((2, 2), 1.5),
            np.array([["a"]]),
        ],
    )
    def test_arrays_that_are_no_images(self, array):
        with pytest.raises(ImageError, match="array"):
            to_rgb_array(array)

    def test_an_image_that_is_damaged_behind_its_header(self, tmp_path):
        noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
        path = saved(tmp_path, Image.fromarray(noise), "late.png")
        path.write_bytes(path.read_bytes()[:500])
        with Image.open(path) as opened, pytest.raises(ImageError, match=r"late\.png"):
            resize_rgb(opened, 8)


class TestMasks:
    def test_anything_but_black_is_defect(self, tmp_path):
        path = saved(tmp_path, Image.fromarray(np.array([[0, 1], [254, 255]], np.uint8)))
        mask = read_mask(path, 2, image_size=(2, 2))
        assert mask.tolist() == [[0, 1], [1, 1]] and mask.dtype == np.uint8

    def test_modes(self, tmp_path):
        truth = np.array([[0, 1, 0, 1]], np.uint8)
        palette = Image.fromarray(1 - truth).convert("P")
        palette.putpalette([255, 255, 255, 0, 0, 0])  # entry 0 is white
        images = {
            "gray16.png": Image.fromarray(truth.astype(np.uint16)),
            "one.png": Image.fromarray(truth.astype(bool)),
            "rgb.png": Image.fromarray(np.stack([0 * truth, 0 * truth, truth], axis=2)),
            "rgba.png": Image.fromarray(np.stack([truth, truth, truth, 0 * truth + 255], axis=2)),
            "clear.png": Image.fromarray(np.stack([0 * truth + 255] * 3 + [truth * 255], axis=2)),
            "palette.png": palette,
        }
        for name, image in images.items():
            assert read_mask(saved(tmp_path, image, name), 4)[0].tolist() == [0, 1, 0, 1], name

    def test_nearest_keeps_it_binary(self, tmp_path):
        values = np.zeros((6, 6), np.uint8)
        values[:, 3:] = 255
        assert read_mask(saved(tmp_path, Image.fromarray(values)), 4).tolist() == [[0, 0, 1, 1]] * 4

    def test_another_size_than_its_image(self, tmp_path):
        path = saved(tmp_path, Image.new("L", (5, 4)), "part_mask.png")
        with pytest.raises(ImageError) as caught:
            read_mask(path, 4, (4, 5), image_path=tmp_path / "part.png")
        for words in ("part_mask.png", "5x4", "part.png", "4x5"):
            assert words in str(caught.value)

    def test_damaged(self, tmp_path):
        path = tmp_path / "m.png"
        path.write_bytes(b"\x89PNG\r\n\x1a\n")
        with pytest.raises(ImageError, match=r"m\.png"):
            read_mask(path, 4)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["jpg", "png", "tiff", "webp"])
def test_the_size_is_that_of_the_image_as_it_is_read(tmp_path, orientation, suffix):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    path = tmp_path / f"a.{suffix}"
    Image.new("RGB", (7, 3)).save(path, exif=exif)
    assert read_size(path) == read_image(path).size == ((3, 7) if orientation > 4 else (7, 3))


def test_the_size_of_what_is_no_image(tmp_path):
    (tmp_path / "a.png").write_bytes(b"no image")
    with pytest.raises(ImageError, match="is not an image of a kind"):
        read_size(tmp_path / "a.png")
