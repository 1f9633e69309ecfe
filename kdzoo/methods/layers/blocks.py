"""Residual blocks of the bottleneck embedding and of the mirrored decoder.

Both are the blocks of the teacher's own family (basic for resnet18/34, bottleneck for the wider ones); where a
ResNet halves the size with a stride-2 convolution, the decoder doubles it with a stride-2 2x2 transposed one.
Source: Deng & Li, Anomaly Detection via Reverse Distillation, CVPR 2022, section 3.
"""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

Resize = Literal["down", "up", "same"]


def conv_norm(inputs: int, outputs: int, kernel: int, resize: Resize = "same") -> list[nn.Module]:
    """A convolution that keeps, halves or doubles the size, and its batch norm."""
    convolution: nn.Module
    if resize == "up":
        convolution = nn.ConvTranspose2d(inputs, outputs, kernel_size=2, stride=2, bias=False)
    else:
        stride = 2 if resize == "down" else 1
        convolution = nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=kernel // 2, bias=False)
    return [convolution, nn.BatchNorm2d(outputs)]


class ResidualBlock(nn.Module):
    """A basic (two 3x3) or bottleneck (1x1, 3x3, 1x1) residual block.

    Args:
        inputs: input channels.
        outputs: output channels.
        inner: channels inside the block.
        kind: ``basic`` or ``bottleneck``.
        resize: what happens to height and width.
    """

    def __init__(
        self, inputs: int, outputs: int, inner: int, *, kind: Literal["basic", "bottleneck"], resize: Resize = "same"
    ) -> None:
        super().__init__()
        if kind == "basic":
            layers = [*conv_norm(inputs, inner, 3, resize), nn.ReLU(inplace=True), *conv_norm(inner, outputs, 3)]
        else:
            layers = [*conv_norm(inputs, inner, 1), nn.ReLU(inplace=True), *conv_norm(inner, inner, 3, resize)]
            layers += [nn.ReLU(inplace=True), *conv_norm(inner, outputs, 1)]
        self.body = nn.Sequential(*layers)
        plain = resize == "same" and inputs == outputs
        self.shortcut = nn.Identity() if plain else nn.Sequential(*conv_norm(inputs, outputs, 1, resize))
        self.activation = nn.ReLU(inplace=True)

    def forward(self, features: Tensor) -> Tensor:
        """``[B, inputs, H, W]`` to ``[B, outputs, H', W']``."""
        return self.activation(self.body(features) + self.shortcut(features))  # type: ignore[no-any-return]


def residual_stage(
    inputs: int, outputs: int, inner: int, *, depth: int, kind: Literal["basic", "bottleneck"], resize: Resize
) -> nn.Sequential:
    """``depth`` residual blocks, the first of which changes size and channels."""
    blocks = [ResidualBlock(inputs, outputs, inner, kind=kind, resize=resize)]
    blocks += [ResidualBlock(outputs, outputs, inner, kind=kind) for _ in range(depth - 1)]
    return nn.Sequential(*blocks)


def initialise(module: nn.Module) -> None:
    """Kaiming-normal convolutions (fan out, ReLU) and unit batch norms, as ResNets start; biases stay as drawn."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
        elif isinstance(layer, nn.BatchNorm2d):
            nn.init.ones_(layer.weight)
            nn.init.zeros_(layer.bias)
