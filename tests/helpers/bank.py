"""The smallest method without gradient steps: it keeps features of normal images, and measures the nearest."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kdzoo.config import knob
from kdzoo.methods.base import Frozen, Method, OnePass, Shown
from kdzoo.methods.config import MethodConfig
from kdzoo.methods.registry import METHODS, MethodEntry
from kdzoo.teachers.backbone import Teacher


@dataclass(frozen=True, kw_only=True)
class BankConfig(MethodConfig):
    passes = 1

    rows: int = knob(64, "features kept at most", low=1, high=1000)


class Bank(Method):
    """Random positions of the deepest level, one stage."""

    def __init__(self, teacher: Teacher, config: BankConfig) -> None:
        super().__init__()
        self.teacher, self.config = teacher, config
        self.memory = nn.Module()
        self.memory.register_buffer("rows", torch.empty(0, teacher.shape.channels[2]))
        self.seen: list[Shown] = []

    def stages(self) -> Sequence[OnePass]:
        return [OnePass(name="fill", modules=[self.memory], take=self._take, frozen=self.frozen())]

    def frozen(self) -> Frozen:
        return self.frozen_teacher()

    def lengths(self) -> dict[str, int]:
        return {"memory.rows": self.config.rows}

    def anomaly_map(self, images: Tensor, features: list[Tensor] | None = None) -> Tensor:
        deepest = self._deepest(images, features)
        found = torch.cdist(deepest.flatten(2).transpose(1, 2), self.memory.rows).amin(2)
        return F.interpolate(found.view(len(images), 1, *deepest.shape[2:]), size=images.shape[2:])[:, 0]

    def _deepest(self, images: Tensor, features: list[Tensor] | None) -> Tensor:
        return (self.teacher(images) if features is None else features)[2]

    def _take(self, batches: Iterable[Shown], images: int) -> dict[str, float]:
        self.seen = list(batches)
        found = torch.cat([self._deepest(each.images, each.features).flatten(2).mT.flatten(0, 1) for each in self.seen])
        self.memory.rows = found[torch.randperm(len(found))[: self.config.rows]]
        return {"rows": float(len(self.memory.rows)), "images": float(images)}


def register_bank(patch: pytest.MonkeyPatch) -> None:
    """From here on the method `bank` is there."""
    entry = MethodEntry(
        name="bank",
        title="A bank of features",
        config=BankConfig,
        model="helpers.bank:Bank",
        space=f"kdzoo:{Path(__file__).with_name('bank_space.yaml')}",
    )
    patch.setitem(METHODS, "bank", entry)
