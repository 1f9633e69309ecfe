"""In what arithmetic a trial trains: float32, or products in TF32 or bfloat16.

Weights, their moments, losses and batch norm's statistics are float32 in any case, and so is every evaluation, to the
bit of what `kdzoo.load` computes. docs/sweeps.md says what a precision was measured to cost and to gain.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Literal, Self

import torch

from kdzoo.errors import ConfigError

_AMPERE = (8, 0)
"""The first compute capability with bfloat16 and TF32."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Hardware:
    """What a device has instructions for.

    Attributes:
        kind: ``cpu`` or ``cuda``.
        bfloat16: products of bfloat16, on a GPU.
        tf32: products of float32 rounded to 10 bits, as GPUs offer them.
    """

    kind: str
    bfloat16: bool = False
    tf32: bool = False

    @classmethod
    def of(cls, device: torch.device) -> Self:
        """Asks the device."""
        if device.type == "cuda":
            recent = torch.cuda.get_device_capability(device) >= _AMPERE
            return cls(kind="cuda", bfloat16=recent, tf32=recent)
        return cls(kind=device.type)


@dataclass(frozen=True, kw_only=True, slots=True)
class Precision:
    """The arithmetic of a trial.

    Attributes:
        kind: of the device.
        products: of convolutions and matrices in the forward and backward pass.
        tf32: whether what stays float32 may be rounded as TF32.
    """

    kind: str
    products: Literal["float32", "bfloat16"]
    tf32: bool = False

    @property
    def label(self) -> str:
        """As people read it: ``float32``, ``bfloat16``, or either with ``+tf32``."""
        return self.products + ("+tf32" if self.tf32 else "")

    def training(self) -> AbstractContextManager[None]:
        """Around whole steps, and the frozen features that they take: these are never less than TF32."""
        return tf32(self.tf32)

    def forward(self) -> torch.autocast:
        """Around the computation of a loss; its gradients follow by themselves."""
        return torch.autocast(self.kind, dtype=torch.bfloat16, enabled=self.products == "bfloat16")


@contextmanager
def tf32(allowed: bool) -> Iterator[None]:
    """Whether a GPU may round the factors of float32 products to TF32; what was allowed before is restored."""
    matrices, convolutions = torch.backends.cuda.matmul, torch.backends.cudnn
    before = matrices.allow_tf32, convolutions.allow_tf32
    matrices.allow_tf32 = convolutions.allow_tf32 = allowed
    try:
        yield
    finally:
        matrices.allow_tf32, convolutions.allow_tf32 = before


def choose_precision(asked: str, hardware: Hardware) -> Precision:
    """What a trial trains in.

    Args:
        asked: ``float32``: exactly that. ``bfloat16``: with TF32 for the rest where a GPU has it; on a CPU whatever it
            has instructions for. ``auto``: float32, on a GPU with TF32 where it has it.
        hardware: where it trains.

    Raises:
        ConfigError: bfloat16 was asked for, and the GPU has none.
    """
    if asked == "bfloat16" and hardware.kind == "cuda" and not hardware.bfloat16:
        raise ConfigError("this GPU does not compute in bfloat16", hint="--precision auto trains in float32")
    products: Literal["float32", "bfloat16"] = "bfloat16" if asked == "bfloat16" else "float32"
    return Precision(kind=hardware.kind, products=products, tf32=hardware.tf32 and asked != "float32")


def gpus(device: torch.device) -> list[torch.device]:
    """The devices beside the CPU whose random generator a trial uses: as `torch.random.fork_rng` wants them."""
    return [device] if device.type == "cuda" else []
