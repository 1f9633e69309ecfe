"""A small trained detector, in memory and in a folder."""

import copy
import shutil

import numpy as np
import pytest
from helpers.trials import small_trial

from kdzoo.detector import Detector
from kdzoo.training.outcome import conclude

HEIGHT, WIDTH = 50, 70


@pytest.fixture(scope="module")
def outcome(tmp_path_factory):
    trainer = small_trial(tmp_path_factory.mktemp("trial"), "rd")
    trainer.run()
    return conclude(trainer)


@pytest.fixture
def detector(outcome):
    return Detector(outcome.method, copy.deepcopy(outcome.document), device="cpu")


@pytest.fixture(scope="module")
def saved(outcome, tmp_path_factory):
    return Detector(outcome.method, outcome.document).save(tmp_path_factory.mktemp("saved") / "detector")


@pytest.fixture
def folder(saved, tmp_path):
    """A copy that may be damaged."""
    return shutil.copytree(saved, tmp_path / "detector")


@pytest.fixture(scope="module")
def image():
    return np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
