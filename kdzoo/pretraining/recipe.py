"""What a teacher's pretraining is made of. Torch-free."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from kdzoo.config import Config, knob
from kdzoo.errors import ConfigError

LEVEL_STRIDES = (4, 8, 16)
"""Pixels of the input to one position of a teacher's three levels."""


@dataclass(frozen=True, kw_only=True)
class PretrainConfig(Config):
    """The recipe of the shipped teacher.

    Small images first, many of them; then larger ones, on which the third level has more positions away from the
    border: there the backbone's padding is no part of what it sees, as in use.

    Raises:
        ConfigError: a value out of range, an image size that the strides do not divide, textures smaller than images.
    """

    architecture: str = knob("resnet18", "timm backbone, trained from its first weights up to the third level")
    steps: int = knob(7_000, "optimizer steps", low=1, high=10_000_000)
    batch_size: int = knob(32, "images a step", low=2, high=4096)
    image_size: int = knob(64, "side of the images, pixels; a multiple of 16", low=32, high=512)
    late_share: float = knob(0.4, "share of the steps, the last ones, on larger images", low=0.0, high=1.0)
    late_batch_size: int = knob(8, "images a late step", low=2, high=4096)
    late_image_size: int = knob(128, "side of the late images, pixels; a multiple of 16", low=32, high=512)
    texture_size: int = knob(144, "side of the textures that images are cut from, pixels", low=32, high=1024)
    textures: int = knob(512, "textures kept at a time", low=8, high=100_000)
    fresh_textures: int = knob(32, "textures made anew at each renewal", low=1, high=10_000)
    renewal_steps: int = knob(8, "steps between renewals", low=1, high=10_000)
    learning_rate: float = knob(0.002, "AdamW's largest step size; warmed up, then a cosine down", above=0.0, high=1.0)
    weight_decay: float = knob(0.02, "AdamW's weight decay", low=0.0, high=1.0)
    contrast_weight: float = knob(0.5, "weight of telling regions apart", low=0.0, high=100.0)
    defect_weight: float = knob(1.0, "weight of naming planted defects", low=0.0, high=100.0)
    temperature: float = knob(0.1, "of the contrast", above=0.0, high=10.0)
    positions: int = knob(640, "positions a level that are compared with each other", low=16, high=65_536)
    gray_share: float = knob(0.1, "share of batches without colour", low=0.0, high=1.0)
    precision: Literal["bfloat16", "float32"] = knob("bfloat16", "of the backbone's arithmetic; weights stay float32")
    seed: int = knob(0, "of the images; the first weights are those of the random teacher", low=0, high=2**31 - 1)

    def __post_init__(self) -> None:
        super().__post_init__()
        for key in ("image_size", "late_image_size"):
            side = getattr(self, key)
            if side % LEVEL_STRIDES[-1]:
                raise ConfigError(f"{key} is {side}, which {LEVEL_STRIDES[-1]} does not divide")
            if self.texture_size < side:
                raise ConfigError(f"texture_size {self.texture_size} is below {key} {side}")
        if self.fresh_textures > self.textures:
            raise ConfigError(f"fresh_textures {self.fresh_textures} is above textures {self.textures}")

    def batch_shape(self, step: int) -> tuple[int, int]:
        """Images of a step, and their side in pixels."""
        if step < self.steps - round(self.late_share * self.steps):
            return self.batch_size, self.image_size
        return self.late_batch_size, self.late_image_size

    @property
    def images(self) -> int:
        """Images of all steps."""
        late = round(self.late_share * self.steps)
        return (self.steps - late) * self.batch_size + late * self.late_batch_size
