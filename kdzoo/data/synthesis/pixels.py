"""Reading and changing scattered pixels of a batch of images, whatever order its channels lie in.

An anomaly covers a few per cent of an image. To touch just its pixels, they stand in a list of places, and colours in a
table of three long rows, one a channel: long rows are read, computed with and written several times faster than many
short ones.

How long that list is depends on values, which on a GPU would have to be waited for. There it holds all pixels, and what
is computed for those that are not marked is thrown away: `Marked` is the list of either kind.

Letters: B images, H height, W width, R pixels in the list.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from kdzoo.data.devices import constant, waits

_LUMA = (0.299, 0.587, 0.114)


@dataclass(frozen=True, kw_only=True, slots=True)
class Marked:
    """Places to work on: just the marked ones on a CPU, all of them where to count them would make the host wait.

    Attributes:
        places: ``[R]`` int64, ascending: numbers of elements as if the marks lay in one row.
        inside: ``[R]`` bool, which of the places are marked; None when all are.
    """

    places: Tensor
    inside: Tensor | None

    @classmethod
    def of(cls, marks: Tensor) -> Marked:
        """The list for marks, bool of any shape."""
        if not waits(marks.device):
            return cls(places=marked_places(marks), inside=None)
        return cls(places=torch.arange(marks.numel(), device=marks.device), inside=marks.flatten())

    def keep(self, made: Tensor, otherwise: Tensor | float) -> Tensor:
        """What was made at the marked places, ``[..., R]``, and something else at those that are only in the list.

        Args:
            made: of each place.
            otherwise: of each place too, or one number for all. Of no account where all places are marked, so that it
                may then be of another length.
        """
        return made if self.inside is None else torch.where(self.inside, made, otherwise)


def marked_places(marks: Tensor) -> Tensor:
    """The places of what is marked.

    Args:
        marks: bool, of any shape.

    Returns:
        ``[R]`` int64, ascending: numbers of elements as if the marks lay in one row.
    """
    if marks.device.type == "cpu":
        # NumPy finds them in a quarter of the time.
        return torch.from_numpy(np.flatnonzero(marks.numpy()))
    return marks.flatten().nonzero().flatten()


def above(values: Tensor, limit: float) -> Tensor:
    """Where values are above a limit; bool, of their shape."""
    if values.device.type == "cpu":
        # Of PyTorch's operations on a CPU those that give bool are the slow ones; NumPy takes a seventh of the time.
        return torch.from_numpy(values.numpy() > limit)
    return values > limit


def as_mask(marks: Tensor, dtype: torch.dtype) -> Tensor:
    """Bool as 1 and 0 of another type; by way of bytes, which takes an eighth of the time."""
    return marks.view(torch.uint8).to(dtype)


def read_colours(images: Tensor, places: Tensor) -> Tensor:
    """Reads pixels.

    Args:
        images: ``[B, 3, H, W]``.
        places: ``[R]`` int64, numbers of pixels as if all ``B * H * W`` lay in one row.

    Returns:
        ``[3, R]``, of the images' dtype.
    """
    values, offsets = _laid_out(images, places)
    return values.index_select(0, offsets.flatten()).view(3, -1)


def are_gray(images: Tensor) -> Tensor:
    """Which images have no colour at all, as those of a monochrome camera: ``[B, 3, H, W]`` to ``[B]`` bool."""
    red, green, blue = images.unbind(dim=1)
    return ((red == green) & (green == blue)).flatten(1).all(dim=1)


def as_luma(colours: Tensor) -> Tensor:
    """How bright colours are (Rec. 601): ``[3, R]`` to ``[R]``, in float32."""
    return constant(_LUMA, colours.device) @ colours.float()


def with_colours(images: Tensor, places: Tensor, colours: Tensor) -> Tensor:
    """A copy of images in which some pixels have other colours.

    Args:
        images: ``[B, 3, H, W]``; left unchanged.
        places: ``[R]`` int64, as for `read_colours`, none twice.
        colours: ``[3, R]``, of the images' dtype.

    Returns:
        ``[B, 3, H, W]``, channels in the order of the given ones.
    """
    result = images.clone()
    if not result.is_contiguous(memory_format=torch.channels_last):
        result = result.contiguous()
    values, offsets = _laid_out(result, places)
    values.scatter_(0, offsets.flatten(), colours.flatten())
    return result


def _laid_out(images: Tensor, places: Tensor) -> tuple[Tensor, Tensor]:
    """All values of the images in one row, and for each channel of each place its number there, ``[3, R]`` int64."""
    area = images.shape[-2] * images.shape[-1]
    channels = torch.arange(3, device=places.device)[:, None]
    if images.is_contiguous(memory_format=torch.channels_last):
        return images.permute(0, 2, 3, 1).view(-1), places * 3 + channels
    # From a pixel's number among pixels to that of its red among values: an image before it counts three times.
    red = places + torch.div(places, area, rounding_mode="floor") * (2 * area)
    return images.contiguous().view(-1), red + channels * area
