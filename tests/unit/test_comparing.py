"""On which images two documents are compared, and which reason is named where they are not."""

import pytest

from kdzoo.comparing import beats, compare, told_apart


def document(value, *, tested=None, train="t", selection="s", report="r", counts=(20, 10, 10), parts=True, **changed):
    digests = {"train": train, "selection": selection, "report": report}
    names = ("train_images", "select_images", "report_images")
    return {
        "protocol": "holdout",
        "split": {"digest": "".join(digests.values()), "seed": 0, **({"parts": digests} if parts else {})},
        "objective": {"name": "image_auroc", "value": value},
        "metrics": {} if tested is None else {"test_image_auroc": tested},
        "dataset": {"fingerprint": "".join(digests.values()), **dict(zip(names, counts, strict=True))},
        "input": {"size": 256},
    } | changed


def scores(images, numbers):
    return {"images": images, "labels": "0" * 20 + "1" * 20, "scores": numbers}


def test_with_more_train_images_the_selection_part_decides():
    found = compare(document(0.9, train="u", counts=(30, 10, 10)), document(0.8))
    assert (found.part, found.ours, found.theirs, found.why_not) == ("selection", 0.9, 0.8, "")
    assert found.said == "on the same selection images, with other train (30 here, 20 there) images"


def test_where_the_selection_part_is_another_the_report_part_decides():
    ours, theirs = document(0.5, tested=0.9, train="u", selection="v"), document(0.99, tested=0.8)
    found = compare(ours, theirs)
    assert (found.part, found.ours, found.theirs) == ("report", 0.9, 0.8)
    assert "other train and selection images" in found.said
    assert beats(ours, theirs)
    assert not beats(theirs, ours)


def test_the_scores_of_that_part_tell_them_apart():
    good, bad = [0.1] * 20 + [0.9] * 20, [0.1, 0.9] * 20
    ours = document(0.5, tested=0.9, selection="v", scores={"report": scores("n", good)})
    theirs = document(0.9, tested=0.8, scores={"report": scores("n", bad), "selection": scores("m", good)})
    apart, said = told_apart(ours, theirs, "report")
    assert apart
    assert "40 report images tell them apart" in said
    assert not told_apart(theirs, theirs, "report")[0]


@pytest.mark.parametrize(
    ("ours", "said"),
    [
        (document(0.9, report="q", counts=(20, 10, 12)), "other report (12 here, 10 there) images"),
        (document(0.9, report="q", train="u", parts=False), "another split and data"),
        (document(0.9, selection="v"), "this one does not say its value on the report images"),
        (document(0.9, train="u", protocol="test"), "another protocol"),
        (document(0.9, report="q", protocol="test"), "another protocol; other report images"),
        (document(None, train="u"), "this one does not say its value"),
    ],
)
def test_reasons(ours, said):
    assert compare(ours, document(0.8)).why_not == said


def test_what_both_share_is_compared_as_ever():
    found = compare(document(0.9), document(0.8))
    assert (found.part, found.said, found.why_not) == ("selection", "", "")
