"""Where a loss must not round: a training step may compute convolutions in bfloat16, which keeps 3 digits."""

from __future__ import annotations

import torch
from torch import Tensor


def exact(values: Tensor) -> Tensor:
    """Values as float32 where they have fewer digits; others stay themselves."""
    return values.float() if values.dtype in (torch.bfloat16, torch.float16) else values


def exact_levels(levels: list[Tensor]) -> list[Tensor]:
    """`exact` of each level."""
    return [exact(level) for level in levels]


def exact_products(like: Tensor) -> torch.autocast:
    """Inside, matrix products keep the precision of their factors, whatever the step's is.

    Args:
        like: a tensor on the device.
    """
    return torch.autocast(like.device.type, enabled=False)
