"""Every method finds defects: seconds of training on a small part of the demo, and floors that noise does not reach.

Pixels count most: one of 22 images can turn the image AUROC by a tenth, and `adps` and `stfpm` want longer stages.
Untrained, `rd`, `mrkd` and `aand` come to .4 to .6 (images), .2 to .5 (pixels) and .1 to .2 (AUPRO).
"""

import numpy as np
import pytest
import torch
from helpers.methods import all_methods
from PIL import Image

from kdzoo.data.catalog import open_dataset
from kdzoo.data.demo import DEMO_DEFECTS, render_demo
from kdzoo.methods.registry import find_method
from kdzoo.search.space.space import SpaceFile
from kdzoo.settings import Settings
from kdzoo.teachers.backbone import load_teacher
from kdzoo.training.data import TrialData
from kdzoo.training.spec import RunOptions, TrialSpec
from kdzoo.training.trainer import Trainer

CATEGORY, SIZE = "milled", 96
TRAIN, NORMAL, DEFECTS = 24, 10, 3
"""Images to train on, normal ones to test on, and defects of each kind."""

CHANGES = {"adps": {"epochs": 8}, "stfpm": {"epochs": 12, "learning_rate": 0.004, "schedule": "cosine"}}
"""Beside the demo's own settings; epochs over all stages."""
EPOCHS = 6

FLOORS = {
    "rd": (0.9, 0.95, 0.85),
    "mrkd": (0.9, 0.95, 0.85),
    "aand": (0.9, 0.95, 0.85),
    "adps": (0.6, 0.75, 0.4),
    "nearest": (0.9, 0.95, 0.8),
    "patchcore": (0.9, 0.95, 0.8),
    "stfpm": (0.65, 0.93, 0.75),
}
"""Image AUROC, pixel AUROC and AUPRO."""
OTHERS = (0.6, 0.75, 0.4)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """One category of the demo, with fewer images."""
    folder = tmp_path_factory.mktemp("few")

    def save(path, pixels):
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)

    counts = [("train", "good", TRAIN), ("test", "good", NORMAL)]
    counts += [("test", defect, DEFECTS) for defect in DEMO_DEFECTS[CATEGORY]]
    for part, defect, count in counts:
        for number in range(count):
            made = render_demo(CATEGORY, part, defect, number)
            save(folder / "few" / CATEGORY / part / defect / f"{number}.png", made.image)
            if defect != "good":
                mask = made.mask.astype(np.uint8) * 255
                save(folder / "few" / CATEGORY / "ground_truth" / defect / f"{number}_mask.png", mask)
    return folder


@pytest.fixture(scope="module")
def teacher():
    torch.set_num_threads(1)
    return load_teacher("lite0")


@pytest.mark.parametrize("name", all_methods())
def test_it_finds_the_demos_defects(root, teacher, name):
    changes = {"epochs": EPOCHS, **CHANGES.get(name, {})}
    config = SpaceFile(name).space("demo", CATEGORY).defaults
    split = config.epoch_split(changes.pop("epochs"))
    # The last epoch counts, whatever others came to: nothing is chosen on the images that judge it.
    options = RunOptions(teacher="lite0", image_size=SIZE, protocol="test", evaluations=1)
    spec = TrialSpec(
        method=name,
        config=find_method(name).config.from_mapping({**config.as_dict(), **split, **changes}),
        dataset="few",
        category=CATEGORY,
        options=options,
    )
    dataset = open_dataset(str(root / "few"), Settings.from_environment({"KDZOO_HOME": str(root / "home")}))
    trainer = Trainer(spec, TrialData(dataset, CATEGORY, options, cache=root / "cache"), teacher, torch.device("cpu"))
    report = None
    while not trainer.finished:
        report = trainer.step().report
    found = report.image_auroc, report.pixel_auroc, report.aupro
    floors = FLOORS.get(name, OTHERS)
    assert all(value > floor for value, floor in zip(found, floors, strict=True)), (found, floors)
