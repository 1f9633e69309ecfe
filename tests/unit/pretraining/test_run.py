import hashlib
import json

import pytest
import torch
from safetensors.torch import load_file

from kdzoo.errors import CheckpointError, NonFiniteLossError, UsageError
from kdzoo.pretraining.card import write_teacher
from kdzoo.pretraining.recipe import PretrainConfig
from kdzoo.pretraining.run import STATE_FILE, Pretraining

TINY = PretrainConfig(
    steps=6, batch_size=4, image_size=32, late_batch_size=2, late_image_size=32, texture_size=32, textures=8,
    fresh_textures=4, renewal_steps=2, positions=64, precision="float32",
)  # fmt: skip


class StopError(Exception):
    pass


def stop_at(step):
    def report(progress):
        if progress.step == step:
            raise StopError

    return report


def weights(run):
    return {key: value.clone() for key, value in run.backbone.state_dict().items()}


def test_a_stopped_run_goes_on_to_the_same_bits(tmp_path, monkeypatch):
    monkeypatch.setattr("kdzoo.pretraining.run._CHECK_EVERY", 1)
    monkeypatch.setattr("kdzoo.pretraining.run._SAVE_SECONDS", 0.0)
    whole = Pretraining(TINY, tmp_path / "whole")
    before = weights(whole)
    whole.run()
    with pytest.raises(StopError):
        Pretraining(TINY, tmp_path / "cut").run(stop_at(4))
    again = Pretraining(TINY, tmp_path / "cut")
    assert again.step == 3  # the report of step 4 came before its state was kept
    again.run()
    for key, value in weights(whole).items():
        assert torch.equal(value, again.backbone.state_dict()[key]), key
    assert any(not torch.equal(value, before[key]) for key, value in weights(whole).items())
    assert not whole.backbone.training and not any(p.requires_grad for p in whole.backbone.parameters())


def test_a_finished_run_has_nothing_to_do(tmp_path):
    Pretraining(TINY, tmp_path).run()
    again = Pretraining(TINY, tmp_path)
    before = weights(again)
    again.run()
    assert again.step == TINY.steps
    assert all(torch.equal(value, again.backbone.state_dict()[key]) for key, value in before.items())


def test_another_recipe_does_not_go_on_with_a_run(tmp_path):
    Pretraining(TINY.replace(steps=1), tmp_path).run()
    with pytest.raises(UsageError, match="differs in seed, steps"):
        Pretraining(TINY.replace(steps=2, seed=5), tmp_path)


@pytest.mark.parametrize("damage", [lambda data: b"", lambda data: data[:1000], lambda data: b"PK" + data])
def test_a_damaged_state_is_named(tmp_path, damage):
    Pretraining(TINY.replace(steps=1), tmp_path).run()
    state = tmp_path / STATE_FILE
    state.write_bytes(damage(state.read_bytes()))
    with pytest.raises(CheckpointError, match=STATE_FILE):
        Pretraining(TINY.replace(steps=1), tmp_path)


def test_a_loss_that_is_no_number_ends_the_run_and_keeps_nothing_of_it(tmp_path):
    run = Pretraining(TINY, tmp_path)
    with torch.no_grad():
        next(run.backbone.parameters()).fill_(float("nan"))
    with pytest.raises(NonFiniteLossError, match="by step 6"):
        run.run()
    assert not (tmp_path / STATE_FILE).exists()


def test_the_card_names_the_weights_and_the_recipe(tmp_path):
    run = Pretraining(TINY, tmp_path)
    run.run()
    file, card_file = write_teacher(run, "plant", tmp_path)
    card = json.loads(card_file.read_text())
    assert card["schema"] == "kdzoo-teacher/1" and card["name"] == "plant"
    assert card["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert card["bytes"] == file.stat().st_size < 12_000_000
    assert PretrainConfig.from_mapping(card["recipe"]) == TINY
    assert card["images"] == 4 * 4 + 2 * 2
    kept = load_file(file)
    trained = run.backbone.state_dict()
    assert set(kept) == {key for key in trained if not key.endswith("num_batches_tracked")}
    for key, value in kept.items():
        assert torch.allclose(value.float(), trained[key], rtol=1e-3, atol=1e-6), key
