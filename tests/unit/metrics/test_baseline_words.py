"""How a method stands beside the baseline, in words."""

from kdzoo.metrics.baseline_words import baseline_metrics, beaten_text, compared

BESIDE = {"method": "nearest", "metrics": {"val_image_auroc": 0.99, "test_image_auroc": 0.9, "val_aupro": 0.5}}


def test_the_report_part_counts_where_both_have_it():
    own = {"val_image_auroc": 0.5, "test_image_auroc": 0.95}
    assert compared(BESIDE, own, "image_auroc") == ("test_image_auroc", 0.95, 0.9)
    assert compared(BESIDE, {"val_aupro": 0.4}, "aupro") == ("val_aupro", 0.4, 0.5)
    assert compared(BESIDE, own, "pixel_ap") is None
    assert compared({}, own, "image_auroc") is None


def test_only_what_is_no_better_is_told():
    told = beaten_text(BESIDE, {"test_image_auroc": 0.9}, "image_auroc")
    assert told == "0.900 by 'nearest', which learns nothing, against 0.900 (test_image_auroc)"
    assert beaten_text(BESIDE, {"test_image_auroc": 0.901}, "image_auroc") == ""
    assert beaten_text({"method": "nearest", "failure": "no room"}, {"test_image_auroc": 0.1}, "image_auroc") == ""


def test_a_strangers_document_is_read_without_trust():
    odd = {"metrics": {"test_image_auroc": "high", "val_aupro": True, "test_aupro": float("nan"), "test_pixel_ap": 1}}
    assert baseline_metrics(odd) == {"baseline_test_pixel_ap": 1.0}
    assert baseline_metrics({"metrics": 3}) == {}
    assert beaten_text(odd, {"test_image_auroc": 0.5}, "image_auroc") == ""
