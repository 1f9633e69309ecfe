"""Knobs that methods and synthesizers share: the same fields, flat in documents, handed over without being retyped."""

import pytest

from kdzoo.config import Config
from kdzoo.data.synthesis.knobs import BlendKnobs, SwapKnobs
from kdzoo.data.synthesis.nsa import NsaConfig
from kdzoo.data.synthesis.perlin import PerlinConfig
from kdzoo.errors import ConfigError
from kdzoo.methods.registry import find_method

SHARED = [("aand", BlendKnobs, PerlinConfig), ("adps", BlendKnobs, PerlinConfig), ("mrkd", SwapKnobs, NsaConfig)]

DOCUMENTS = {
    "aand": {
        "batch_size": 16, "smoothing_sigma": 4.0, "epoch_steps": 0, "schedule": "published", "warmup": 0.0,
        "weight_decay": 0.0, "level_scale": "sum", "map_levels": "1+2+3", "top_t": 1,
        "student": "mirror", "width": 1.0, "amplify_epochs": 100,
        "amplify_learning_rate": 0.005, "distil_epochs": 120, "distil_learning_rate": 0.005, "hkd_top_k": 10,
        "hkd_weight": 1.0, "prototypes": 50, "temperature": 0.2, "margin": 0.3, "amplify_weight": 0.1,
        "focal_alpha": 0.8, "focal_gamma": 2.0, "mask_threshold": 0.3, "anomaly_probability": 0.8, "blend_low": 0.0,
        "blend_high": 0.8,
    },
    "mrkd": {
        "batch_size": 16, "smoothing_sigma": 4.0, "epoch_steps": 0, "schedule": "published", "warmup": 0.0,
        "weight_decay": 0.0, "level_scale": "sum", "map_levels": "1+2+3", "top_t": 1,
        "student": "mirror", "width": 1.0, "learning_rate": 0.005,
        "epochs": 200, "mask_ratio_1": 0.2, "mask_ratio_2": 0.2, "mask_ratio_3": 0.2, "anomaly_probability": 1.0,
        "patches": 3, "rows_low": 0.03, "rows_high": 0.4, "columns_low": 0.03, "columns_high": 0.4,
        "min_object_pct": 0.7, "min_overlap_pct": 0.25, "background_level": None, "background_tolerance": 20.0,
    },
}  # fmt: skip
"""As releases of the first version have them."""


@pytest.mark.parametrize("name", DOCUMENTS)
def test_documents_are_flat_and_those_of_earlier_releases(name):
    config = find_method(name).config
    assert config().as_dict() == DOCUMENTS[name]
    assert config.from_mapping(DOCUMENTS[name]) == config()


@pytest.mark.parametrize(("name", "knobs", "synthesis"), SHARED)
def test_method_and_synthesizer_have_the_same_field(name, knobs, synthesis):
    method = find_method(name).config
    for field in knobs.__dataclass_fields__:
        assert method.__dataclass_fields__[field] is synthesis.__dataclass_fields__[field]
        assert method.bounds(field) == synthesis.bounds(field)


def test_a_part_is_what_the_class_has():
    config = find_method("mrkd").config(patches=2, rows_low=0.1, epochs=3)
    part = config.part(SwapKnobs)
    assert set(part) == set(SwapKnobs.__dataclass_fields__)
    assert (part["patches"], part["rows_low"]) == (2, 0.1)
    assert NsaConfig(**part, probability=0.5).part(SwapKnobs) == part


def test_a_part_of_a_stranger_is_an_error():
    class Other(Config):
        """Has no field of its own."""

    with pytest.raises(AttributeError):
        Other().part(SwapKnobs)
    assert Other().part(Config) == {}


@pytest.mark.parametrize(("name", "knobs", "synthesis"), SHARED)
def test_both_refuse_bounds_in_the_wrong_order(name, knobs, synthesis):
    low, high = ("blend_low", "blend_high") if knobs is BlendKnobs else ("columns_low", "columns_high")
    for kind in (find_method(name).config, synthesis):
        with pytest.raises(ConfigError, match=rf"{low} = 0\.5 is above {high} = 0\.25") as caught:
            kind(**{low: 0.5, high: 0.25})
        assert caught.value.hint == f"allowed: {low} <= {high}"
