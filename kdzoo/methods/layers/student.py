"""The student of reverse distillation: one-class bottleneck embedding (OCBE) and mirrored decoder.

Source: Deng & Li, CVPR 2022, sections 3.2 and 3.3. Deviation: the released OCBE carries a 1x1 convolution that its
forward never uses (8.4 M parameters for wide_resnet50_2); it is left out here. Ours: between levels of one size, as a
transformer's are, nothing is resized; the bottleneck halves them all the same.
Shapes: B images, C_k channels and H_k x W_k positions of level k = 1..3.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor, nn

from kdzoo.methods.layers.blocks import Resize, conv_norm, initialise, residual_stage
from kdzoo.teachers.levels import FeatureShape

_EMBEDDING = 2
"""Channels of the published embedding over C_3: those of a ResNet's last stage."""


class Bottleneck(nn.Module):
    """OCBE: fuses the three levels at level 3's size and compresses them with one residual stage of stride 2.

    Args:
        shape: the teacher's feature shape.
        outputs: channels of the embedding.
        width: factor on the inner width of the residual stage.
    """

    def __init__(self, shape: FeatureShape, outputs: int, *, width: float = 1.0) -> None:
        super().__init__()
        first, second, third = shape.channels
        to_second, to_third = (_towards_third(step) for step in shape.steps)
        self.level1 = nn.Sequential(
            *conv_norm(first, second, *to_second), nn.ReLU(inplace=True),
            *conv_norm(second, third, *to_third), nn.ReLU(inplace=True),
        )  # fmt: skip
        self.level2 = nn.Sequential(*conv_norm(second, third, *to_third), nn.ReLU(inplace=True))
        inner = _inner(outputs, shape, width)
        self.embed = residual_stage(3 * third, outputs, inner, depth=shape.depths[3], kind=shape.block, resize="down")
        initialise(self)

    def forward(self, features: list[Tensor]) -> Tensor:
        """Three levels to ``[B, outputs, H_3 / 2, W_3 / 2]``."""
        first, second, third = features
        fused = torch.cat([self.level1(first), self.level2(second), third], dim=1)
        return self.embed(fused)  # type: ignore[no-any-return]


class Decoder(nn.Module):
    """A ResNet read backwards: stages that double the size where the teacher halves it, giving features like its own.

    Args:
        shape: the teacher's feature shape.
        inputs: channels of the embedding.
        width: factor on the blocks' inner width.
        linear: give each level through a 1x1 convolution, whose values may be negative; a block ends with a ReLU.
    """

    def __init__(self, shape: FeatureShape, inputs: int, *, width: float = 1.0, linear: bool = False) -> None:
        super().__init__()
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
        self.heads = nn.ModuleList(nn.Conv2d(each, each, 1) for each in reversed(shape.channels)) if linear else None

    def forward(self, embedding: Tensor) -> list[Tensor]:
        """``[B, inputs, ...]`` to the three levels, level 1 first."""
        levels = []
        for stage in self.stages:
            embedding = stage(embedding)
            levels.append(embedding)
        if self.heads is not None:
            levels = [head(level) for head, level in zip(self.heads, levels, strict=True)]
        return levels[::-1]


class Student(nn.Module):
    """OCBE followed by the decoder.

    A ResNet's is the published one, whatever ``kind``: its levels end with a ReLU, as the decoder's do. Those of most
    other backbones hold negative values, which such a decoder never gives. ``fitted`` ends it with linear layers there,
    makes both of bottleneck blocks, which take less than half the time, and the embedding half as wide; ``mirror``
    leaves it as a resnet18's, with the teacher's channels. Levels of one size are always ``fitted``.

    Args:
        shape: the teacher's feature shape.
        width: factor on the inner widths of both.
        kind: see above.
    """

    def __init__(
        self, shape: FeatureShape, *, width: float = 1.0, kind: Literal["mirror", "fitted"] = "mirror"
    ) -> None:
        super().__init__()
        fitted = not shape.rectified and (kind == "fitted" or shape.flat)
        own = replace(shape, block="bottleneck", base_width=1.0) if fitted else shape
        channels = own.channels[2] * (1 if fitted else _EMBEDDING)
        self.bottleneck = Bottleneck(own, channels, width=width)
        self.decoder = Decoder(own, channels, width=width, linear=fitted)

    def forward(self, features: list[Tensor]) -> list[Tensor]:
        """The teacher's three levels to the student's."""
        return self.decoder(self.bottleneck(features))  # type: ignore[no-any-return]


def _towards_third(step: int) -> tuple[int, Resize]:
    """Kernel and resizing of a convolution on the way to level 3's size: without resizing it mixes channels alone."""
    return (3, "down") if step == 2 else (1, "same")


def _inner(outputs: int, shape: FeatureShape, width: float) -> int:
    base = outputs if shape.block == "basic" else outputs / 4 * shape.base_width
    return max(8, int(base * width))
