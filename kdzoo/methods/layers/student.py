"""The student of reverse distillation: one-class bottleneck embedding (OCBE) and mirrored decoder.

Source: Deng & Li, CVPR 2022, sections 3.2 and 3.3. Deviation: the released OCBE carries a 1x1 convolution that its
forward never uses (8.4 M parameters for wide_resnet50_2); it is left out here.
Shapes: B images, C_k channels of level k = 1..3.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from kdzoo.methods.layers.blocks import conv_norm, initialise, residual_stage
from kdzoo.teachers.backbone import FeatureShape


class Bottleneck(nn.Module):
    """OCBE: fuses the three levels at level 3's size and compresses them with one residual stage of stride 2.

    Args:
        shape: the teacher's feature shape.
        width: factor on the inner width of the residual stage.
    """

    def __init__(self, shape: FeatureShape, *, width: float = 1.0) -> None:
        super().__init__()
        first, second, third = shape.channels
        self.level1 = nn.Sequential(
            *conv_norm(first, second, 3, "down"), nn.ReLU(inplace=True),
            *conv_norm(second, third, 3, "down"), nn.ReLU(inplace=True),
        )  # fmt: skip
        self.level2 = nn.Sequential(*conv_norm(second, third, 3, "down"), nn.ReLU(inplace=True))
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
    """A ResNet read backwards: three stages that double the size, giving features shaped like the teacher's.

    Args:
        shape: the teacher's feature shape.
        width: factor on the blocks' inner width.
    """

    def __init__(self, shape: FeatureShape, *, width: float = 1.0) -> None:
        super().__init__()
        inputs = 2 * shape.channels[2]
        stages = []
        for outputs, depth in zip(reversed(shape.channels), shape.depths[:3], strict=True):
            inner = _inner(outputs, shape, width)
            stages.append(residual_stage(inputs, outputs, inner, depth=depth, kind=shape.block, resize="up"))
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


def _inner(outputs: int, shape: FeatureShape, width: float) -> int:
    base = outputs if shape.block == "basic" else outputs / 4 * shape.base_width
    return max(8, int(base * width))
