import math

import torch

from kdzoo.data.formula.dice import Dice
from kdzoo.pretraining.defects import DEFECTS
from kdzoo.pretraining.objective import Objective
from kdzoo.pretraining.recipe import PretrainConfig
from kdzoo.pretraining.scenes import Scenes

CONFIG = PretrainConfig(
    textures=32, fresh_textures=8, temperature=1.0, positions=100_00, contrast_weight=2.0, defect_weight=3.0
)
CHANNELS = (4, 4, 4)


def dice():
    return Dice(torch.Generator().manual_seed(0), torch.device("cpu"))


def halves(defect=0):
    """Two images of 16 pixels, each wholly of one material; the second may show a defect."""
    regions = torch.zeros(2, 16, 16, dtype=torch.int64)
    regions[1] = CONFIG.textures if defect else 1
    defects = torch.zeros_like(regions)
    defects[1] = defect
    return Scenes(images=torch.zeros(2, 3, 16, 16), regions=regions, defects=defects)


def features(first, second):
    """Levels of 16 pixels' images whose positions all point one way in each image."""
    return [torch.stack([torch.tensor(v)[:, None, None].expand(4, n, n) for v in (first, second)]) for n in (4, 2, 1)]


def test_contrast_by_hand():
    """With features at right angles -log(e / ((n - 1) e + n)), n positions an image; at level 3 none has a partner."""
    objective = Objective(CHANNELS, CONFIG)
    apart = objective(features([2.0, 0, 0, 0], [0, 3.0, 0, 0]), halves(), dice())["contrast"]
    e = math.e
    expected = [-math.log(e / ((n - 1) * e + n)) for n in (16, 4)]
    assert abs(apart.item() - sum(expected)) < 1e-5
    alike = objective(features([2.0, 0, 0, 0], [1.0, 0, 0, 0]), halves(), dice())["contrast"]
    assert abs(alike.item() - sum(math.log(2 * n - 1) for n in (16, 4))) < 1e-5
    assert apart < alike


def test_positions_on_a_border_have_no_partner():
    scenes = halves()
    scenes.regions[0, :, 1::2] = 5  # stripes of a pixel: no position of the first image is pure
    objective = Objective(CHANNELS, CONFIG)
    loss = objective(features([2.0, 0, 0, 0], [0, 3.0, 0, 0]), scenes, dice())["contrast"]
    e = math.e
    assert abs(loss.item() - sum(-math.log(e / ((n - 1) * e + n)) for n in (16, 4))) < 1e-5


def test_defects_are_named_by_direction():
    objective = Objective(CHANNELS, CONFIG)
    with torch.no_grad():
        for directions in objective.directions:
            directions.copy_(-torch.ones_like(directions))
            directions[0] = torch.tensor([1.0, 0, 0, 0])
            directions[2] = torch.tensor([0, 1.0, 0, 0])
    right = objective(features([5.0, 0, 0, 0], [0, 7.0, 0, 0]), halves(defect=2), dice())
    wrong = objective(features([0, 5.0, 0, 0], [7.0, 0, 0, 0]), halves(defect=2), dice())
    assert right["defect"] < 1e-4 < wrong["defect"]
    assert right["found"] == 1 and wrong["found"] == 0
    total = CONFIG.contrast_weight * right["contrast"] + CONFIG.defect_weight * right["defect"]
    assert torch.allclose(right["loss"], total)


def test_a_position_hardly_touched_is_not_asked():
    objective = Objective(CHANNELS, CONFIG)
    levels = features([1.0, 0.5, 0.2, 0.1], [0.1, 0.2, 0.5, 1.0])
    plain = halves()
    touched = halves()
    touched.defects[0, 0, 0] = len(DEFECTS) - 1  # 1 of 16 pixels at level 1: above nothing, below shown
    loss_plain, loss_touched = (objective(levels, scenes, dice())["defect"] for scenes in (plain, touched))
    # One position of level 1 fewer, all of one loss: the mean over the first image's 15 is that over its 16 only if
    # both images' means are alike, so the losses differ, and no defect is counted as missed.
    assert objective(levels, touched, dice())["found"] == 0
    assert loss_plain != loss_touched


def test_every_level_and_direction_gets_a_gradient():
    objective = Objective(CHANNELS, CONFIG.replace(positions=16))
    levels = [level.clone().requires_grad_() for level in features([1.0, 0.5, 0.2, 0.1], [0.1, 0.2, 0.5, 1.0])]
    objective(levels, halves(defect=3), dice())["loss"].backward()
    assert all(
        level.grad is not None and level.grad.isfinite().all() and level.grad.abs().max() > 0 for level in levels
    )
    assert all(each.grad is not None and each.grad.abs().max() > 0 for each in objective.directions)
