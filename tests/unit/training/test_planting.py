"""What a trial plants in training: the method's own, or the kind and the textures that were asked for."""

import dataclasses

import pytest
import torch
from helpers.layouts import write_image
from helpers.trials import small_spec, small_trial, toy

from kdzoo.data.synthesis.cutpaste import CutPasteConfig
from kdzoo.data.synthesis.fill import FolderTextures
from kdzoo.data.synthesis.nsa import NsaConfig
from kdzoo.data.synthesis.perlin import PerlinConfig
from kdzoo.errors import ConfigError, DatasetNotFoundError, UnknownNameError, UsageError
from kdzoo.methods.config import MethodConfig
from kdzoo.methods.rd.config import RDConfig
from kdzoo.training.data import TrialData
from kdzoo.training.outcome import conclude
from kdzoo.training.planting import Planting
from kdzoo.training.spec import RunOptions, TrialSpec


@pytest.fixture
def photos(tmp_path):
    for number in range(3):
        write_image(tmp_path / "photos" / "red" / f"{number}.png", (200 + number, 10, 10))
    return tmp_path / "photos"


def planting(method="aand", textures=None, **options):
    return Planting(small_spec(method, **options), lambda: textures)


def test_unless_asked_a_stage_keeps_its_own():
    own = NsaConfig(patches=2)
    assert planting().config(own) is own
    assert planting(synthesis="nsa").config(own) is own


def test_another_kind_has_its_published_knobs_and_the_stages_share_of_images():
    own = PerlinConfig(probability=0.4, blend_high=0.3)
    assert planting(synthesis="cutpaste").config(own) == CutPasteConfig(probability=0.4)


def test_textures_go_to_the_kind_that_fills(photos):
    textures = FolderTextures(photos, 8)
    assert planting(textures=textures)(PerlinConfig()).source is textures
    with pytest.raises(UsageError, match="'nsa' fills nothing with textures"):
        planting(textures=textures)(NsaConfig())


@pytest.mark.parametrize("synthesis", ["nsa", "cutpaste"])
def test_a_trial_plants_the_kind_that_was_asked_for(tmp_path, synthesis):
    own, other = (small_trial(tmp_path, "aand", **options) for options in ({}, {"synthesis": synthesis}))
    for trainer in (own, other):
        trainer.step()
    built = other._batches._synthesizers["amplify"]
    assert type(built).__name__.lower() == synthesis
    assert built.config.probability == own._batches._synthesizers["amplify"].config.probability
    one, two = (trainer.method.amplifiers.state_dict() for trainer in (own, other))
    assert any(not torch.equal(value, two[key]) for key, value in one.items())


def test_a_trial_fills_with_the_photographs_and_says_so_in_its_document(tmp_path, photos):
    trainer = small_trial(tmp_path, "aand", textures=f"folder:{photos}")
    assert trainer._batches._synthesizers["amplify"].source is trainer.data.textures
    assert trainer.data.textures.textures[:, 0].float().mean() > 190
    assert trainer.data.identity["textures"] == trainer.data._textures.digest()
    trainer.run()
    document = conclude(trainer).document
    assert document["options"]["textures"] == "folder:photos"
    assert document["dataset"]["textures"] == {
        "name": "folder:photos", "images": 3, "sha256": trainer.data.identity["textures"],
    }  # fmt: skip
    assert RunOptions.from_record(document["options"]).textures == "folder:photos"
    held_out, _ = trainer.data.fold(0, 2)
    assert held_out.textures is trainer.data.textures


def test_documents_of_runs_that_ask_for_neither_are_what_they_were(tmp_path):
    trainer = small_trial(tmp_path, "aand", epochs=1)
    assert not {"synthesis", "textures"} & set(trainer.spec.as_dict()["options"])
    assert set(trainer.data.identity) == {"fingerprint", "split"}
    assert trainer.data.textures is None
    trainer.run()
    document = conclude(trainer).document
    assert not {"synthesis", "textures"} & set(document["options"])
    assert "textures" not in document["dataset"]
    asked = trainer.spec.options.replace(synthesis="nsa").as_dict()
    assert asked == trainer.spec.options.as_dict() | {"synthesis": "nsa"}
    assert RunOptions.from_record(asked).synthesis == "nsa"


def test_whoever_only_measures_needs_no_photographs(tmp_path):
    options = small_spec("aand", textures="folder:gone").options
    data = TrialData(toy(tmp_path), "bottle", options, cache=tmp_path / "cache")
    assert len(data.selection.images)
    with pytest.raises(DatasetNotFoundError, match="no textures in"):
        _ = data.textures
    with pytest.raises(DatasetNotFoundError):
        _ = data.identity


@pytest.mark.parametrize("values", [{"synthesis": "swirl"}, {"textures": "cork"}])
def test_options_that_name_nothing(values):
    with pytest.raises((UnknownNameError, ConfigError)):
        RunOptions.from_mapping(values)


def test_a_method_that_cannot_say_beforehand_is_refused_when_it_is_built(tmp_path):
    trainer = small_trial(tmp_path, "rd")
    asked = trainer.spec.options.replace(synthesis="nsa")

    class Unsaid(MethodConfig):
        """Of a method of another package."""

    for config in (Unsaid(), RDConfig()):
        spec = dataclasses.replace(trainer.spec, config=config, options=asked)
        assert isinstance(spec, TrialSpec)
        planted = Planting(spec, lambda: None)
        if config.planted() is None:
            asked.check_planting("rd", config)  # nothing is known yet
            with pytest.raises(ConfigError, match="so --synthesis says nothing to it"):
                planted.check(trainer.stages)
        else:
            with pytest.raises(ConfigError, match="so --synthesis says nothing to it"):
                asked.check_planting("rd", config)
