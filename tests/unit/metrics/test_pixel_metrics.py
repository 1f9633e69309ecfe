import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score

from kdzoo.errors import ConfigError, NonFiniteLossError, UsageError
from kdzoo.metrics import PixelCurve, evaluate

# Few distinct values, both zeros among them, so that ties are everywhere.
TIED = st.sampled_from([-1.5, -0.0, 0.0, 0.25, 0.5, 0.75, 3.0])


@st.composite
def maps_and_masks(draw):
    shape = draw(hnp.array_shapes(min_dims=3, max_dims=3, min_side=1, max_side=6))
    maps = draw(hnp.arrays(np.float32, shape, elements=TIED))
    masks = draw(hnp.arrays(np.bool_, shape))
    return maps, masks


def brute_force_aupro(maps, masks, limit):
    """The definition, word for word: every distinct score a threshold, every region its own mean, then trapezoids."""
    labelled = [ndimage.label(mask, structure=np.ones((3, 3))) for mask in masks]
    fprs, pros = [0.0], [0.0]
    for threshold in sorted(set(maps.ravel().tolist()), reverse=True):
        found = maps >= threshold
        fprs.append(found[~masks].mean())
        pros.append(
            np.mean([found[i][lab == j].mean() for i, (lab, n) in enumerate(labelled) for j in range(1, n + 1)])
        )
    area = 0.0
    for i in range(1, len(fprs)):
        left, right = min(fprs[i - 1], limit), min(fprs[i], limit)
        if right > left:
            slope = (pros[i] - pros[i - 1]) / (fprs[i] - fprs[i - 1])
            at_right = pros[i - 1] + slope * (right - fprs[i - 1])
            area += (right - left) * (pros[i - 1] + at_right) / 2
    return area / limit


@given(maps_and_masks())
@settings(max_examples=150, deadline=None)
def test_auroc_ap_and_f1_equal_scikit_learn_on_tied_scores(pair):
    maps, masks = pair
    curve = PixelCurve.from_maps(maps, masks)
    truth, scores = masks.ravel(), maps.ravel().astype(np.float64)
    if truth.all() or not truth.any():
        assert curve.undefined
        assert (curve.pixel_auroc(), curve.pixel_ap(), curve.pixel_f1_max(), curve.aupro(0.3)) == (None,) * 4
        return
    precision, recall, _ = precision_recall_curve(truth, scores)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-300)
    assert curve.pixel_auroc() == pytest.approx(roc_auc_score(truth, scores), abs=1e-12)
    assert curve.pixel_ap() == pytest.approx(average_precision_score(truth, scores), abs=1e-12)
    assert curve.pixel_f1_max() == pytest.approx(f1.max(), abs=1e-12)


@given(maps_and_masks(), st.sampled_from([1e-3, 0.05, 0.3, 0.5, 1.0]))
@settings(max_examples=150, deadline=None)
def test_aupro_equals_its_definition_on_tied_scores(pair, limit):
    maps, masks = pair
    curve = PixelCurve.from_maps(maps, masks)
    if not curve.undefined:
        assert curve.aupro(limit) == pytest.approx(brute_force_aupro(maps, masks, limit), abs=1e-12)


@given(maps_and_masks())
@settings(max_examples=50, deadline=None)
def test_metrics_depend_on_the_order_of_scores_alone(pair):
    maps, masks = pair
    curve = PixelCurve.from_maps(maps, masks)
    moved = PixelCurve.from_maps(np.exp(maps) * 8 - 5, masks)
    assert moved.pixel_auroc() == curve.pixel_auroc()
    assert moved.pixel_ap() == curve.pixel_ap()
    assert moved.aupro(0.3) == curve.aupro(0.3)


def test_four_pixels_by_hand():
    # Scores down: anomalous, normal, anomalous, normal. Three of four pairs are in order.
    curve = PixelCurve.from_maps(np.array([[[4.0, 3.0, 2.0, 1.0]]]), np.array([[[1, 0, 1, 0]]]))
    assert curve.pixel_auroc() == 0.75
    assert curve.pixel_ap() == pytest.approx(1 / 2 * 1 + 1 / 2 * 2 / 3)
    assert curve.pixel_f1_max() == pytest.approx(0.8)  # both found with one false alarm: 2 * 2 / (3 + 2)
    # The two regions are found at FPR 0 and 0.5: overlap is 1/2 up to 0.5, then 1.
    assert curve.aupro(0.5) == 0.5
    assert curve.aupro(1.0) == 0.75


def test_a_small_region_weighs_as_much_as_a_large_one():
    maps, masks = np.zeros((2, 4, 4)), np.zeros((2, 4, 4), bool)
    masks[0, :, :2] = True  # eight pixels, missed
    masks[1, 3, 3] = True  # one pixel, found
    maps[1, 3, 3] = 1.0
    curve = PixelCurve.from_maps(maps, masks)
    # From (0, 1/2) straight to (1, 1): at FPR 0.5 the overlap is 3/4.
    assert curve.aupro(0.5) == pytest.approx((0.5 + 0.75) / 2)
    assert curve.overlap.tolist() == [0.5, 1.0]


def test_regions_are_8_connected_and_never_across_images():
    masks = np.zeros((2, 3, 3), bool)
    masks[0, 0, 0] = masks[0, 1, 1] = True  # touch at a corner: one region
    masks[1, 0, 0] = True  # the same place in the next image: another region
    masks[1, 2, 2] = True  # one pixel of distance: a third
    assert PixelCurve.from_maps(np.zeros((2, 3, 3)), masks).regions == 3


def test_integral_ends_by_interpolation_at_the_limit():
    # Everything is tied: the curve is the diagonal, so the mean overlap up to a limit is half the limit.
    curve = PixelCurve.from_maps(np.ones((1, 2, 5)), np.arange(10).reshape(1, 2, 5) < 2)
    assert curve.aupro(0.3) == pytest.approx(0.15)
    assert curve.aupro(1.0) == pytest.approx(0.5)
    assert curve.pixel_auroc() == 0.5
    assert curve.pixel_ap() == pytest.approx(0.2)


def test_a_perfect_map_scores_one_everywhere():
    masks = np.zeros((3, 8, 8), bool)
    masks[0, 2:5, 2:5] = masks[2, 7, 7] = True
    curve = PixelCurve.from_maps(masks.astype(np.float32), masks)
    assert [curve.pixel_auroc(), curve.pixel_ap(), curve.pixel_f1_max()] == [1.0, 1.0, 1.0]
    assert curve.aupro(0.3) == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize("zero", [np.float32, np.float64, np.float16])
def test_negative_zero_is_zero(zero):
    maps = np.array([[[0.0, -0.0, 0.0, -0.0]]], dtype=zero)
    assert PixelCurve.from_maps(maps, np.array([[[0, 1, 1, 0]]])).pixel_auroc() == 0.5


def test_inputs_are_left_unchanged():
    maps = np.array([[[3.0, 1.0, 2.0]]], np.float32)
    kept = maps.copy()
    PixelCurve.from_maps(maps, np.array([[[0, 0, 1]]]))
    assert np.array_equal(maps, kept)


@pytest.mark.parametrize(
    ("masks", "reason"),
    [
        (np.zeros((1, 2, 2)), "no pixel is anomalous"),
        (np.ones((1, 2, 2)), "no pixel is normal"),
        (np.zeros((0, 2, 2)), "there are no pixels"),
    ],
)
def test_one_class_alone_says_why_there_is_no_value(masks, reason):
    curve = PixelCurve.from_maps(np.zeros(masks.shape), masks)
    assert curve.undefined == reason
    assert curve.aupro(0.3) is None


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_non_finite_maps_are_refused_by_image(bad):
    maps = np.zeros((3, 2, 2), np.float32)
    maps[1, 0, 1] = bad
    with pytest.raises(NonFiniteLossError, match="image 1"):
        PixelCurve.from_maps(maps, np.zeros((3, 2, 2)))


@pytest.mark.parametrize("limit", [0.0, -0.1, 1.01, float("nan")])
def test_limits_outside_the_range_are_refused(limit):
    curve = PixelCurve.from_maps(np.zeros((1, 1, 2)), np.array([[[0, 1]]]))
    with pytest.raises(ConfigError, match="fpr_limit"):
        curve.aupro(limit)


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(UsageError, match=r"\(1, 2, 2\)"):
        PixelCurve.from_maps(np.zeros((1, 2, 3)), np.zeros((1, 2, 2)))
    with pytest.raises(UsageError, match="height"):
        PixelCurve.from_maps(np.zeros((2, 2)), np.zeros((2, 2)))
    with pytest.raises(UsageError, match="real numbers"):
        PixelCurve.from_maps(np.zeros((1, 1, 2), complex), np.zeros((1, 1, 2)))


def test_pixels_that_do_not_count_are_as_if_they_were_cut_off():
    generator = np.random.default_rng(3)
    maps, masks = generator.random((4, 12, 10)), generator.random((4, 12, 10)) > 0.8
    inside = np.zeros((12, 10), bool)
    inside[2:9, 3:8] = True
    found, cut = PixelCurve.from_maps(maps, masks, inside), PixelCurve.from_maps(maps[:, 2:9, 3:8], masks[:, 2:9, 3:8])
    for name in ("pixel_auroc", "pixel_ap", "pixel_f1_max"):
        assert getattr(found, name)() == pytest.approx(getattr(cut, name)())
    assert found.aupro(0.3) == pytest.approx(cut.aupro(0.3))
    assert (found.normal, found.anomalous, found.regions) == (cut.normal, cut.anomalous, cut.regions)


def test_what_counts_may_differ_from_image_to_image():
    """A wide image and a tall one in one square: as if both had been cut, the tall one turned."""
    generator = np.random.default_rng(3)
    maps, masks = generator.random((2, 9, 9)), generator.random((2, 9, 9)) > 0.8
    inside = np.zeros((2, 9, 9), bool)
    inside[0, 2:6], inside[1, :, 2:6] = True, True
    cut_maps, cut_masks = (np.stack([each[0, 2:6], each[1, :, 2:6].T]) for each in (maps, masks))
    found, cut = PixelCurve.from_maps(maps, masks, inside), PixelCurve.from_maps(cut_maps, cut_masks)
    assert found.pixel_ap() == pytest.approx(cut.pixel_ap())
    assert found.aupro(0.3) == pytest.approx(cut.aupro(0.3))
    assert (found.normal, found.anomalous, found.regions) == (cut.normal, cut.anomalous, cut.regions)
    report = evaluate(maps, masks, np.array([1.0, 2.0]), np.array([0, 1]), inside=inside)
    assert report.pixels == 2 * 4 * 9
    assert evaluate(maps, masks, np.array([1.0, 2.0]), np.array([0, 1]), inside=inside[0]).pixels == 2 * 4 * 9
