"""Torchvision's weights under timm's names give torchvision's own features."""

import pytest
import torch
import torchvision
from safetensors.torch import save_file

from kdzoo.errors import TeacherError
from kdzoo.teachers.backbone import load_teacher


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    torch.set_num_threads(1)


def trained(name):
    """A torchvision model whose every weight and statistic is its own."""
    torch.manual_seed(3)
    model = getattr(torchvision.models, name)().eval()
    for key, value in model.state_dict().items():
        if key.endswith("running_var"):
            value.uniform_(0.01, 0.1)  # small, so that the epsilon counts
        elif key.endswith("running_mean") or (value.ndim == 1 and key.endswith("bias")):
            value.uniform_(-0.1, 0.1)
        elif key.endswith("layer_scale"):
            value.uniform_(0.5, 1.0)
    return model


def levels(model, images):
    """What each layer of torchvision's feature pyramid gives."""
    found = []
    with torch.no_grad():
        for layer in model.features:
            images = layer(images)
            found.append(images)
    return found


@pytest.mark.parametrize(
    ("theirs", "architecture", "suffix"),
    [
        ("mobilenet_v3_large", "mobilenetv3_large_100", "pth"),
        ("mobilenet_v3_small", "mobilenetv3_small_100", "safetensors"),
        ("efficientnet_b0", "efficientnet_b0", "safetensors"),
        ("convnext_tiny", "convnext_tiny", "pth"),
    ],
)
def test_the_same_features(tmp_path, theirs, architecture, suffix):
    """Also from safetensors, which sorts names and so keeps nothing of the layers' order."""
    model, path = trained(theirs), tmp_path / f"w.{suffix}"
    if suffix == "pth":
        torch.save(model.state_dict(), path)
    else:
        save_file(model.state_dict(), path)
    images = torch.randn(1, 3, 64, 64)
    expected = levels(model, images)
    for level in load_teacher(f"{architecture}@{path}")(images):
        assert level.std() > 0
        distances = [(one - level).abs().max() / one.abs().max() for one in expected if one.shape == level.shape]
        assert min(distances) < 1e-4


def test_weights_of_another_size_or_an_unknown_family(tmp_path):
    state = torchvision.models.mobilenet_v3_small().state_dict()
    torch.save(state, tmp_path / "w.pth")
    with pytest.raises(TeacherError, match=r"mobilenetv3_large_100.* takes 2"):
        load_teacher(f"mobilenetv3_large_100@{tmp_path / 'w.pth'}")
    with pytest.raises(TeacherError, match=r"has shape .* but '.*' of 'efficientnet_b0' takes|takes 3"):
        load_teacher(f"efficientnet_b0@{tmp_path / 'w.pth'}")
    with pytest.raises(TeacherError, match="torchvision's names, which are not understood for 'regnety_002'") as caught:
        load_teacher(f"regnety_002@{tmp_path / 'w.pth'}")
    assert "mobilenetv3_large_100" in caught.value.hint
    state["features.1.block.0.0.weight"] = torch.zeros(16, 1, 5, 5)
    torch.save(state, tmp_path / "w.pth")
    with pytest.raises(TeacherError, match=r"'features\.1\.block\.0\.0\.weight' has shape \(16, 1, 5, 5\)"):
        load_teacher(f"mobilenetv3_small_100@{tmp_path / 'w.pth'}")
