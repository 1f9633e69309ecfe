"""ADPS: the patch student, the reduction to plain distillation, losses by hand, and what the map is made of."""

import copy

import pytest
import torch
import torch.nn.functional as F

from kdzoo.errors import ConfigError
from kdzoo.methods.adps.config import ADPSConfig
from kdzoo.methods.adps.losses import distillation_losses
from kdzoo.methods.adps.model import ADPS
from kdzoo.methods.adps.segmentation import PostSegmentation, WeightMask
from kdzoo.methods.adps.student import PatchStudent, join, split
from kdzoo.methods.base import Batch
from kdzoo.teachers.backbone import load_teacher

PLAIN = {"patch_grid": 1, "push_weight": 0.0, "wmb_gain": 0.0}


@pytest.fixture(scope="module")
def teacher():
    torch.set_num_threads(1)
    return load_teacher("random-resnet18")


def built(teacher, **changes):
    torch.manual_seed(0)
    return ADPS(teacher, ADPSConfig(psm_channels=16, **changes))


def batch_of(images, masks=None):
    blank = torch.zeros_like(images[:, :1])
    return Batch(images=images, augmented=images, masks=blank if masks is None else masks, foreground=blank < 1)


def test_patches_lie_row_by_row():
    images = torch.arange(2 * 3 * 32 * 64.0).reshape(2, 3, 32, 64)
    patches = split(images, 2)
    assert patches.shape == (8, 3, 16, 32)
    assert torch.equal(patches[1], images[0, :, :16, 32:])
    assert torch.equal(patches[2], images[0, :, 16:, :32])
    assert torch.equal(patches[7], images[1, :, 16:, 32:])


@pytest.mark.parametrize("grid", [1, 2, 4, 8])
def test_features_are_put_back_where_their_patch_was(grid):
    images = torch.randn(3, 2, 128, 256)
    assert torch.equal(join(split(images, grid), grid), images)


@pytest.mark.parametrize(
    ("size", "grid", "named"),
    [((96, 96), 4, "image size 96"), ((64, 64), 8, "image size 64"), ((64, 96), 4, "image size 64x96")],
)
def test_a_grid_that_the_backbone_cannot_take_is_named(teacher, size, grid, named):
    method = built(teacher, patch_grid=grid)
    with pytest.raises(ConfigError, match=f"patch_grid = {grid} does not fit {named}") as caught:
        method.anomaly_map(torch.zeros(1, 3, *size))
    assert str(16 * grid) in caught.value.hint


def test_a_grid_that_is_no_power_of_two_is_named():
    with pytest.raises(ConfigError, match="patch_grid = 3") as caught:
        ADPSConfig(patch_grid=3)
    assert "1, 2, 4, 8" in caught.value.hint
    with pytest.raises(ConfigError, match=r"blend_low = 0\.9 is above blend_high = 0\.8"):
        ADPSConfig(blend_low=0.9)


def test_no_context_crosses_a_patch(teacher):
    student = PatchStudent(teacher, grid=2).eval()
    images = torch.randn(1, 3, 64, 64)
    other = images.clone()
    other[..., 32:, 32:] = torch.randn(1, 3, 32, 32)
    with torch.no_grad():
        before, after = student(images), student(other)
    for one, changed in zip(before, after, strict=True):
        middle = one.shape[-1] // 2
        same = (one == changed).all(dim=1)[0]
        assert same[:middle].all() and same[:, :middle].all()
        assert not same[middle:, middle:].any()


def test_the_student_has_the_teachers_architecture_and_weights_of_its_own(teacher):
    student = PatchStudent(teacher, grid=1)
    shapes = {key: value.shape for key, value in student.backbone.state_dict().items()}
    assert shapes == {key: value.shape for key, value in teacher.backbone.state_dict().items()}
    assert not torch.equal(student.backbone.conv1.weight, teacher.backbone.conv1.weight)
    assert all(parameter.requires_grad for parameter in student.parameters())


def test_with_one_patch_and_no_masks_the_first_stage_is_plain_distillation(teacher):
    """The same weights, to the bit, as a loop that knows no patches, no masks and no anomalies."""
    method = built(teacher, **PLAIN)
    stage = method.stages()[0]
    assert (stage.synthesis, list(stage.modules)) == (None, [method.student])
    plain = copy.deepcopy(method.student.backbone)
    optimizers = [torch.optim.Adam(each.parameters(), lr=0.005) for each in (method.student, plain)]
    generator = torch.Generator().manual_seed(3)
    for _ in range(3):
        images = torch.randn(2, 3, 64, 64, generator=generator)
        pairs = zip(teacher(images), plain(images), strict=True)
        expected = sum((1 - F.cosine_similarity(level, copied, dim=1)).mean() for level, copied in pairs)
        found = stage.loss(batch_of(images))["loss"]
        assert found.item() == pytest.approx(expected.item(), abs=1e-6)
        for optimizer, loss in zip(optimizers, (found, expected), strict=True):
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    weights = method.student.backbone.state_dict()
    for key, value in plain.state_dict().items():
        torch.testing.assert_close(weights[key], value, rtol=1e-4, atol=1e-5)


def test_the_push_acts_only_where_something_was_planted(teacher):
    stage = built(teacher, patch_grid=1).stages()[0]
    images, masks = torch.randn(2, 3, 64, 64), torch.zeros(2, 1, 64, 64)
    without = stage.loss(batch_of(images))
    assert without["push_loss"].item() == 0
    assert without["loss"].item() == without["pull_loss"].item()
    masks[0, :, :32] = 1
    assert stage.loss(batch_of(images, masks))["pull_loss"] != without["pull_loss"]


def test_distillation_losses_by_hand():
    """Two positions: similarity 1 where normal, 0.6 where anomalous; and one level that is anomalous throughout."""
    teacher = [torch.tensor([[[[1.0, 1.0]], [[0.0, 0.0]]]]), torch.tensor([[[[1.0]], [[0.0]]]])]
    student = [torch.tensor([[[[2.0, 0.6]], [[0.0, 0.8]]]]), torch.tensor([[[[0.0]], [[1.0]]]])]
    anomalous = [torch.tensor([[[[0.0, 1.0]]]]), torch.tensor([[[[1.0]]]])]
    pull, push = distillation_losses(teacher, student, anomalous, margin=0.25)
    assert float(pull) == pytest.approx(0.0, abs=1e-6)
    assert float(push) == pytest.approx(0.35 + 0.0)
    pull, push = distillation_losses(teacher, student, [1 - each for each in anomalous], margin=0.25)
    assert float(pull) == pytest.approx(0.4 + 1.0)
    assert float(push) == pytest.approx(0.75)


def test_the_image_score_is_the_mean_of_the_largest_pixels(teacher):
    maps = torch.tensor([[[0.1, 0.9], [0.5, 0.3]], [[0.2, 0.2], [0.2, 0.2]]])
    scores = {top: built(teacher, top_t=top).image_score(maps).tolist() for top in (1, 2, 100)}
    assert scores[1] == pytest.approx([0.9, 0.2])
    assert scores[2] == pytest.approx([0.7, 0.2])
    assert scores[100] == pytest.approx([0.45, 0.2])


def test_the_map_is_a_probability_at_full_size(teacher):
    with torch.no_grad():
        maps = built(teacher).eval().anomaly_map(torch.randn(2, 3, 64, 96))
    assert maps.shape == (2, 64, 96)
    assert 0 <= float(maps.min()) < float(maps.max()) <= 1


@pytest.mark.parametrize("scale", [0.1, 1.0, 2.5])
def test_training_starts_from_few_anomalies_and_no_ties(teacher, scale):
    """Whatever the contrast: heads that start sure of themselves round to 0 or 1, and equal pixels rank nothing."""
    method = built(teacher).eval()
    for module in method.stages()[1].modules:
        module.train()
    images = scale * torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        maps = method.anomaly_map(images)
        coarse = [torch.sigmoid(mask) for mask in method._segmented(images)[1]]
    for found in (maps, *coarse):
        assert 0.002 < float(found.min()) < float(found.max()) < 0.05
    assert len(maps.unique()) > 0.9 * maps.numel()


def test_masks_carry_the_student_to_the_map_and_without_them_it_has_no_say(teacher):
    images = torch.randn(1, 3, 64, 64)
    for gain, says in ((1.0, True), (0.0, False)):
        method = built(teacher, wmb_gain=gain).eval()
        with torch.no_grad():
            before = method.anomaly_map(images)
            for parameter in method.student.parameters():
                parameter.add_(0.1 * torch.randn_like(parameter))
            assert torch.equal(before, method.anomaly_map(images)) is not says
        assert len(method.masks) == (3 if says else 0)
        assert ("mask_loss" in method.stages()[1].loss(batch_of(images))) is says


def test_a_weight_mask_does_not_depend_on_the_features_length():
    torch.manual_seed(0)
    mask = WeightMask(8).eval()
    one, other = torch.randn(2, 8, 6, 6), torch.randn(2, 8, 6, 6)
    with torch.no_grad():
        torch.testing.assert_close(mask(one, other), mask(3 * one, 0.5 * other), rtol=1e-4, atol=1e-5)
        assert mask(one, other).shape == (2, 1, 6, 6)


def test_every_level_reaches_the_segmentation():
    torch.manual_seed(0)
    decoder = PostSegmentation((4, 6, 8), width=8).eval()
    levels = [
        torch.randn(1, channels, side, side).requires_grad_()
        for channels, side in zip((4, 6, 8), (16, 8, 4), strict=True)
    ]
    logits = decoder(levels)
    logits.sum().backward()
    assert logits.shape == (1, 1, 64, 64)
    assert all(level.grad.any() for level in levels)


@pytest.mark.parametrize(("patch", "steps"), [(4, 2), (8, 3), (14, 2), (16, 4), (32, 5), (1, 2), (7, 2)])
def test_levels_of_one_size_are_enlarged_to_that_of_the_image(patch, steps):
    decoder = PostSegmentation((4, 4, 4), width=8, reductions=(patch,) * 3).eval()
    assert len(decoder.refine) == steps
    assert decoder([torch.randn(1, 4, 2, 4) for _ in range(3)]).shape == (1, 1, 2 * patch, 4 * patch)


def test_a_transformers_patches_count_in_its_own():
    method = built(load_teacher("random-vit_small_patch32_224"), patch_grid=4)
    with torch.no_grad():
        assert method.eval().anomaly_map(torch.zeros(1, 3, 128, 128)).shape == (1, 128, 128)
    with pytest.raises(ConfigError, match="patch_grid = 4 does not fit image size 64") as caught:
        method.anomaly_map(torch.zeros(1, 3, 64, 64))
    assert "128" in caught.value.hint


def test_stages_and_their_rates(teacher):
    stages = built(teacher).stages()
    assert [(stage.name, stage.epochs, stage.detects) for stage in stages] == [
        ("distil", 100, False),
        ("segment", 100, True),
    ]
    assert all(stage.synthesis.probability == 0.8 for stage in stages)
    rates = [stage.optimizer.rate(epoch, 100) for stage in stages for epoch in (0, 80, 90)]
    assert rates == pytest.approx([0.005, 0.001, 0.0002, 0.001, 0.0002, 0.00004])
