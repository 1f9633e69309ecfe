"""Weights that torchvision wrote, under timm's names.

ResNets (wide and ResNeXt too) and DenseNets bear the same names in both libraries and need nothing of this. Of the
families below the two build the same layers in the same order under other names, so that tensors are paired by their
place, every pair with the same shape. Checked against torchvision's own features in the tests.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from kdzoo.errors import CheckpointError

SUPPORTED = "convnext_tiny to _large, efficientnet_b0 to _b7, mobilenetv3_large_100 and _small_100"
"""For people: the backbones whose torchvision names are understood, beside those that bear the same names."""

_MARK = "features.0.0.weight"
_COUNT = "num_batches_tracked"
_KINDS = ("layer_scale", "weight", "bias", "running_mean", "running_var")

# Backbone to the epsilon of torchvision's batch norms; ConvNeXt has none.
_FAMILIES = (
    (re.compile(r"convnext_(tiny|small|base|large)"), 0.0),
    (re.compile(r"efficientnet_b[0-4]"), 1e-5),
    (re.compile(r"efficientnet_b[5-7]"), 1e-3),
    (re.compile(r"mobilenetv3_(large|small)_100"), 1e-3),
)


def is_torchvision(state: dict[str, Tensor], backbone: nn.Module) -> bool:
    """Whether a state dict has torchvision's numbered names, and the backbone has none such."""
    return _MARK in state and _MARK.replace(".", "_") not in {key.replace(".", "_") for key in backbone.state_dict()}


def timm_names(
    architecture: str, state: dict[str, Tensor], backbone: nn.Module, *, unread: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """A torchvision state dict under the names of a timm backbone.

    A batch norm's epsilon may differ between the two; the difference is added to the running variance, which gives
    the same outputs to the bit but for rounding.

    Args:
        architecture: timm's name of the backbone, with or without the tag of its weights.
        state: of torchvision's model; its classifier and later layers are left out.
        backbone: the ``features_only`` model that the weights are for.
        unread: tensors of the layers that were cut off at its end; their pairs are checked, too.

    Raises:
        CheckpointError: the names of this backbone are not understood, or a tensor is missing or misshapen.
    """
    base = architecture.partition(".")[0]
    epsilon = next((epsilon for pattern, epsilon in _FAMILIES if pattern.fullmatch(base)), None)
    if epsilon is None:
        raise CheckpointError(
            f"the file has torchvision's names, which are not understood for '{base}'",
            hint=f"understood: those of resnets, densenets, {SUPPORTED}; or save the weights under timm's names",
        )
    layers = {**backbone.state_dict(), **unread}
    wanted = [(key, value) for key, value in layers.items() if not key.endswith(_COUNT)]
    given = sorted((key for key in state if key.startswith("features.") and not key.endswith(_COUNT)), key=_place)
    if len(given) < len(wanted):
        raise CheckpointError(f"'{base}' takes {len(wanted)} tensors, and the file has {len(given)} features")
    shifts = {
        f"{name}.running_var": epsilon - module.eps
        for name, module in backbone.named_modules()
        if isinstance(module, nn.BatchNorm2d)
    }
    renamed = {}
    for (key, like), own in zip(wanted, given):
        value = state[own]
        if value.squeeze().shape != like.squeeze().shape or key.rpartition(".")[2] not in (
            own.rpartition(".")[2],
            "gamma",
        ):
            raise CheckpointError(
                f"'{own}' has shape {tuple(value.shape)}, but '{key}' of '{base}' takes {tuple(like.shape)}"
            )
        renamed[key] = value.reshape(like.shape).to(torch.float32) + shifts.get(key, 0.0)
    return renamed


def _place(key: str) -> tuple[list[tuple[int, int, str]], int]:
    """Sorts names as the layers stand: numbers as numbers, and weight before bias before statistics."""
    path, _, kind = key.rpartition(".")
    parts = [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in path.split(".")]
    return parts, _KINDS.index(kind) if kind in _KINDS else len(_KINDS)
