"""The student of ADPS: a trainable backbone that sees an image only patch by patch.

Source: Xing et al., arXiv 2210.10495, asymmetric distillation. This project's reading: the teacher's architecture up to
stage 3, randomly initialised; non-overlapping patches processed as a bigger batch, their features put back in place.
Shapes: B images, g patches a side, C_k channels of level k = 1..3.
"""

from __future__ import annotations

from timm.layers import LayerScale
from torch import Tensor, nn

from kdzoo.errors import ConfigError
from kdzoo.methods.layers.blocks import initialise
from kdzoo.teachers.backbone import Teacher, build_teacher
from kdzoo.teachers.levels import LEVEL_REDUCTIONS


class PatchStudent(nn.Module):
    """A backbone like the teacher's, with fresh weights, over a grid of patches.

    Args:
        teacher: whose architecture to take; its weights are not.
        grid: patches a side, g.
    """

    def __init__(self, teacher: Teacher, *, grid: int) -> None:
        super().__init__()
        self.grid, self.smallest = grid, teacher.shape.reductions[2]
        self.backbone = build_teacher(teacher.name).backbone
        # timm starts residual branches at zero, which is slow to leave in a short training.
        initialise(self.backbone)
        for module in self.backbone.modules():
            if isinstance(module, LayerScale):
                nn.init.ones_(module.gamma)
        self.requires_grad_(True)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Features of the three levels: ``[B, 3, H, W]`` to ``[B, C_k, H_k, W_k]``, no context across patches.

        Raises:
            ConfigError: the sides of the images are no multiples of a position of level 3 times the grid.
        """
        return [join(level, self.grid) for level in self.backbone(split(images, self.grid, smallest=self.smallest))]


def split(images: Tensor, grid: int, *, smallest: int = LEVEL_REDUCTIONS[-1]) -> Tensor:
    """Cuts images into ``grid x grid`` patches: ``[B, 3, H, W]`` to ``[B * g * g, 3, H / g, W / g]``, row by row.

    Args:
        images: as the backbone takes them.
        grid: patches a side, g.
        smallest: pixels of a patch at one position of level 3; patches are multiples of it.

    Raises:
        ConfigError: the backbone cannot take such patches.
    """
    count, channels, height, width = images.shape
    if height % (smallest * grid) or width % (smallest * grid):
        size = str(height) if height == width else f"{height}x{width}"
        raise ConfigError(
            f"patch_grid = {grid} does not fit image size {size}: patches of {height / grid:g}x{width / grid:g} pixels "
            f"are no multiples of {smallest}",
            hint=f"use an image size that is a multiple of {smallest * grid}, or a smaller patch_grid",
        )
    if grid == 1:
        return images
    cells = images.reshape(count, channels, grid, height // grid, grid, width // grid)
    return cells.permute(0, 2, 4, 1, 3, 5).reshape(-1, channels, height // grid, width // grid)


def join(features: Tensor, grid: int) -> Tensor:
    """Puts features of patches back in place, as `split` cut: ``[B * g * g, C, h, w]`` to ``[B, C, g h, g w]``."""
    if grid == 1:
        return features
    channels, height, width = features.shape[1:]
    cells = features.reshape(-1, grid, grid, channels, height, width)
    return cells.permute(0, 3, 1, 4, 2, 5).reshape(-1, channels, grid * height, grid * width)
