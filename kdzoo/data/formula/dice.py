"""What all formula pictures are made with: random tensors from one generator, noise, and colour.

Letters: B images, H height, W width.
"""

from __future__ import annotations

import torch
from torch import Generator, Tensor
from torch.nn import functional

from kdzoo.data.devices import beside

_STOPS = 4


class Dice:
    """Random tensors from one generator on one device.

    Args:
        generator: source of all randomness, on ``device``.
        device: where the tensors are made.
    """

    def __init__(self, generator: Generator, device: torch.device) -> None:
        self.generator = generator
        self.device = device

    def uniform(self, *shape: int, low: float = 0.0, high: float = 1.0) -> Tensor:
        """Float32 from ``low`` to ``high``."""
        return torch.rand(shape, generator=self.generator, device=self.device) * (high - low) + low

    def normal(self, *shape: int) -> Tensor:
        """Float32 of the standard normal distribution."""
        return torch.randn(shape, generator=self.generator, device=self.device)

    def order(self, count: int) -> Tensor:
        """The numbers below ``count`` in random order."""
        return torch.randperm(count, generator=self.generator, device=self.device)

    def below(self, bound: int, *shape: int) -> Tensor:
        """Whole numbers from 0 to below ``bound``, int64."""
        return torch.randint(bound, shape, generator=self.generator, device=self.device)

    def whole(self, bound: int) -> int:
        """One whole number from 0 to below ``bound``, drawn where nobody has to wait for it."""
        drawn: list[int] = torch.randint(bound, (1,), generator=beside(self.generator)).tolist()
        return drawn[0]

    def grid(self, height: int, width: int) -> tuple[Tensor, Tensor]:
        """Rows ``[H, 1]`` and columns ``[1, W]`` of the pixel centres, in units of the longer side."""
        side = max(height, width)
        rows = (torch.arange(height, device=self.device) + 0.5) / side
        columns = (torch.arange(width, device=self.device) + 0.5) / side
        return rows[:, None], columns[None, :]


def painted(draw: Dice, field: Tensor) -> Tensor:
    """Colours a field: ``[B, H, W]`` in [0, 1] to ``[B, 3, H, W]``, along a line of `_STOPS` random colours."""
    stops = draw.uniform(len(field), 3, _STOPS)
    # The stops are pulled towards grey, and the line towards one colour: most real textures have few, muted hues.
    grey = draw.uniform(len(field), 1, 1)
    stops = stops + (stops.mean(dim=1, keepdim=True) - stops) * grey
    base = draw.uniform(len(field), 3, 1)
    base = base + (base.mean(dim=1, keepdim=True) - base) * grey
    stops = torch.lerp(base, stops, draw.uniform(len(field), 1, 1, low=0.25))
    place = field.clamp(0, 1).unsqueeze(1) * (_STOPS - 1)
    colour = stops[:, :, :1, None].expand(-1, -1, *field.shape[1:])
    for stop in range(_STOPS - 1):
        step = (stops[:, :, stop + 1] - stops[:, :, stop])[:, :, None, None]
        colour = torch.addcmul(colour, step, (place - stop).clamp(0, 1))
    return colour


def stretched(field: Tensor) -> Tensor:
    """Each field scaled to mean 0.5, with two standard deviations reaching 0 and 1."""
    deviation, mean = torch.std_mean(field, dim=(1, 2), keepdim=True, correction=0)
    return 0.5 + (field - mean) / (4 * deviation + 1e-8)


def noise(draw: Dice, count: int, height: int, width: int, slope: Tensor, stretch: Tensor, angle: Tensor) -> Tensor:
    """Noise whose amplitude falls as ``1 / f^slope``, drawn out by ``stretch`` at ``angle``; ``[B, H, W]``."""
    spectrum = torch.fft.rfft2(draw.normal(count, height, width))
    rows = torch.fft.fftfreq(height, device=draw.device)[:, None]
    columns = torch.fft.rfftfreq(width, device=draw.device)[None, :]
    cos, sin = torch.cos(angle)[:, None, None], torch.sin(angle)[:, None, None]
    along, across = cos * columns + sin * rows, cos * rows - sin * columns
    frequency = torch.sqrt((along * stretch[:, None, None]) ** 2 + across**2)
    gain = (frequency + 1 / max(height, width)) ** -slope[:, None, None]
    field: Tensor = torch.fft.irfft2(spectrum * gain, s=(height, width))
    return field


def enlarged(textures: Tensor, height: int, width: int) -> Tensor:
    """``[B, 3, h, w]`` to ``[B, 3, H, W]``, bilinear."""
    return functional.interpolate(textures, (height, width), mode="bilinear", align_corners=False)


def boxed(images: Tensor, width: int) -> Tensor:
    """Means over squares of an odd ``width``; the border is continued. ``[B, C, H, W]`` of the same shape.

    Sums of shifted views, since a pooling kernel without stride takes ten times as long on a CPU.
    """
    reach = width // 2
    padded = functional.pad(images, (reach, reach, reach, reach), mode="replicate")
    height, wide = images.shape[-2:]
    rows = padded[:, :, :height].clone()
    for shift in range(1, width):
        rows += padded[:, :, shift : shift + height]
    columns = rows[..., :wide].clone()
    for shift in range(1, width):
        columns += rows[..., shift : shift + wide]
    return columns.div_(width * width)
