import hashlib
import json
from pathlib import Path

import torch

import kdzoo.teachers
from kdzoo.data.formula.textures import formula_textures
from kdzoo.pretraining.recipe import PretrainConfig
from kdzoo.teachers.backbone import load_teacher

FOLDER = Path(kdzoo.teachers.__file__).parent / "shipped"


def test_the_shipped_teacher_loads_without_a_network():
    teacher = load_teacher("kdzoo-tiny", offline=True)
    features = teacher(teacher.normalise(torch.rand(2, 3, 64, 64)))
    assert [tuple(level.shape[1:]) for level in features] == [(64, 16, 16), (128, 8, 8), (256, 4, 4)]
    assert all(level.dtype == torch.float32 and level.isfinite().all() for level in features)


def test_its_card_tells_its_digest_size_licence_and_recipe():
    card = json.loads((FOLDER / "kdzoo-tiny.json").read_text())
    weights = (FOLDER / "kdzoo-tiny.safetensors").read_bytes()
    assert card["sha256"] == hashlib.sha256(weights).hexdigest()
    assert card["bytes"] == len(weights) <= 12_000_000
    assert card["licence"] == "Apache-2.0"
    assert PretrainConfig.from_mapping(card["recipe"]).images == card["images"]


def test_one_position_tells_a_texture_better_than_the_random_one_does():
    """A position in the middle of a texture is nearest to one elsewhere on the same texture, of 128 textures."""
    textures = formula_textures(128, (64, 128), torch.Generator().manual_seed(7), "cpu").mean(dim=1, keepdim=True)
    images = torch.cat(textures.expand(-1, 3, -1, -1).split(64, dim=3))

    def right(name):
        teacher = load_teacher(name, offline=True)
        points = torch.nn.functional.normalize(teacher(teacher.normalise(images))[1][:, :, 4, 4], dim=1)
        nearest = (points[:128] @ points[128:].T).argmax(dim=1)
        return float((nearest == torch.arange(128)).float().mean())

    assert right("kdzoo-tiny") > right("random-resnet18") + 0.1
