"""The authors' settings of MRKD for each category of MVTec AD, as the space file has them."""

import pytest

from kdzoo.data.catalog import CATALOG
from kdzoo.methods.mrkd.config import MRKDConfig
from kdzoo.search.space.space import SpaceFile

# Bounds of rows and of columns, patches, least object, least overlap, background's level and tolerance.
SETTINGS = {
    "bottle": (0.03, 0.4, 0.03, 0.4, 3, 0.7, 0.25, 200, 60),
    "cable": (0.01, 0.05, 0.01, 0.1, 3, 0, 0, None, None),
    "capsule": (0.01, 0.05, 0.01, 0.05, 1, 0.7, 0.25, 200, 60),
    "hazelnut": (0.03, 0.35, 0.03, 0.35, 3, 0.7, 0.25, 20, 20),
    "metal_nut": (0.01, 0.05, 0.01, 0.01, 1, 0.5, 0.25, 20, 20),
    "pill": (0.01, 0.05, 0.01, 0.05, 1, 0.7, 0.25, 20, 20),
    "screw": (0.01, 0.05, 0.01, 0.05, 1, 0.5, 0.25, 200, 60),
    "toothbrush": (0.01, 0.01, 0.01, 0.01, 1, 0.25, 0.25, 20, 20),
    "transistor": (0.03, 0.4, 0.03, 0.4, 3, 0, 0, None, None),
    "zipper": (0.01, 0.05, 0.01, 0.01, 1, 0.7, 0.25, 200, 60),
    "carpet": (0.03, 0.4, 0.03, 0.4, 4, 0, 0, None, None),
    "leather": (0.03, 0.4, 0.03, 0.4, 4, 0, 0, None, None),
    "grid": (0.01, 0.05, 0.01, 0.1, 4, 0, 0, None, None),
    "tile": (0.01, 0.05, 0.01, 0.1, 4, 0, 0, None, None),
    "wood": (0.01, 0.05, 0.01, 0.01, 4, 0, 0, None, None),
}
SHARED = {"learning_rate", "mask_ratio_1", "mask_ratio_2", "mask_ratio_3", "anomaly_probability", "patches"}


@pytest.fixture(scope="module")
def file():
    return SpaceFile("mrkd")


def test_every_category_of_mvtec_has_its_settings():
    assert set(SETTINGS) == set(CATALOG["mvtec"].categories)


@pytest.mark.parametrize("category", SETTINGS)
def test_a_study_starts_at_the_authors_settings(file, category):
    space, expected = file.space("mvtec", category), SETTINGS[category]
    found = space.config(space.start())
    swaps = ("rows_low", "rows_high", "columns_low", "columns_high", "patches", "min_object_pct", "min_overlap_pct")
    assert tuple(getattr(found, key) for key in swaps) == pytest.approx(expected[:7])
    assert found.background_level == expected[7]
    assert expected[8] in (None, found.background_tolerance)
    assert found == space.defaults
    assert set(space.dimensions) >= SHARED


def test_the_settings_are_mvtecs_alone(file):
    quick = {"epoch_steps": 20, "schedule": "cosine", "warmup": 0.1, "student": "fitted", "map_levels": "2+3"}
    for dataset, given in (("demo", {"student": "mirror"}), ("elsewhere", quick)):
        start = file.space(dataset, "bottle").defaults
        assert start.replace(epochs=200, batch_size=16) == MRKDConfig(level_scale="place", top_t=200, **given)


def test_a_category_without_a_background_rule_does_not_search_it(file):
    rules = {"min_object_pct", "min_overlap_pct"}
    for category, settings in SETTINGS.items():
        searched = rules & set(file.space("mvtec", category).dimensions)
        assert searched == (rules if settings[7] is not None else set()), category
