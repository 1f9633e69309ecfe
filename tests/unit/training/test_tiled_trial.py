"""A trial on images that are cut into tiles: what is measured, calibrated and shown is of whole images."""

import json

import numpy as np
import pytest
import torch
from helpers.trials import CPU, small_spec, small_trial, toy, toy_of_two_shapes
from PIL import Image

from kdzoo.detector import Detector
from kdzoo.errors import CheckpointError, ConfigError, NonFiniteLossError, StorageError, UsageError
from kdzoo.recalibration import judge_files
from kdzoo.training.cross_fitting import cross_fit
from kdzoo.training.data import TrialData
from kdzoo.training.document import parse_document
from kdzoo.training.evaluation import measure
from kdzoo.training.images import ImageSource
from kdzoo.training.outcome import conclude
from kdzoo.training.scoring import map_of_image, score_set
from kdzoo.training.scratch import room
from kdzoo.training.spec import RunOptions

WIDE, SMALL = (100, 150), (40, 90)
TILES, OF_SMALL = 6, 2
LEFT = json.dumps({"polygons": [[[0, 0], [0.5, 0], [0.5, 1], [0, 1]]]})


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture
def root(tmp_path):
    """``toy/bottle`` of noise; images of odd number are smaller than a tile."""
    toy_of_two_shapes(tmp_path, WIDE, SMALL, marked=(slice(8, 24), slice(50, 80)))
    return tmp_path


def data_of(root, **options):
    spec = small_spec("rd", **({"resize": "tile", "overlap": 16} | options))
    return TrialData(toy(root), "bottle", spec.options, cache=root / "cache")


class Red:
    """A method whose map is the image's red channel, and which cannot tell a tile from an image."""

    class teacher:  # noqa: N801 - as a method has it
        @staticmethod
        def normalise(images):
            return images

    def modules(self):
        return []

    def eval(self):
        return self

    def anomaly_map(self, images):
        return images[:, 0]

    def image_score(self, maps):
        return maps.flatten(1).amax(dim=1)


def pictures(data, part):
    """The images as they are in their files."""
    return [np.asarray(Image.open(sample.path).convert("RGB")) for sample in part]


def scored_by_red(data, truth, **given):
    return score_set(Red(), truth, ImageSource(truth.images, CPU), folder=data.cache, **given)


def test_training_sees_tiles_and_measuring_whole_images(root):
    data = data_of(root)
    shapes = [each.shape for each in pictures(data, data.parts.train)]
    assert {shape[:2] for shape in shapes} == {WIDE, SMALL}
    assert len(data.train.images) == sum(TILES if shape[:2] == WIDE else OF_SMALL for shape in shapes)
    assert data.train.images.shape[1:] == (64, 64, 3)
    truth = data.report
    for number, image in enumerate(pictures(data, data.parts.report)):
        assert np.array_equal(truth.tiles.whole(number, truth.images), image)
        marked = np.zeros(image.shape[:2], np.uint8)
        if truth.labels[number]:
            marked[8:24, 50:80] = 1
        assert np.array_equal(truth.masks[number], marked)
    assert len(truth.masks) == len(truth.labels) == len(truth.names) == len(data.parts.report)


def test_a_map_of_tiles_is_the_map_of_the_image(root):
    data = data_of(root)
    for batch in (1, 5, 100):
        found = scored_by_red(data, data.report, batch_size=batch)
        for made, score, image in zip(found.maps, found.scores, pictures(data, data.parts.report), strict=True):
            assert made == pytest.approx(image[..., 0] / 255, abs=1e-6)
            assert score == pytest.approx(image[..., 0].max() / 255, abs=1e-6)
    image = pictures(data, data.parts.report)[0]
    one = map_of_image(Red(), image, data.options.tiling, CPU, batch_size=4)
    assert np.array_equal(one, found.maps[0])


def test_images_are_scaled_before_they_are_cut(root):
    data = data_of(root, scale=0.5)
    found = scored_by_red(data, data.report)
    image = Image.open(data.parts.report[0].path).convert("RGB")
    half = np.asarray(image.resize((image.width // 2, image.height // 2), Image.Resampling.BILINEAR))
    assert found.maps[0] == pytest.approx(half[..., 0] / 255, abs=1e-6)
    assert data.report.masks[0].shape == half.shape[:2]


def test_a_region_of_interest_is_one_of_the_whole_image(root):
    data = data_of(root, roi=LEFT)
    truth, found = data.report, scored_by_red(data, data.report)
    images = pictures(data, data.parts.report)
    for number, (image, made) in enumerate(zip(images, found.maps, strict=True)):
        half, red = image.shape[1] // 2, image[..., 0] / 255
        assert made[:, :half] == pytest.approx(red[:, :half], abs=1e-6)
        assert (made[:, half:] == made[:, :half].min()).all()
        assert found.scores[number] == made[:, :half].max()
        assert truth.inside[number].sum() == half * image.shape[0]
        assert not truth.masks[number][:, half:].any()
    labels, inside = truth.by_row
    # Of six tiles of a wide image the two on the right show nothing that counts.
    first = truth.tiles.rows[int(np.flatnonzero(truth.labels == 0)[0])]
    assert labels[first].tolist() == ([0, 0, 1] * 2 if len(first) == TILES else [0, 0])
    assert inside[first].sum(axis=(1, 2)).astype(bool).tolist() == (labels[first] == 0).tolist()


def test_nothing_beside_a_small_image_counts(root):
    data = data_of(root)
    labels, inside = data.report.by_row
    for number, rows in enumerate(data.report.tiles.rows):
        assert (labels[rows] == data.report.labels[number]).all()
        assert inside[rows].sum() >= np.prod(data.report.tiles.grids[number].shape)
        whole = data.report.tiles.whole(number, inside[np.arange(len(labels))])
        assert whole.all()
        if len(rows) == OF_SMALL:
            assert inside[rows].sum(axis=(1, 2)).tolist() == [SMALL[0] * 64] * 2


def test_the_foreground_is_that_of_the_whole_image(root):
    rng = np.random.default_rng(1)
    for path in (root / "toy" / "bottle" / "train" / "good").glob("*.png"):
        image = rng.integers(0, 40, (120, 200, 3), dtype=np.uint8)
        image[30:90, 50:150] += 180
        Image.fromarray(image).save(path)
    for rule in ("auto", "light"):
        data = data_of(root, foreground=rule)
        tiles, found = data.train.grids, data.foreground
        assert len(found) == len(data.train.images)
        product = np.zeros((120, 200), bool)
        product[30:90, 50:150] = True
        for number, grid in enumerate(tiles):
            rows = slice(number * len(grid), (number + 1) * len(grid))
            whole = grid.joined(found[rows])
            assert (whole & product).sum() / (whole | product).sum() > 0.9
        share = data.describe()["foreground"]["share"]
        assert share == pytest.approx(product.mean(), abs=0.05)


def test_a_persons_masks_are_cut_as_the_images_are(root, tmp_path):
    masks = tmp_path / "product"
    masks.mkdir()
    data = data_of(root)
    for sample, image in zip(data.parts.train, pictures(data, data.parts.train), strict=True):
        mask = np.zeros(image.shape[:2], np.uint8)
        mask[10:30, 20:70] = 255
        Image.fromarray(mask).save(masks / sample.path.name)
    data = data_of(root, foreground=f"masks:{masks}")
    start = 0
    for grid in data.train.grids:
        whole = grid.joined(data.foreground[start : start + len(grid)])
        start += len(grid)
        assert whole[10:30, 20:70].all() and whole.sum() == 20 * 50
    covered = 1000 * len(data.train.grids) / sum(np.prod(grid.shape) for grid in data.train.grids)
    assert data.describe()["foreground"]["share"] == pytest.approx(covered)
    next(masks.iterdir()).unlink()
    with pytest.raises(Exception, match=r"1 of .* images have no foreground mask"):
        data_of(root, foreground=f"masks:{masks}").check_foreground()


@pytest.mark.parametrize("roi", ["", LEFT])
def test_an_anomaly_is_planted_on_a_tile_and_shows_in_those_that_overlap_it(root, roi):
    part = data_of(root, protocol="synthetic", roi=roi).selection
    normal, again = np.flatnonzero(part.labels == 0), np.flatnonzero(part.labels == 1)
    assert len(again) and part.names[again[0]] == f"{part.names[normal[0]]} + synthetic"
    by_name = dict(zip(part.names, range(len(part.names)), strict=True))
    for number in again.tolist():
        before = by_name[part.names[number].removesuffix(" + synthetic")]
        one, other = (part.tiles.whole(each, part.images) for each in (before, number))
        mask = part.masks[number].astype(bool)
        assert mask.any() and not part.masks[before].any()
        assert np.array_equal((one != other).any(axis=2) | mask, mask), "changed where no mask is"
        assert (one != other).any(axis=2).sum() > mask.sum() / 2
        rows, columns = np.nonzero(mask)
        assert np.ptp(rows) < 64 and np.ptp(columns) < 64
        kept = np.isin(part.tiles.rows[number], part.tiles.rows[before])
        assert kept.sum() < len(kept), "no tile was changed"
        assert part.inside is None or not (mask & ~part.inside[number]).any()
        # All tiles agree where they overlap: cut again, they are what they were.
        cut = part.tiles.grids[number].cut(other)
        if not part.tiles.grids[number].padded:
            assert np.array_equal(cut, part.images[part.tiles.rows[number]])
    same = data_of(root, protocol="synthetic", roi=roi).selection
    assert np.array_equal(part.images, same.images)
    labels, _ = part.by_row
    assert {int(label) for label in labels[part.tiles.rows[again[0]]]} >= {1}


def test_an_image_without_product_gets_no_anomaly(root, monkeypatch):
    monkeypatch.setattr(TrialData, "_foreground_of", lambda self, part: np.zeros(part.images.shape[:3], bool))
    part = data_of(root, protocol="synthetic").selection
    assert not part.labels.any() and len(part.masks) == len(part.labels)


def test_what_is_found_is_the_same_from_training_to_prediction(root):
    trainer = small_trial(root, "rd", resize="tile", overlap=16, epochs=1, protocol="test")
    trainer.run()
    outcome, truth = conclude(trainer), trainer.data.report
    scored = score_set(outcome.method, truth, ImageSource(truth.images, CPU), folder=trainer.data.cache)
    report = measure(scored, truth, aupro_limit=0.3)
    assert outcome.metrics["test_pixel_ap"] == report.pixel_ap
    assert report.pixels == sum(made.size for made in scored.maps)
    document = outcome.document
    assert (
        document["input"] | {"resize": "bilinear-antialiased-tiles", "overlap": 16, "scale": 1.0} == document["input"]
    )
    assert document["dataset"]["tiles"]["train"] == len(trainer.data.train.images)
    detector = Detector(outcome.method, document, device="cpu")
    for number, sample in enumerate(trainer.data.parts.report):
        found = detector.predict(sample.path)
        assert found.score == pytest.approx(scored.scores[number], rel=1e-4)
        assert found.anomaly_map == pytest.approx(scored.maps[number], rel=1e-3, abs=1e-5)
        assert found.overlay().size == found.anomaly_map.shape[::-1]
    paths = [sample.path for sample in trainer.data.parts.report]
    judged = judge_files(detector, paths)
    assert judged.normals.scores == pytest.approx(scored.scores, rel=1e-4)
    assert judged.normals.peaks == pytest.approx([made.max() for made in scored.maps], rel=1e-4)
    assert outcome.picture.startswith(b"\x89PNG")
    assert trainer.footprint()["latency_ms"] > 0


def test_the_report_does_not_hang_on_what_lies_in_memory(root, monkeypatch):
    data = data_of(root)
    plain = scored_by_red(data, data.report)
    monkeypatch.setattr(room, "__kwdefaults__", {"in_memory": 0})
    on_disk = scored_by_red(data, data.report)
    assert isinstance(on_disk.maps[0].base, np.memmap) or isinstance(on_disk.maps[0], np.memmap)
    assert measure(on_disk, data.report, aupro_limit=0.3) == measure(plain, data.report, aupro_limit=0.3)
    assert not [path for path in data.cache.iterdir() if path.is_file()], "a file with a name was left"


def test_folds_are_scored_as_whole_images(root):
    trainer = small_trial(root, "rd", resize="tile", overlap=16, epochs=1)
    trainer.run()
    found = cross_fit(trainer, 2)
    assert len(found.normals.scores) == len(trainer.data.parts.train)


def test_a_map_that_is_not_finite_is_refused(root):
    class Broken(Red):
        def anomaly_map(self, images):
            return images[:, 0] * float("nan")

    data = data_of(root)
    with pytest.raises(NonFiniteLossError):
        score_set(Broken(), data.report, ImageSource(data.report.images, CPU), folder=data.cache)


def test_a_full_disk_says_how_much_was_wanted(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.posix_fallocate", full)
    with pytest.raises(StorageError, match=r"no room for 0\.0 GB"):
        room((10, 10), np.float32, tmp_path, in_memory=1)


@pytest.fixture
def squashed(root):
    trainer = small_trial(root, "rd", epochs=1)
    trainer.run()
    outcome = conclude(trainer)
    return Detector(outcome.method, outcome.document, device="cpu"), trainer.data.parts.report[0].path


def test_a_detector_of_whole_images_can_be_asked_to_look_at_tiles(squashed):
    detector, path = squashed
    before = detector.predict(path)
    assert detector.images_at_once > 1
    found = detector.set_tiling(64, overlap=8, scale=2.0).predict(path)
    assert (detector.tiling.overlap, detector.tiling.scale, detector.images_at_once) == (8, 2.0, 1)
    assert found.anomaly_map.shape == before.anomaly_map.shape
    assert not np.array_equal(found.anomaly_map, before.anomaly_map)
    assert len(list(detector.predict_each([path, path]))) == 2
    with pytest.raises(UsageError, match="trained on squares of 64"):
        detector.set_tiling(128)
    with pytest.raises(ConfigError, match="overlap"):
        detector.set_tiling(64, overlap=40)


@pytest.mark.parametrize(
    ("key", "value"), [("overlap", None), ("overlap", "a"), ("scale", True), ("scale", "1"), ("scale", 99.0)]
)
def test_a_strangers_tiles_are_checked(root, key, value):
    trainer = small_trial(root, "rd", resize="tile", overlap=16, epochs=1)
    trainer.run()
    document = conclude(trainer).document
    assert parse_document(document).options.tiling.overlap == 16
    document["input"][key] = value
    with pytest.raises(CheckpointError, match=key):
        parse_document(document)


def test_options_that_cannot_be_are_refused():
    with pytest.raises(ConfigError, match="overlap"):
        RunOptions(image_size=64, resize="tile", overlap=40)
    assert RunOptions(image_size=64).tiling is None
