"""Pictures, pixel by pixel where a person can say what a pixel must be."""

import io

import numpy as np
import pytest
from PIL import Image

from kdzoo.pictures import Case, Cell, HeatScale, as_png, contact_sheet, heat, marked, outline, overlay, sheet, shrunk

MARK, TRUTH = (0, 255, 230), (90, 255, 90)
SCALE = HeatScale(begin=0.4, full=0.8)


def test_heat_runs_from_dark_blue_to_yellow():
    colours = heat(np.array([[-1.0, 0.0, 0.1, 1.0, 7.0]]))
    assert colours.dtype == np.uint8
    first, last = [13, 8, 70], [252, 214, 60]
    halfway = [(13 + 84) // 2, (8 + 2) // 2, (70 + 135) // 2]
    assert colours[0].tolist() == [first, first, halfway, last, last]


def test_heat_gets_lighter_all_the_way():
    brightness = heat(np.linspace(0, 1, 50)[None])[0] @ np.array([0.299, 0.587, 0.114])
    assert (np.diff(brightness) > -1).all()
    assert brightness[-1] > brightness[0] + 150


@pytest.mark.parametrize(("width", "marked"), [(1, 16), (2, 24), (3, 25)])
def test_the_outline_is_the_inner_border(width, marked):
    """A 5x5 square has 16 pixels at its edge, 8 within those, and one in the middle."""
    mask = np.zeros((9, 9), bool)
    mask[2:7, 2:7] = True
    border = outline(mask, width=width)
    assert border.sum() == marked
    assert (border <= mask).all()


def test_a_region_at_the_images_edge_is_outlined_there_too():
    assert outline(np.ones((3, 3), bool)).sum() == 8


def test_an_overlay_by_hand():
    """Up to where the scale begins the image shows; from where it is full the heat covers three quarters of it."""
    image = np.full((20, 20, 3), 100, np.uint8)
    scores = np.zeros((20, 20), np.float32)
    scores[0, 0] = 1.6
    scores[10:15, 10:15] = 3.2
    shown = np.asarray(overlay(image, scores, marked=scores > 2.0, scale=HeatScale(begin=1.6, full=3.2)))
    assert shown.shape == (20, 20, 3)
    assert shown[0, 0].tolist() == shown[5, 5].tolist() == [100, 100, 100]
    assert shown[12, 12].tolist() == [int(100 * 0.25 + each * 0.75) for each in (252, 214, 60)]
    border = (shown == MARK).all(axis=2)
    assert border.sum() == 16
    assert border[10, 10:15].all()


def test_the_outline_grows_with_the_image():
    scores = np.zeros((480, 640), np.float32)
    scores[100:200, 100:200] = 1
    shown = np.asarray(overlay(np.zeros((480, 640, 3), np.uint8), scores, marked=scores > 0.5, scale=SCALE))
    assert (shown == MARK).all(axis=2).sum() == 100 * 100 - 94 * 94


def test_the_truth_is_outlined_in_its_own_colour_above_all():
    truth = np.zeros((20, 20), np.uint8)
    truth[3:6, 3:6] = 1
    image, scores = np.zeros((20, 20, 3), np.uint8), np.ones((20, 20))
    shown = np.asarray(overlay(image, scores, marked=scores > 0.5, scale=SCALE, truth=truth))
    assert (shown == TRUTH).all(axis=2).sum() == 8


@pytest.mark.parametrize("threshold", [0.0, -1.0, 1e-30])
def test_any_threshold_gives_a_picture(threshold):
    values = np.linspace(-1, 1, 64, dtype=np.float32).reshape(8, 8)
    for scale in (HeatScale(begin=threshold, full=0.8), HeatScale(begin=threshold, full=threshold)):
        assert overlay(np.zeros((8, 8, 3), np.uint8), values, marked=values > threshold, scale=scale).size == (8, 8)


@pytest.mark.parametrize("begin", [-3.0, 0.0, 0.5])
def test_the_scale_is_the_same_wherever_zero_is(begin):
    scale = HeatScale(begin=begin, full=begin + 2)
    values = begin + np.array([-1.0, 0.0, 0.5, 1.0, 2.0, 9.0])
    assert scale.strength(values).tolist() == [0, 0, 0.25, 0.5, 1, 1]


def test_a_scale_without_reach_colours_all_that_is_above_it():
    assert HeatScale(begin=1.0, full=1.0).strength(np.array([0.9, 1.0, 1.1])).tolist() == [0, 0, 1]


def case(name="a", note="", truth=None):
    return Case(
        name=name, note=note, image=np.zeros((8, 8, 3), np.uint8), anomaly_map=np.zeros((8, 8), np.float32), truth=truth
    )


@pytest.mark.parametrize(("count", "rows"), [(0, 1), (1, 1), (4, 1), (5, 2), (16, 4)])
def test_a_sheet_has_as_many_rows_as_it_needs(count, rows):
    page = sheet("title", [case()] * count, threshold=0.5, scale=SCALE, side=20, columns=4)
    assert page.size == (4 * (2 * 20 + 16) + 16, rows * (20 + 40) + 40)


@pytest.mark.parametrize("name", ["x" * 500, "line\nbreak", "tab\tand\r\nmore" * 9, "", "naïve – 名前"])
def test_any_name_fits_on_a_sheet(name):
    plain = sheet("t", [case(name="")], threshold=0.5, scale=SCALE, side=40, columns=1)
    named = sheet("t", [case(name=name)], threshold=0.5, scale=SCALE, side=40, columns=1)
    assert named.size == plain.size
    assert (np.asarray(named) != np.asarray(plain)).any() == bool(name)


def test_a_case_shows_image_and_heatmap_side_by_side():
    bright = Case(
        name="a", note="b", image=np.full((8, 8, 3), 200, np.uint8), anomaly_map=np.full((8, 8), 9.0), truth=None
    )
    page = np.asarray(sheet("t", [bright], threshold=1.0, scale=SCALE, side=32, columns=1))
    top, left = 36 + 34, 16
    assert (page[top : top + 32, left : left + 32] == 200).all()
    heated = page[top + 16, left + 32 + 4 + 16].tolist()
    assert heated == [int(200 * 0.25 + each * 0.75) for each in (252, 214, 60)]


def test_png_bytes_hold_the_picture():
    picture = Image.new("RGB", (3, 2), (1, 2, 3))
    again = Image.open(io.BytesIO(as_png(picture)))
    assert (again.format, again.size, again.getpixel((2, 1))) == ("PNG", (3, 2), (1, 2, 3))


def test_a_contact_sheet_shows_each_picture_in_its_place():
    colours = [(10 * number, 0, 0) for number in range(1, 7)]
    pictures = [Image.new("RGB", (4, 4), colour) for colour in colours]
    cells = [Cell(name="a", note="b", pictures=tuple(pictures[at : at + 3])) for at in (0, 3)]
    page = np.asarray(contact_sheet("t", cells, across=3, side=20, columns=1))
    assert page.shape == (2 * (20 + 40) + 40, 3 * 20 + 16 + 16, 3)
    for number, colour in enumerate(colours):
        top, left = 36 + 34 + number // 3 * 60, 16 + number % 3 * 24
        assert (page[top : top + 20, left : left + 20] == colour).all()


def test_a_picture_on_a_sheet_keeps_the_ratio_of_its_sides():
    """A third as high as wide: 7 of 20 rows, with 6 above."""
    cells = [Cell(name="a", note="b", pictures=(Image.new("RGB", (90, 30), (9, 9, 9)),))]
    page = np.asarray(contact_sheet("t", cells, across=1, side=20, columns=1))
    shown = (page[36 + 34 : 36 + 34 + 20, 16:36] == (9, 9, 9)).all(axis=2)
    assert shown.tolist() == [[6 <= row < 13] * 20 for row in range(20)]


def test_marked_outlines_the_mask_and_leaves_the_image():
    image, mask = np.full((9, 9, 3), 7, np.uint8), np.zeros((9, 9))
    mask[2:7, 2:7] = 1
    shown = np.asarray(marked(image, mask))
    assert (shown == MARK).all(axis=2).sum() == 16
    assert (shown == 7).all(axis=2).sum() == 81 - 16
    assert (image == 7).all()


def test_a_case_is_marked_where_it_counts():
    """Where all that counts is above the threshold, so is what lies outside, which holds the least value of it."""
    inside = np.zeros((6, 8), bool)
    inside[1:4, 2:5] = True
    image, high = np.zeros((6, 8, 3), np.uint8), np.full((6, 8), 2.0, np.float32)
    case = Case(name="a", note="", image=image, anomaly_map=high, truth=None, inside=inside)
    assert np.array_equal(case.marked(1.0), inside) and not case.marked(2.0).any()
    pages = [
        sheet("a", [each], threshold=1.0, scale=HeatScale(begin=3.0, full=4.0))
        for each in (case, Case(name="a", note="", image=image, anomaly_map=high, truth=None))
    ]
    assert np.asarray(pages[0]).tolist() != np.asarray(pages[1]).tolist()


def test_what_is_small_outlasts_the_shrinking():
    values = np.zeros((5, 7))
    values[4, 6], values[1, 1] = 3, 2
    assert shrunk(values, 3).tolist() == [[2, 0, 0], [0, 0, 3]]
    assert shrunk(values > 2, 3).tolist() == [[False] * 3, [False, False, True]]
    image = np.zeros((5, 7, 3), np.uint8)
    image[:3, :3] = 90
    assert shrunk(image, 3).shape == (2, 3, 3)
    assert shrunk(image, 3)[0, 0].tolist() == [90, 90, 90]
    assert shrunk(values, 1) is values


def test_what_is_faintest_is_seen_on_black_as_on_white():
    scores = np.zeros((20, 20), np.float32)
    scores[5:10, 5:10] = 0.41
    for level in (0, 255):
        image = np.full((20, 20, 3), level, np.uint8)
        shown = np.asarray(overlay(image, scores, marked=scores > 9, scale=SCALE)).astype(int)
        assert np.abs(shown[7, 7] - level).max() > 40
        assert (shown[0, 0] == level).all()
