"""The three levels that a backbone gives, and what a student must know of them.

Two kinds of backbones teach. A pyramid gives features at 1/4, 1/8 and 1/16 of its input, by timm's metadata. A vision
transformer has one size from its first block to its last, a vector for each patch: its levels are three of its blocks,
after a quarter, half and three quarters of them. Deeper blocks speak of what an image shows rather than of its parts;
they are cut off, and a quarter of the work with them.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, lcm
from typing import Any, Literal

import timm
from torch import nn

from kdzoo.errors import ConfigError, UsageError

LEVEL_REDUCTIONS = (4, 8, 16)
"""Input size over feature size of a pyramid's three levels: a ResNet's stages 1 to 3."""

NO_LEVELS_HINT = (
    "choose a convolutional backbone such as resnet18, wide_resnet50_2, convnext_tiny, efficientnet_b4, "
    "or a plain vision transformer such as vit_small_patch14_dinov2"
)

_STEP = 32
_TRIED_SIDE = 64
_BLOCK_SHARES = (0.25, 0.5, 0.75)
_TRIED_PATCHES = (4, 6)


@dataclass(frozen=True, kw_only=True, slots=True)
class FeatureShape:
    """What a student must know of its teacher to mirror it.

    Attributes:
        channels: C_1, C_2, C_3.
        block: the residual block that OCBE and decoder are made of.
        base_width: inner width of a bottleneck block over a quarter of its output (2 for wide_resnet50_2).
        depths: blocks of backbone stages 1 to 4; the decoder mirrors the first three, OCBE takes the last.
        reductions: input size over feature size of each level; each is that of the level before, or twice it.
        rectified: whether the levels hold no negative values: a ResNet's, which end with a ReLU. Of other backbones
            most hold both.
    """

    channels: tuple[int, int, int]
    block: Literal["basic", "bottleneck"] = "basic"
    base_width: float = 1.0
    depths: tuple[int, int, int, int] = (2, 2, 2, 2)
    reductions: tuple[int, int, int] = LEVEL_REDUCTIONS
    rectified: bool = True

    @property
    def flat(self) -> bool:
        """Whether all levels are of one size, as a transformer's are."""
        return len(set(self.reductions)) == 1

    @property
    def steps(self) -> tuple[int, int]:
        """How many positions of level 1 a side make one of level 2, and of level 2 one of level 3: 1 or 2."""
        first, second, third = self.reductions
        return second // first, third // second

    @property
    def side_step(self) -> int:
        """Sides of input images are multiples of this: the bottleneck embedding halves level 3."""
        return lcm(_STEP, 2 * self.reductions[2])

    @property
    def tried_sides(self) -> tuple[int, int]:
        """Height and width of an image that shows whether a backbone takes any size."""
        high, wide = _TRIED_PATCHES
        return (high * self.reductions[2], wide * self.reductions[2]) if self.flat else (_TRIED_SIDE, _TRIED_SIDE)

    def check_side(self, side: int, teacher: str) -> None:
        """Refuses an image size that the levels do not divide.

        Args:
            side: of the square input, pixels.
            teacher: its name, for the message.

        Raises:
            ConfigError: naming the nearest size that fits.
        """
        step = self.side_step
        if side % step:
            near = max(1, round(side / step)) * step
            raise ConfigError(
                f"image size {side} does not fit teacher '{teacher}': with its patches of {self.reductions[2]} pixels "
                f"it must be a multiple of {step}",
                hint=f"the nearest is --image-size {near}",
            )


def build_levels(architecture: str) -> tuple[nn.Module, FeatureShape, Any]:
    """Builds the backbone that gives the three levels, weights yet to be loaded.

    Args:
        architecture: timm's name of a backbone that there is.

    Returns:
        The module, whose output is a list of the levels; its shape; timm's metadata of the input it was published for.

    Raises:
        UsageError: the backbone has no such levels.
    """
    try:
        probe: Any = timm.create_model(architecture, features_only=True, pretrained=False)
        reductions = probe.feature_info.reduction()
        # Of several levels of one size the last; some backbones do not start counting at 0.
        last = dict(zip(reductions, probe.feature_info.out_indices))
        if _is_flat(reductions):
            backbone = _flat_backbone(architecture, len(probe.feature_info.info))
        else:
            levels = tuple(last[wanted] for wanted in LEVEL_REDUCTIONS)
            backbone = timm.create_model(architecture, features_only=True, pretrained=False, out_indices=levels)
    except Exception as error:  # each author of a backbone without such features refuses in a way of their own
        raise no_levels(architecture) from error
    published = timm.data.resolve_model_data_config(probe)
    return backbone, _shape(probe, backbone), published


def no_levels(architecture: str) -> UsageError:
    """The error of a backbone that gives no three levels."""
    return UsageError(
        f"backbone '{architecture}' gives no features at 1/4, 1/8 and 1/16 of the input", hint=NO_LEVELS_HINT
    )


def _is_flat(reductions: list[int]) -> bool:
    return len(reductions) >= 3 and len(set(reductions)) == 1


def _flat_backbone(architecture: str, blocks: int) -> nn.Module:
    """A transformer up to its third level, which takes images of any size: position embeddings are interpolated."""
    levels = tuple(ceil(blocks * share) - 1 for share in _BLOCK_SHARES)
    wanted: dict[str, Any] = {"features_only": True, "pretrained": False, "out_indices": levels}
    try:
        built: nn.Module = timm.create_model(architecture, dynamic_img_size=True, **wanted)
    except TypeError:  # has no such argument: it takes any size as it is, or shows that it does not
        built = timm.create_model(architecture, **wanted)
    return built


def _shape(probe: Any, backbone: Any) -> FeatureShape:
    """What a student mirrors: of a ResNet its blocks, of any other backbone its channels and sizes alone."""
    channels: tuple[int, int, int] = tuple(backbone.feature_info.channels())
    if _is_flat(probe.feature_info.reduction()):
        return FeatureShape(channels=channels, reductions=tuple(backbone.feature_info.reduction()), rectified=False)
    stages = _residual_stages(probe)
    if len(stages) != 4:
        return FeatureShape(channels=channels, rectified=False)
    depths = (len(stages[0]), len(stages[1]), len(stages[2]), len(stages[3]))
    first = stages[2][0]
    if not hasattr(first, "conv3"):
        return FeatureShape(channels=channels, depths=depths)
    inner = getattr(first, "conv2", None)
    base_width = inner.out_channels / (channels[2] / 4) if isinstance(inner, nn.Conv2d) else 1.0
    return FeatureShape(channels=channels, block="bottleneck", base_width=base_width, depths=depths)


def _residual_stages(probe: Any) -> list[nn.Sequential]:
    """The stages that timm's metadata name at 1/4 to 1/32 of the input, those that are rows of a ResNet's blocks."""
    named = {info["reduction"]: info["module"] for info in probe.feature_info.get_dicts()}
    modules = dict(probe.named_modules())
    found = [modules.get(named.get(reduction, "").replace(".", "_")) for reduction in (*LEVEL_REDUCTIONS, 32)]
    return [stage for stage in found if isinstance(stage, nn.Sequential) and len(stage) and hasattr(stage[0], "conv1")]
