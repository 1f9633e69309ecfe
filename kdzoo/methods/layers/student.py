"""The student of reverse distillation: one-class bottleneck embedding (OCBE) and mirrored decoder.

Source: Deng & Li, CVPR 2022, sections 3.2 and 3.3. Deviation: the released OCBE carries a 1x1 convolution that its
forward never uses (8.4 M parameters for wide_resnet50_2); it is left out here. Ours: between levels of one size, as a
transformer's are, nothing is resized; the bottleneck halves them all the same.
Shapes: B images, C_k channels and H_k x W_k positions of level k = 1..3.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from kdzoo.methods.layers.blocks import Resize, conv_norm, initialise, residual_stage
from kdzoo.teachers.levels import FeatureShape


class Bottleneck(nn.Module):
    """OCBE: fuses the three levels at level 3's size and compresses them with one residual stage of stride 2.

    Args:
        shape: the teacher's feature shape.
        width: factor on the inner width of the residual stage.
    """

    def __init__(self, shape: FeatureShape, *, width: float = 1.0) -> None:
        super().__init__()
        first, second, third = shape.channels
        to_second, to_third = (_towards_third(step) for step in shape.steps)
        self.level1 = nn.Sequential(
            *conv_norm(first, second, *to_second), nn.ReLU(inplace=True),
            *conv_norm(second, third, *to_third), nn.ReLU(inplace=True),
        )  # fmt: skip
        self.level2 = nn.Sequential(*conv_norm(second, third, *to_third), nn.ReLU(inplace=True))
        outputs = 2 * third
        inner = _inner(outputs, shape, width)
        self.embed = residual_stage(3 * third, outputs, inner, depth=shape.depths[3], kind=shape.block, resize="down")
        initialise(self)

    def forward(self, features: list[Tensor]) -> Tensor:
        """Three levels to ``[B, 2 C_3, H_3 / 2, W_3 / 2]``."""
        first, second, third = features
        fused = torch.cat([self.level1(first), self.level2(second), third], dim=1)
        return self.embed(fused)  # type: ignore[no-any-return]


class Decoder(nn.Module):
    """A ResNet read backwards: stages that double the size where the teacher halves it, giving features like its own.

    Args:
        shape: the teacher's feature shape.
        width: factor on the blocks' inner width.
    """

    def __init__(self, shape: FeatureShape, *, width: float = 1.0) -> None:
        super().__init__()
        inputs = 2 * shape.channels[2]
        stages = []
        first, second = shape.steps
        growing = (2, second, first)
        for outputs, depth, step in zip(reversed(shape.channels), shape.depths[:3], growing, strict=True):
            inner = _inner(outputs, shape, width)
            resize: Resize = "up" if step == 2 else "same"
            stages.append(residual_stage(inputs, outputs, inner, depth=depth, kind=shape.block, resize=resize))
            inputs = outputs
        self.stages = nn.ModuleList(stages)
        initialise(self)

    def forward(self, embedding: Tensor) -> list[Tensor]:
        """``[B, 2 C_3, ...]`` to the three levels, level 1 first."""
        levels = []
        for stage in self.stages:
            embedding = stage(embedding)
            levels.append(embedding)
        return levels[::-1]


class Student(nn.Module):
    """OCBE followed by the decoder.

    Args:
        shape: the teacher's feature shape.
        width: factor on the inner widths of both.
    """

    def __init__(self, shape: FeatureShape, *, width: float = 1.0) -> None:
        super().__init__()
        self.bottleneck = Bottleneck(shape, width=width)
        self.decoder = Decoder(shape, width=width)

    def forward(self, features: list[Tensor]) -> list[Tensor]:
        """The teacher's three levels to the student's."""
        return self.decoder(self.bottleneck(features))  # type: ignore[no-any-return]


def _towards_third(step: int) -> tuple[int, Resize]:
    """Kernel and resizing of a convolution on the way to level 3's size: without resizing it mixes channels alone."""
    return (3, "down") if step == 2 else (1, "same")


def _inner(outputs: int, shape: FeatureShape, width: float) -> int:
    base = outputs if shape.block == "basic" else outputs / 4 * shape.base_width
    return max(8, int(base * width))
