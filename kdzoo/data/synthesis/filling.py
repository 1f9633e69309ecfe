"""What anomalies are to be filled with: textures, and where each filling begins in which of them."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Filling:
    """Fillings out of a stock of textures, so that none has to be copied to be used in part or twice.

    A texture covers the plane: beyond its edges it goes on mirrored, so that it may be smaller than what it fills.

    Attributes:
        textures: ``[K, 3, h, w]``, uint8, or float in [0, 1].
        chosen: ``[T]`` int64, the texture of each filling.
        start: ``[2, T]`` int64, 0 or more: row and column of the mirrored plane that each filling begins at. From
            column ``w - 1`` on, a texture is read from right to left.
    """

    textures: Tensor
    chosen: Tensor
    start: Tensor
