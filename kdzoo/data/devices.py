"""Working on a device without waiting for it.

A GPU does what it is told in its own time, while the host goes on to tell it more. That ends wherever the host asks for
a value: how many pixels are marked, which operation was drawn. It then waits until all earlier work is done, and the
GPU until the host has thought. So what decides how much work there is, is drawn on the host; everything else is
computed at sizes that are known; and constants go to the device once. On a CPU nobody waits, and looking spares work.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache

import torch
from torch import Generator, Tensor


def waits(device: torch.device) -> bool:
    """Whether the host would have to wait for the device to learn a value from it."""
    return device.type != "cpu"


def beside(generator: Generator) -> Generator:
    """A generator on the host for draws that the host must know.

    Args:
        generator: of the device's draws. On a CPU it is given back itself. One of a GPU is moved on by one draw, and
            seeds another one with the state that it was in; that state is kept on the host.
    """
    if not waits(generator.device):
        return generator
    digest = hashlib.sha256(generator.get_state().numpy().tobytes()).digest()
    torch.rand((), generator=generator, device=generator.device)
    return Generator().manual_seed(int.from_bytes(digest[:8], "little") >> 1)


def uploaded(values: Tensor, device: torch.device) -> Tensor:
    """Values of the host on a device, copied there while the host goes on; on a CPU the values themselves."""
    return values if device == values.device else values.pin_memory().to(device, non_blocking=True)


@lru_cache(maxsize=256)
def constant(values: tuple[float, ...], device: torch.device, dtype: torch.dtype = torch.float32) -> Tensor:
    """``[N]`` of given numbers, kept on the device: a copy for each batch would make the host wait.

    Not to be written to.
    """
    return torch.tensor(values, dtype=dtype, device=device)
