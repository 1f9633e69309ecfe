"""What is said where the objective cannot grow any more."""

from kdzoo.metrics.ties import saturated_text


def test_a_saturated_selection_says_what_has_decided():
    said = saturated_text("image_auroc", 1.0, {"image_auroc": 1.0, "pixel_ap": 0.5})
    assert said == "selection is saturated: image_auroc is 1.000 and tells nothing better; pixel_ap (0.500) has decided"
    assert "aupro (0.250) has decided" in saturated_text("pixel_ap", 1.0, {"pixel_ap": 1.0, "aupro": 0.25})
    assert "the later epoch has decided" in saturated_text("image_auroc", 1.0, {"image_auroc": 1.0})


def test_one_that_is_not_says_nothing():
    assert saturated_text("image_auroc", 0.9999, {"pixel_ap": 0.5}) == ""
