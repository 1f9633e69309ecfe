"""The rule by which a trial's foreground is had: what is trained on, selected on, and what the document says of it."""

import numpy as np
import pytest
import torch
from helpers.layouts import make_category, write_mask
from helpers.trials import small_spec, small_trial, toy
from PIL import Image

from kdzoo.errors import DatasetNotFoundError, ImageError
from kdzoo.training.data import TrialData
from kdzoo.training.document import parse_document
from kdzoo.training.outcome import conclude


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture
def discs(tmp_path):
    """``toy/bottle``: five dark discs on a light ground to train on; masks of their left half in ``masks``."""
    root = make_category(tmp_path / "toy" / "bottle", train=5)
    y, x = np.mgrid[:64, :64] - 31.5
    disc = np.where(np.hypot(y, x) < 20, 60, 220)
    rng = np.random.default_rng(0)
    for number, path in enumerate(sorted((root / "train" / "good").iterdir())):
        grey = disc + rng.integers(-4, 5, disc.shape)
        Image.fromarray(grey.astype(np.uint8)).convert("RGB").save(path)
        write_mask(tmp_path / "masks" / f"{number:03}.png", size=(64, 64))
    return tmp_path


def data_of(root, **options):
    return TrialData(toy(root), "bottle", small_spec("rd", **options).options, cache=root / "cache")


DISC = np.pi * 20**2 / 64**2


@pytest.mark.parametrize(("rule", "share"), [("auto", DISC), ("light", DISC), ("whole", 1.0)])
def test_a_rule_without_files(discs, rule, share):
    data = data_of(discs, foreground=rule)
    assert data.foreground.mean() == pytest.approx(share, abs=0.02)
    described = data.describe()["foreground"]
    assert described["rule"] == rule and described["share"] == pytest.approx(share, abs=0.02)


def test_a_persons_masks(discs):
    data = data_of(discs, foreground=f"masks:{discs}/masks")
    data.check_foreground()
    assert data.foreground[:, :, :32].all() and not data.foreground[:, :, 32:].any()
    described = data.describe()["foreground"]
    assert (described["rule"], described["share"]) == ("masks:masks", 0.5)
    Image.fromarray(np.full((64, 64), 255, np.uint8)).save(discs / "masks" / "000.png")
    changed = data_of(discs, foreground=f"masks:{discs}/masks").describe()["foreground"]
    assert changed["sha256"] != described["sha256"]


def test_masks_that_cannot_be_used_are_refused_before_training(discs):
    Image.new("L", (64, 64)).save(discs / "masks" / "002.png")
    with pytest.raises(ImageError, match=r"002\.png is empty"):
        data_of(discs, foreground=f"masks:{discs}/masks").check_foreground()
    with pytest.raises(DatasetNotFoundError, match="nowhere"):
        data_of(discs, foreground=f"masks:{discs}/nowhere").check_foreground()
    data_of(discs, foreground="auto").check_foreground()


def test_anomalies_of_the_selection_lie_on_the_persons_masks(discs):
    data = data_of(discs, foreground=f"masks:{discs}/masks", protocol="synthetic")
    masks = data.selection.masks
    assert masks.any() and not masks[:, :, 32:].any()


def test_held_out_images_are_judged_by_what_the_category_shows(discs):
    # The one held-out image is no disc; alone it would be a surface.
    data = data_of(discs, protocol="synthetic")
    (held_out,) = data.parts.select
    Image.fromarray(np.random.default_rng(1).integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(held_out.path)
    data = data_of(discs, protocol="synthetic")
    assert data.foreground.mean() == pytest.approx(DISC, abs=0.02)
    assert data.selection.masks.any()


def test_what_is_selected_under_another_rule_does_not_compare(discs):
    def digest(**options):
        return data_of(discs, **options).parts.digest

    synthetic = digest(protocol="synthetic")
    assert digest(protocol="synthetic", foreground="auto") == synthetic
    others = {digest(protocol="synthetic", foreground=rule) for rule in ("whole", "light", "masks:a", "masks:b")}
    assert len(others | {synthetic}) == 5
    # Where the selection part is real, the rule changes nothing of it.
    assert digest(foreground="whole") == digest(foreground="auto")
    # As an absolute path and as the document says it, the same masks.
    assert digest(protocol="synthetic", foreground=f"masks:{discs}/a") in others


def test_the_document_tells_the_rule_but_no_path_of_this_machine(discs):
    trainer = small_trial(discs, "aand", epochs=1, foreground=f"masks:{discs}/masks")
    trainer.run()
    document = conclude(trainer).document
    assert document["options"]["foreground"] == document["dataset"]["foreground"]["rule"] == "masks:masks"
    assert str(discs) not in str(document)
    assert parse_document(document).options.foreground == "masks:masks"
