"""The card of a release: what a person reads of it, and that a stranger's document does no harm."""

import dataclasses

import pytest
from helpers.trials import small_trial
from hypothesis import given, settings
from hypothesis import strategies as st

from kdzoo.cli.zoo.card import card
from kdzoo.teachers.card import TeacherCard
from kdzoo.training.outcome import conclude
from zoo_registry import BlobRef, EntryName, Manifest

MANIFEST = Manifest(
    entry=EntryName("rd", "toy", "bottle"),
    release=3,
    created="2031-05-06T07:08:09.123456Z",
    write_id="0" * 32,
    document={},
    blobs={"weights": BlobRef(sha256="ab" * 32, size=12345)},
    message="lamp replaced",
)
DOCUMENT = {
    "protocol": "holdout",
    "metrics": {"val_image_auroc": 0.75, "test_image_auroc": 0.5, "test_aupro": 0.25},
    "objective": {"name": "image_auroc", "value": 0.75},
    "undefined": {"val_aupro": "no pixel masks"},
    "dataset": {"name": "toy", "category": "bottle", "licence": "CC BY 4.0", "train_images": 4, "report_images": 2},
    "mlflow": {"experiment": "kdzoo/rd/toy", "run": "abc"},
}


def page(manifest, **more) -> str:
    return "\n".join(card(manifest, **more))


def lines(document: dict, **more) -> list[str]:
    return page(dataclasses.replace(MANIFEST, document=document), **more).splitlines()


def test_a_real_detector_shows_all_a_person_asks_for(tmp_path):
    trainer = small_trial(tmp_path, "rd", epochs=1)
    trainer.step()
    assert "licence" not in conclude(trainer).document["teacher"], "nobody knows of random weights"
    teacher = trainer.method.teacher
    known = TeacherCard(
        name="plant", architecture="resnet18", sha256="ab" * 32, mean=teacher.mean, std=teacher.std, licence="Zlib"
    )
    teacher.name = dataclasses.replace(teacher.name, card=known)
    document = conclude(trainer).document
    assert document["teacher"]["licence"] == "Zlib"
    text = page(dataclasses.replace(MANIFEST, document=document), aliases=["champion", "line-3"], signed_by=["key 1"])
    for said in (
        "rd/toy/bottle, release 3",
        "2031-05-06 07:08:09 UTC; champion, line-3",
        "lamp replaced",
        f"protocol {document['protocol']}",
        document["split"]["digest"],
        document["dataset"]["fingerprint"],
        document["teacher"]["sha256"],
        f"{document['calibration']['threshold']:.4f}",
        f"{document['metrics']['test_image_auroc']:.4f}",
        "64 x 64 pixels (bilinear-antialiased-square)",
        "teacher licence      Zlib",
        document["software"]["torch"],
        document["provenance"]["packages"]["sha256"],
        "12,345 bytes",
        "key 1",
        'kdzoo.load("rd", "toy/bottle", release=3)',
    ):
        assert said in text
    assert "image_scores" not in text


def test_a_detector_that_keeps_the_ratio_of_sides_says_so():
    seen = {"size": 64, "resize": "bilinear-antialiased-padded", "mean": [0.0], "std": [1.0]}
    shown = lines(DOCUMENT | {"input": seen, "dataset": DOCUMENT["dataset"] | {"padding": {"share": 2 / 3}}})
    assert "  input                RGB, 64 x 64 pixels (bilinear-antialiased-padded), mean 0.0000, std 1.0000" in shown
    assert "  padding              0.6667 of the input: the ratio of an image's sides is kept" in shown
    assert not any("padding" in line for line in lines(DOCUMENT))


def test_metrics_stand_by_part_and_undefined_ones_say_why():
    shown = lines(DOCUMENT)
    assert next(line for line in shown if "image_auroc" in line).split() == ["image_auroc", "0.7500", "0.5000"]
    assert next(line for line in shown if line.startswith("  aupro")).split() == ["aupro", "–", "0.2500"]
    assert "  selection on one half of the test images" in shown
    assert "  val_aupro is undefined: no pixel masks" in shown
    assert "  licence              CC BY 4.0" in shown
    assert "  images               4 train, 2 report" in shown
    assert "  MLflow               experiment kdzoo/rd/toy, run abc" in shown


def test_what_learns_nothing_stands_beside_it_by_the_objective():
    document = {
        "objective": {"name": "image_auroc", "value": 0.9},
        "metrics": {"val_image_auroc": 0.9, "test_image_auroc": 0.95},
        "baseline": {"method": "nearest", "metrics": {"val_image_auroc": 0.8, "test_image_auroc": 0.97}},
    }
    told = lines(document)
    assert told[told.index("beside it") + 1].split() == ["nearest", "test_image_auroc", "0.9700"]
    assert "beside it" not in lines({**document, "baseline": {"method": "nearest", "failure": "no room"}})


def test_an_unknown_licence_is_said():
    assert "  licence              unknown" in lines({"dataset": {"name": "toy", "licence": ""}})


def test_what_steers_a_terminal_is_escaped():
    text = page(dataclasses.replace(MANIFEST, document={"method": "\x1b[2J\u202e\x9b"}, message="a\x07b\rc"))
    assert "\\x1b[2J\\u202e\\x9b" in text and "a\\x07b\\rc" in text
    assert all(char.isprintable() or char == "\n" for char in text)


def leaves() -> st.SearchStrategy:
    return st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()


@given(
    st.dictionaries(
        st.sampled_from(
            (
                *("metrics", "protocol", "objective", "undefined", "dataset", "split", "teacher", "input", "method"),
                *("calibration", "epochs", "cost", "mlflow", "sweep", "config", "options", "software"),
                *("operating_point", "recalibrated", "scores"),
            )
        ),
        st.recursive(
            leaves(), lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(), inner, max_size=2)
        )
        | st.dictionaries(
            st.sampled_from(
                (
                    *("name", "seed", "size", "mean", "rule", "foreground", "notes", "skipped", "val_aupro"),
                    *("calibration", "report", "false_alarms", "at_most", "normals", "costs"),
                )
            ),
            leaves() | st.lists(leaves(), max_size=2) | st.just({"rule": 1, "share": "x"}),
        ),
    )
)
@settings(max_examples=100, deadline=None)
def test_any_document_has_a_card(document):
    text = page(dataclasses.replace(MANIFEST, document=document))
    assert text.startswith("rd/toy/bottle, release 3\n")
    assert all(char.isprintable() or char == "\n" for char in text)


def test_a_release_with_the_weights_of_another_says_from_which_images():
    again = {
        "from_release": 4,
        "normals": {"images": 150},
        "defects": {"images": 40},
        "costs": {"miss": 50.0, "alarm": 1.0},
    }
    shown = lines({"calibration": {"threshold": 2.5}, "recalibrated": again})
    assert any(
        "the weights of release 4, on 150 normals and 40 defects, 50.0000 a miss and 1.0000 an alarm" in line
        for line in shown
    )


def test_an_older_release_claims_no_more_than_it_was_asked_for():
    shown = lines({"calibration": {"threshold": 2.5, "false_positive_rate": 0.01, "normal_images": 9}})
    assert "  false alarms         not measured; 0.0100 was asked for, on 9 normal images" in shown


@pytest.mark.parametrize("document", [{}, {"metrics": {}}, {"metrics": {"val_aupro": 10**400}}])
def test_hardly_anything_is_enough(document):
    assert 'kdzoo.load("rd", "toy/bottle", release=3)' in page(dataclasses.replace(MANIFEST, document=document))
