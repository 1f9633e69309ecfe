"""New thresholds without training: what they rest on, and that a release shares the weights of another."""

import copy
import shutil

import numpy as np
import pytest
from helpers.layouts import write_image
from helpers.trials import small_trial
from jsonschema import Draft202012Validator
from safetensors.torch import save

from kdzoo.champions import CHAMPION, promote
from kdzoo.data.roi import Roi
from kdzoo.detector import Detector
from kdzoo.errors import ImageError, PromotionError, UsageError
from kdzoo.metrics.binomial import bound_of_a_choice, upper_bound
from kdzoo.metrics.cost import Costs
from kdzoo.recalibration import judge_files, publish_recalibrated, recalibrated
from kdzoo.training.document import parse_document
from kdzoo.training.outcome import conclude
from kdzoo.zoo import PICTURE, TEACHER, WEIGHTS, from_manifest, publish
from zoo_registry import EntryName, Registry

ENTRY = EntryName(method="rd", dataset="toy", category="bottle")


@pytest.fixture(scope="module")
def outcome(tmp_path_factory):
    trainer = small_trial(tmp_path_factory.mktemp("trial"), "rd", epochs=1)
    trainer.step()
    return conclude(trainer)


@pytest.fixture
def detector(outcome):
    return Detector(outcome.method, dict(outcome.document), device="cpu")


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    """Twelve normal images and five others."""
    folder = tmp_path_factory.mktemp("given")
    normals = [write_image(folder / "good" / f"{number}.png") for number in range(12)]
    defects = [write_image(folder / "bad" / f"{number}.png") for number in range(5)]
    return normals, defects


def test_the_threshold_is_the_conformal_quantile_of_the_images_given(detector, given):
    normals, defects = (judge_files(detector, paths) for paths in given)
    document = recalibrated(detector, normals, defects, release=3, false_positive_rate=0.2)
    ordered = sorted(float(score) for score in normals.scores)
    threshold = ordered[12 + 1 - 2 - 1]  # two of 13 may alarm
    assert document["calibration"]["threshold"] == threshold
    assert (document["calibration"]["origin"], document["calibration"]["rule"]) == ("given", "split-conformal")
    stated = document["operating_point"]["calibration"]
    assert (stated["false_alarms"]["count"], stated["false_alarms"]["of"], stated["holds"]) == (1, 12, True)
    assert stated["at_most"] == upper_bound(1, 12)
    assert stated["misses"]["count"] == int((defects.scores <= threshold).sum())
    assert document["recalibrated"] == {
        "from_release": 3, "normals": normals.describe(), "defects": defects.describe()
    }  # fmt: skip
    assert [judged.score for judged in detector.predict(given[0])] == pytest.approx(normals.scores.tolist(), rel=1e-5)


def test_the_releases_own_parts_are_decided_anew(detector, given):
    document = recalibrated(detector, judge_files(detector, given[0]), release=1)
    threshold = document["calibration"]["threshold"]
    for part in ("selection", "report"):
        kept = detector.document["scores"][part]
        alarms = sum(
            score > threshold for score, label in zip(kept["scores"], kept["labels"], strict=True) if label == "0"
        )
        assert document["operating_point"][part]["false_alarms"]["count"] == alarms
    old = {key: value for key, value in detector.document.items() if key != "scores"}
    detector.document = old
    assert set(recalibrated(detector, judge_files(detector, given[0]), release=1)["operating_point"]) == {
        "threshold", "confidence", "calibration"
    }  # fmt: skip


def test_the_command_that_found_the_weights_is_not_named(detector, given):
    detector.document = {**detector.document, "sweep": "night-rd", "group": "night", "group_id": "one"}
    document = recalibrated(detector, judge_files(detector, given[0]), release=1)
    assert not {"sweep", "group", "group_id"} & document.keys()


def test_what_is_usual_is_asked_of_what_counts(outcome, given):
    """Outside of it a map holds its least value: the colours of pictures would begin to fade from there."""
    document = copy.deepcopy(outcome.document)
    corner = Roi(polygons=(((0.0, 0.0), (0.5, 0.0), (0.5, 0.5), (0.0, 0.5)),))
    document["options"]["roi"] = corner.text
    detector = Detector(outcome.method, document, device="cpu")
    judged = judge_files(detector, given[0])
    maps = np.stack([made for _, made, _ in detector.score_each(given[0])])
    inside = corner.inside(*maps.shape[1:])
    assert judged.normals.levels == pytest.approx([float(np.median(made[inside])) for made in maps])
    assert (judged.normals.levels > maps.min(axis=(1, 2))).all()


def test_by_cost(detector, given):
    normals, defects = (judge_files(detector, paths) for paths in given)
    costs = Costs(miss=50.0, alarm=1.0, defect_rate=0.02)
    document = recalibrated(detector, normals, defects, release=1, costs=costs)
    found = parse_document(document).calibration
    point = document["operating_point"]
    assert found.rule == "cost" and found.threshold() == found.chosen == point["threshold"]
    assert found.threshold(0.1) in normals.scores.astype(float), "another rate can be asked for all the same"
    stated = point["calibration"]
    assert stated["chosen_by"] == "cost" and "expected_rate" not in stated
    assert stated["at_most"] == bound_of_a_choice(stated["false_alarms"]["count"], 12)
    assert stated["misses_at_most"] == bound_of_a_choice(stated["misses"]["count"], 5)
    assert document["recalibrated"]["costs"] == {"miss": 50.0, "alarm": 1.0, "defect_rate": 0.02}
    assert document["recalibrated"]["cost_an_image"] > 0


def test_copies_count_once_and_names_do_not(detector, given, tmp_path):
    normals = given[0]
    shutil.copy(normals[0], tmp_path / "again.png")
    renamed = [shutil.copy(path, tmp_path / f"x{path.name}") for path in reversed(normals)]
    whole, copied = judge_files(detector, normals), judge_files(detector, [*normals, tmp_path / "again.png"])
    assert (len(copied.scores), copied.copies, whole.copies) == (12, 1, 0)
    assert whole.digest == copied.digest == judge_files(detector, renamed).digest
    assert whole.digest != judge_files(detector, normals[1:]).digest


def test_what_cannot_be(detector, given, tmp_path):
    normals = judge_files(detector, given[0])
    with pytest.raises(UsageError, match="takes defects"):
        recalibrated(detector, normals, release=1, costs=Costs(miss=1.0, alarm=1.0))
    with pytest.raises(UsageError, match="out of range"):
        recalibrated(detector, normals, release=1, false_positive_rate=1.0)
    with pytest.raises(UsageError, match="no images"):
        judge_files(detector, [])
    (tmp_path / "broken.png").write_bytes(b"broken")
    with pytest.raises(ImageError, match=r"broken\.png"):
        judge_files(detector, [tmp_path / "broken.png"])


def test_the_new_release_shares_every_blob_and_is_promoted_by_a_person(outcome, given, tmp_path):
    registry = Registry.open(tmp_path / "zoo", cache=tmp_path / "cache")
    files = {
        WEIGHTS: save({name: tensor.contiguous() for name, tensor in outcome.method.learned_state().items()}),
        TEACHER: outcome.method.teacher.weights(),
        PICTURE: outcome.picture,
    }
    publish(registry, ENTRY, outcome.document | {"sweep": "night"}, files)
    base = registry.resolve(ENTRY)
    detector = from_manifest(registry, base, device="cpu")
    document = recalibrated(detector, judge_files(detector, given[0]), release=1, false_positive_rate=0.1)
    before = {path for path in (tmp_path / "zoo" / "blobs").rglob("*") if path.is_file()}
    assert publish_recalibrated(registry, base, document, message="new lamp").release == 2
    assert {path for path in (tmp_path / "zoo" / "blobs").rglob("*") if path.is_file()} == before
    made = registry.resolve(ENTRY, 2)
    assert made.blobs == base.blobs and made.message == "new lamp"
    assert "sweep" not in made.document, "a resumed sweep would take it for its own"
    assert registry.resolve(ENTRY).release == 1

    loaded = from_manifest(registry, made, device="cpu")
    assert loaded.threshold == document["calibration"]["threshold"]
    image = np.zeros((48, 64, 3), np.uint8)
    assert loaded.predict(image).score == detector.predict(image).score
    assert promote(registry, ENTRY, 2).why == "the weights of champion 1 with other thresholds"
    assert registry.read_alias(ENTRY, CHAMPION).release == 2

    other = registry.publish(ENTRY, document, {WEIGHTS: given[0][0]}, alias=None).release
    with pytest.raises(PromotionError, match="champion 2 stays"):
        promote(registry, ENTRY, other)


@pytest.mark.parametrize("costs", [None, Costs(miss=50.0, alarm=1.0)])
def test_the_document_is_valid_by_its_schema(detector, given, costs):
    import json
    from importlib import resources

    schema = json.loads((resources.files("zoo_registry.format") / "schemas" / "kdzoo-detector-1.json").read_text())
    normals, defects = (judge_files(detector, paths) for paths in given)
    document = json.loads(json.dumps(recalibrated(detector, normals, defects, release=1, costs=costs)))
    assert [error.message for error in Draft202012Validator(schema).iter_errors(document)] == []
