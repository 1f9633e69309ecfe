"""Train images changed a batch at a time on their device, each in its own way; see `kdzoo.training.augmentation`.

Every change is computed for the whole batch and kept where it was drawn: nothing is asked of the device, and no image
is handled alone. Letters: B images, S side.
"""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from kdzoo.training.augmentation import Augmentation


def augmented(
    images: Tensor, foreground: Tensor | None, augmentation: Augmentation, generator: Generator
) -> tuple[Tensor, Tensor | None]:
    """Changes a batch of images, and turns where the product is along with them.

    Args:
        images: ``[B, 3, S, S]`` float in [0, 1]; left unchanged.
        foreground: ``[B, 1, S, S]`` bool, where the product is; None where nobody asks.
        augmentation: what may be changed.
        generator: source of all randomness, on the images' device; always the same number of draws.

    Returns:
        Images in [0, 1] in channels-last memory order, and the foreground that fits them.
    """
    dice = torch.rand((5, len(images)), generator=generator, device=images.device)
    turns = _turns(augmentation, dice[:3])
    turned = _turned(_shaded(images, augmentation, dice[3:]), turns)
    return (
        turned.contiguous(memory_format=torch.channels_last),
        None if foreground is None else _turned(foreground, turns).contiguous(),
    )


def _turns(augmentation: Augmentation, dice: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Which images are transposed, then which of them mirrored left and right, and top and bottom: ``[B]`` bool each.

    A quarter turn is a transposition and one of the mirrorings, half a turn is both of these.
    """
    quarters = (dice[0] * 4).long() * augmentation.rotate
    across = (dice[1] < 0.5) & augmentation.hflip
    down = (dice[2] < 0.5) & augmentation.vflip
    return quarters % 2 == 1, across ^ (quarters >= 2), down ^ ((quarters == 1) | (quarters == 2))


def _turned(values: Tensor, turns: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    """``[B, C, S, S]`` turned image by image."""
    transposed, across, down = (each[:, None, None, None] for each in turns)
    values = torch.where(transposed, values.transpose(2, 3), values)
    values = torch.where(across, values.flip(3), values)
    return torch.where(down, values.flip(2), values)


def _shaded(images: Tensor, augmentation: Augmentation, dice: Tensor) -> Tensor:
    """Contrast about each image's own mean, then brightness; what leaves [0, 1] is cut. Gray stays gray."""
    if not augmentation.brightness and not augmentation.contrast:
        return images
    brightness, contrast = (
        (1 + share * (2 * drawn - 1))[:, None, None, None]
        for share, drawn in zip((augmentation.brightness, augmentation.contrast), dice, strict=True)
    )
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    return torch.lerp(mean, images, contrast).mul_(brightness).clamp_(0, 1)
