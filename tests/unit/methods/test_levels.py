"""Levels added as they are, and each by its spread on normal images."""

import copy

import numpy as np
import pytest
import torch
from helpers.trials import TEACHER, small_config, small_trial

from kdzoo.detector import Detector
from kdzoo.errors import CheckpointError, NonFiniteLossError
from kdzoo.methods.base import Shown
from kdzoo.methods.layers.maps import cosine_distance_map, smooth
from kdzoo.methods.layers.scales import LevelScale
from kdzoo.methods.registry import build_method
from kdzoo.teachers.backbone import load_teacher
from kdzoo.training import settling
from kdzoo.training.checkpoint import load_state, save_state
from kdzoo.training.images import ImageSource
from kdzoo.training.outcome import conclude
from kdzoo.training.settling import settle

SUMMING = pytest.mark.parametrize("name", ["rd", "mrkd", "aand"])
SCALED = pytest.mark.parametrize("scale", ["zscore", "place"])
SIGMAS = 1.6448536269514722


@pytest.fixture(scope="module")
def teacher():
    return load_teacher(TEACHER)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("toys")


def built(name, teacher, **changes):
    torch.manual_seed(0)
    return build_method(name, small_config(name, **changes), teacher).eval()


def fitted(*levels):
    scale = LevelScale(len(levels))
    scale.fit([list(levels)])
    return scale


def test_centre_and_spread_by_counting():
    """Of 0..100 the median is 50 and the 95th percentile 95."""
    values = torch.arange(101.0)[torch.randperm(101)]
    scale = fitted(values.reshape(1, 1, 101), 2 * values.reshape(1, 101, 1) + 7)
    assert scale.centre.tolist() == [50, 107]
    assert scale.spread.tolist() == pytest.approx([45 / SIGMAS, 90 / SIGMAS])


def test_batches_are_one_set_of_images():
    first, second = torch.rand(3, 4, 4), torch.rand(2, 4, 4)
    scale = LevelScale(1)
    scale.fit(iter([[first], [second]]))
    pixels = torch.cat([first, second]).double().numpy()
    assert float(scale.centre) == pytest.approx(np.quantile(pixels, 0.5))
    assert float(scale.spread) == pytest.approx((np.quantile(pixels, 0.95) - np.quantile(pixels, 0.5)) / SIGMAS)


def test_of_gaussian_values_the_spread_is_the_standard_deviation():
    values = 0.3 + 0.02 * torch.randn(1, 1000, 1000, generator=torch.Generator().manual_seed(0))
    scale = fitted(values)
    assert float(scale.centre) == pytest.approx(0.3, abs=1e-3)
    assert float(scale.spread) == pytest.approx(0.02, rel=0.01)


def test_a_noisy_level_no_longer_drowns_a_quiet_one():
    """The quiet level's defect is five of its own spreads, the noisy one's noise is ten times as large."""
    dice = torch.Generator().manual_seed(0)
    noisy, quiet = torch.randn(1, 64, 64, generator=dice), 0.1 * torch.randn(1, 64, 64, generator=dice)
    scale = fitted(noisy, quiet)
    seen = [noisy.clone(), quiet.clone()]
    seen[1][0, 5, 5] = 1.0
    seen[0][0, 5, 5] = 0.0
    assert int(sum(seen).argmax()) != 5 * 64 + 5
    assert int(sum(scale(seen)).argmax()) == 5 * 64 + 5


def test_a_level_that_never_varies_gives_finite_scores():
    scale = fitted(torch.full((1, 4, 4), 0.2))
    assert torch.isfinite(scale([torch.rand(1, 4, 4)])[0]).all()


def test_before_it_is_fitted_nothing_changes():
    level = torch.rand(2, 3, 3)
    assert torch.equal(LevelScale(1)([level])[0], level)


@SUMMING
def test_the_papers_sum_is_the_default_to_the_bit_and_keeps_nothing(name, teacher):
    method = built(name, teacher)
    images = torch.randn(2, 3, 64, 64)
    asked = []
    with torch.no_grad():
        features = method.amplified(images) if name == "aand" else teacher(images)
        student = method.student(features)
        student = method.generation(student) if name == "mrkd" else student
        expected = smooth(cosine_distance_map(features, student, size=(64, 64)), method.config.smoothing_sigma)
        method.settle(asked.append(each) or Shown(images=each) for each in [images])
        assert torch.equal(method.anomaly_map(images), expected)
    assert method.config.level_scale == "sum"
    assert not any(key.startswith("scale.") for key in method.learned_state())
    assert (asked, method.settled()) == ([], {})


@SUMMING
def test_a_map_of_z_scores_is_the_sum_of_the_levels_own(name, teacher):
    method, plain = (built(name, teacher, level_scale=scale) for scale in ("zscore", "sum"))
    normal, images = torch.randn(5, 3, 64, 64), torch.randn(2, 3, 64, 64)

    def maps(images, level):
        alone = [plain.distances(plain.targets(images))[level]]
        full = torch.nn.functional.interpolate(alone[0][:, None], size=(64, 64), mode="bilinear", align_corners=True)
        return smooth(full[:, 0], method.config.smoothing_sigma)

    with torch.no_grad():
        method.settle([Shown(images=normal[:3]), Shown(images=normal[3:])])
        expected = torch.zeros(2, 64, 64)
        for level in range(3):
            seen = maps(normal, level).double().numpy()
            centre, upper = np.quantile(seen, (0.5, 0.95))
            expected += (maps(images, level) - centre) / ((upper - centre) / SIGMAS)
        torch.testing.assert_close(method.anomaly_map(images), expected, rtol=1e-3, atol=1e-3)
    told = method.settled()
    assert told["level_spread"] == method.learned_state()["scale.spread"].tolist()
    assert told["level_centre"] == method.learned_state()["scale.centre"].tolist()


@SUMMING
@SCALED
def test_training_learns_the_same_weights_either_way(name, scale, root, teacher):
    one, other = (small_trial(root, name, teacher=teacher, config={"level_scale": kind}) for kind in ("sum", scale))
    for trainer in (one, other):
        trainer.run()
    scaled = other.method.learned_state()
    assert set(scaled) - set(one.method.learned_state()) == {"scale.centre", "scale.spread"}
    assert all(torch.equal(value, scaled[key]) for key, value in one.method.learned_state().items())


@SUMMING
@SCALED
def test_going_on_gives_the_same_spreads_and_a_saved_detector_the_same_maps(name, scale, root, teacher, tmp_path):
    def trial():
        return small_trial(root, name, teacher=teacher, epochs=2, evaluations=1, config={"level_scale": scale})

    through, resumed = trial(), trial()
    through.step()
    save_state(tmp_path / "state.pt", through.state())
    through.run()
    resumed.load_state(load_state(tmp_path / "state.pt"))
    resumed.run()
    assert all(torch.equal(value, resumed.best.weights[key]) for key, value in through.best.weights.items())
    assert not torch.equal(through.best.weights["scale.spread"], torch.ones(3))
    outcome = conclude(through)
    assert outcome.document["settled"] == outcome.method.settled()
    here = Detector(outcome.method, outcome.document, device="cpu")
    there = Detector.open(here.save(tmp_path / "saved"), device="cpu")
    image = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    assert np.array_equal(here.predict(image).anomaly_map, there.predict(image).anomaly_map)


def test_a_document_from_before_the_knob_is_read_as_the_sum(root, teacher, tmp_path):
    trainer = small_trial(root, "rd", teacher=teacher)
    trainer.run()
    outcome = conclude(trainer)
    assert "settled" not in outcome.document
    folder = Detector(outcome.method, outcome.document, device="cpu").save(tmp_path / "saved")
    former = copy.deepcopy(outcome.document)
    del former["config"]["level_scale"]
    opened = Detector.from_files(former, folder / "weights.safetensors", folder / "teacher.safetensors", device="cpu")
    assert opened.plan.config.level_scale == "sum"


@SUMMING
def test_a_document_from_before_students_were_fitted_is_read_as_the_mirror(name, root, tmp_path):
    """Of a teacher that is no ResNet: its detector's weights are those of the student that it was trained with."""
    trainer = small_trial(root, name, teacher=load_teacher("random-mobilenetv3_small_050"), epochs=1)
    trainer.run()
    outcome = conclude(trainer)
    here = Detector(outcome.method, outcome.document, device="cpu")
    folder = here.save(tmp_path / "saved")
    former = copy.deepcopy(outcome.document)
    assert former["config"].pop("student") == "mirror"
    opened = Detector.from_files(former, folder / "weights.safetensors", folder / "teacher.safetensors", device="cpu")
    image = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    assert np.array_equal(here.predict(image).anomaly_map, opened.predict(image).anomaly_map)
    with pytest.raises(CheckpointError):
        other = copy.deepcopy(former)
        other["config"]["student"] = "fitted"
        Detector.from_files(other, folder / "weights.safetensors", folder / "teacher.safetensors", device="cpu")


class Counting:
    """Images that remember which of them were asked for."""

    def __init__(self, count, size):
        self.images, self.asked = np.zeros((count, size, size, 3), np.uint8), []

    def __len__(self):
        return len(self.images)

    def batch(self, indices):
        self.asked.append(indices.tolist())
        return torch.rand(len(indices), 3, *self.images.shape[1:3])


def labels(count):
    """Every third image has a defect."""
    return (np.arange(count) % 3 == 2).astype(np.int64)


def test_a_few_normal_images_are_shown_the_same_ones_for_a_seed(teacher, monkeypatch):
    monkeypatch.setattr(settling, "MOST_SHOWN", 40)
    method = built("rd", teacher, level_scale="zscore")
    sources = [Counting(90, 64), Counting(90, 64), Counting(90, 64), Counting(4, 64)]
    for source, seed in zip(sources, (1, 1, 2, 1), strict=True):
        settle(method, source, labels(len(source)), seed=seed)
    shown = [[index for batch in source.asked for index in batch] for source in sources]
    assert shown[0] == shown[1] != shown[2]
    assert len(set(shown[0])) == 40
    assert not any(index % 3 == 2 for index in shown[0] + shown[2])
    assert [len(batch) for batch in sources[0].asked] == [32, 8]
    assert shown[3] == [0, 1, 3]


def test_kept_features_are_taken_in_place_of_the_teacher(teacher, monkeypatch):
    """The same centres and spreads, to the bit, and the teacher is not asked."""

    pixels = np.random.default_rng(0).integers(0, 256, (6, 64, 64, 3), dtype=np.uint8)
    source = ImageSource(pixels, torch.device("cpu"))
    plain, method = (built("rd", teacher, level_scale="zscore") for _ in range(2))
    features = plain.targets(plain.teacher.normalise(source.batch(np.arange(6))))

    class Kept:
        def batch(self, indices, images):
            assert indices.tolist() == list(range(6))
            return [level.detach() for level in features]

    settle(plain, source, np.zeros(6, np.int64), seed=0)
    monkeypatch.setattr(method, "targets", lambda *_: pytest.fail("the teacher was asked"))
    settle(method, source, np.zeros(6, np.int64), seed=0, features=Kept())
    assert method.settled() == plain.settled()


@pytest.mark.parametrize("alike", [True, False])
def test_centre_and_spread_are_those_of_what_counts(teacher, alike):
    """Neither padding nor what lies outside of a region of interest says what is normal in it."""
    pixels = np.random.default_rng(0).integers(0, 256, (40, 64, 64, 3), dtype=np.uint8)
    source, truth = ImageSource(pixels, torch.device("cpu")), labels(40)
    inside = np.zeros((64, 64) if alike else (40, 64, 64), bool)
    inside[..., 8:40, 30:] = True
    if not alike:
        inside[::2] = inside[::2].transpose(0, 2, 1)
    method = built("rd", teacher, level_scale="zscore")
    settle(method, source, truth, seed=0, inside=inside)
    normal = np.flatnonzero(truth == 0)
    kept = np.broadcast_to(inside, (40, 64, 64))[normal]
    plain = built("rd", teacher)
    with torch.no_grad():
        images = plain.teacher.normalise(source.batch(normal))
        for level, found in enumerate(plain.distances(plain.targets(images))):
            seen = plain._mapped([found], images).double().numpy()[kept]
            centre, upper = np.quantile(seen, (0.5, 0.95))
            assert method.scale.centre[level].item() == pytest.approx(centre, rel=1e-4)
            assert method.scale.spread[level].item() == pytest.approx((upper - centre) / SIGMAS, rel=1e-3)


def test_where_no_image_is_normal_none_is_shown(teacher):
    method, source = built("rd", teacher, level_scale="zscore"), Counting(3, 64)
    settle(method, source, np.ones(3, np.int64), seed=0)
    assert source.asked == []
    assert method.settled()["level_spread"] == [1, 1, 1]


def test_of_large_images_fewer_are_shown(teacher, monkeypatch):
    monkeypatch.setattr(settling, "PIXELS_SHOWN", 6 * 64**2)
    method = built("rd", teacher, level_scale="zscore")
    for size, count in ((64, 6), (96, 4), (128, 4)):
        source = Counting(100, size)
        settle(method, source, np.zeros(100, np.int64), seed=0)
        assert sum(map(len, source.asked)) == count


def test_nan_features_end_in_the_error_of_nan_maps(root, teacher):
    trainer = small_trial(root, "rd", teacher=teacher, config={"level_scale": "zscore"})
    with torch.no_grad():
        for parameter in trainer.method.student.parameters():
            parameter.fill_(float("nan"))
    with pytest.raises(NonFiniteLossError):
        trainer._measure()


@SUMMING
def test_what_does_not_count_has_no_say_in_the_spread(name, teacher):
    method = built(name, teacher, level_scale="zscore")
    normal, inside = torch.randn(5, 3, 64, 64), torch.zeros(5, 64, 64, dtype=torch.bool)
    inside[:3, 20:40], inside[3:, :, 20:40] = True, True
    with torch.no_grad():
        method.settle([Shown(images=normal[:3], inside=inside[:3]), Shown(images=normal[3:], inside=inside[3:])])
        levels, _ = method._maps_by_level(Shown(images=normal))
    for level, centre, spread in zip(levels, method.scale.centre, method.scale.spread, strict=True):
        half, upper = np.quantile(level[inside].double().numpy(), (0.5, 0.95))
        assert centre.item() == pytest.approx(half, rel=1e-5)
        assert spread.item() == pytest.approx((upper - half) / SIGMAS, rel=1e-5)


def test_a_map_adds_the_levels_that_are_asked_for_and_a_score_is_the_mean_of_its_largest_pixels(teacher):
    """All three are the sum of each alone; a score of one pixel is the papers' maximum."""
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(3))

    def mapped(**knobs):
        method = built("rd", teacher, **knobs)
        with torch.no_grad():
            return method, method.anomaly_map(images)

    method, whole = mapped()
    alone = {levels: mapped(map_levels=levels)[1] for levels in ("2", "3", "2+3")}
    torch.testing.assert_close(alone["2"] + alone["3"], alone["2+3"])
    assert (whole - alone["2+3"]).min() > 0, "the finest level is missing"
    assert torch.equal(method.image_score(whole), whole.flatten(1).amax(1))
    largest = mapped(top_t=10)[0].image_score(whole)
    torch.testing.assert_close(largest, whole.flatten(1).sort(dim=1).values[:, -10:].mean(1))


def test_places_are_those_of_train_images_and_not_of_those_that_the_threshold_rests_on(root, teacher):
    trainer = small_trial(root, "rd", teacher=teacher, epochs=1, config={"level_scale": "place"})
    trainer.run()
    method, found = trainer.method.eval(), trainer.method.scale.centre.clone()

    def settled_on(images):
        settle(method, ImageSource(images, torch.device("cpu")), np.zeros(len(images), np.int64), seed=0)
        return method.scale.centre.clone()

    torch.testing.assert_close(settled_on(trainer.data.train.images), found)
    part = trainer.data.selection
    assert not torch.allclose(settled_on(part.images[part.labels == 0]), found)


@SUMMING
def test_a_detector_of_whole_images_takes_the_mean_of_all_places_off_each_tile(name, root, teacher, tmp_path):
    trainer = small_trial(root, name, teacher=teacher, config={"level_scale": "place"})
    trainer.run()
    outcome = conclude(trainer)
    Detector(outcome.method, outcome.document, device="cpu").save(tmp_path / "before")
    before, tiled = (Detector.open(tmp_path / "before", device="cpu") for _ in range(2))
    scale, images = before.method.scale, torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    assert scale.centre.std(dim=(1, 2)).min() > 0, "places differ"
    with torch.no_grad():
        chosen, was = before.method.config.added_levels, before.method.anomaly_map(images)
        tiled.set_tiling(64, overlap=16)
        assert tiled.ignores_places and not before.ignores_places
        made = tiled.method.anomaly_map(images)
        of_places = scale.offset(chosen, (64, 64))
        of_all = sum(scale.centre[level].mean() / scale.spread[level] for level in chosen)
    torch.testing.assert_close(made, was + of_places - of_all, rtol=1e-4, atol=1e-4)
    tiled.save(tmp_path / "after")
    for file in ("weights.safetensors", "detector.json"):
        assert (tmp_path / "after" / file).read_bytes() == (tmp_path / "before" / file).read_bytes()
    assert not Detector.open(tmp_path / "after", device="cpu").ignores_places


@pytest.mark.parametrize(("scale", "options"), [("place", {"resize": "tile"}), ("zscore", {}), ("sum", {})])
def test_other_detectors_know_of_no_places_that_tiles_lack(scale, options, root, teacher):
    trainer = small_trial(root, "rd", teacher=teacher, config={"level_scale": scale}, **options)
    trainer.run()
    outcome = conclude(trainer)
    detector, images = Detector(outcome.method, outcome.document, device="cpu"), torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        before = detector.method.anomaly_map(images)
        detector.set_tiling(64, overlap=8)
        assert not detector.ignores_places
        assert torch.equal(detector.method.anomaly_map(images), before)
