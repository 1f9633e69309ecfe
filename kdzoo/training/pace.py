"""How a stage spends its steps: which images each takes, and how far it goes.

An epoch is a pass over the train images, as published, or a fixed number of steps (``epoch_steps``): then forty images
are passed many times and four thousand perhaps not once whole, and either way a stage makes the same number of steps.
All of it follows from seed, stage and epoch, so a trial that goes on from a checkpoint takes the same steps.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from kdzoo.errors import ConfigError
from kdzoo.methods.base import Stage
from kdzoo.methods.config import MethodConfig, TrainedConfig
from kdzoo.training.images import shuffled_batches

_SHUFFLES = 1
"""Keeps the seeds of passes apart from those of epochs."""


class Pace:
    """The steps of one stage.

    Args:
        config: with the knobs that all methods of gradient steps have.
        stage: whose steps.
        images: of the train part.
        seed: of the trial and the stage: what makes their orders differ from others'.

    Raises:
        ConfigError: the method's configuration has no knobs for steps.
    """

    def __init__(self, config: MethodConfig, stage: Stage, images: int, seed: tuple[int, int]) -> None:
        if not isinstance(config, TrainedConfig):
            raise ConfigError(
                f"stage '{stage.name}' takes gradient steps, and {type(config).__name__} has no knobs for them",
                hint="the configuration of such a method is a kdzoo.methods.config.TrainedConfig",
            )
        self._config, self._stage, self._images, self._seed = config, stage, images, seed
        self._a_pass = -(-images // config.batch_size)

    @property
    def steps(self) -> int:
        """Steps an epoch."""
        return self._config.epoch_steps or self._a_pass

    def passes(self, epoch: int) -> int:
        """Times that each image is still taken in the stage, the epoch (from 0) included; the last may be in part."""
        return -(-(self._stage.epochs - epoch) * self.steps // self._a_pass)

    def batches(self, epoch: int, order: np.random.Generator) -> list[NDArray[Any]]:
        """Indices of the images of each step of an epoch, in batches of nearly equal size, none above ``batch_size``.

        Args:
            epoch: of the stage, from 0.
            order: of this epoch; draws the order where an epoch is a pass.
        """
        if not self._config.epoch_steps:
            return shuffled_batches(self._images, self._config.batch_size, order)
        first = epoch * self.steps
        found: list[NDArray[Any]] = []
        for each in range(first // self._a_pass, (first + self.steps - 1) // self._a_pass + 1):
            generator = np.random.default_rng(np.random.SeedSequence([*self._seed, each, _SHUFFLES]))
            whole = shuffled_batches(self._images, self._config.batch_size, generator)
            start = each * self._a_pass
            found += whole[max(0, first - start) : first + self.steps - start]
        return found

    def rate(self, epoch: int, step: int) -> float:
        """Learning rate of a step, both counted from 0.

        ``published``: what the method's paper does, constant within an epoch. ``cosine``: half a cosine from the full
        rate at the end of warm-up to nothing after the last step (SGDR without restarts; Loshchilov & Hutter, ICLR
        2017). Warm-up rises linearly over a share of all steps; with a third of them and ``cosine`` the whole is what
        is known as one cycle.
        """
        config, optimizer, total = self._config, self._stage.optimizer, self._stage.epochs * self.steps
        taken = epoch * self.steps + step
        warm = config.warmup * total
        if config.schedule == "cosine":
            done = max(0.0, taken - warm) / max(total - warm, 1.0)
            rate = optimizer.learning_rate * 0.5 * (1.0 + math.cos(math.pi * min(done, 1.0)))
        else:
            rate = optimizer.rate(epoch, self._stage.epochs)
        return rate * min(1.0, (taken + 1) / warm) if warm else rate

    def optimizer(self, modules: Iterable[nn.Module]) -> torch.optim.Optimizer:
        """A fresh one over all weights of some modules."""
        parameters = [parameter for module in modules for parameter in module.parameters()]
        asked = self._stage.optimizer
        # Fused: one pass over weights, gradients and both moments, in place of one for each operation.
        return torch.optim.AdamW(
            parameters, lr=asked.learning_rate, betas=asked.betas, weight_decay=self._config.weight_decay, fused=True
        )


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Gives all weights of an optimizer the learning rate of its next step."""
    for group in optimizer.param_groups:
        group["lr"] = rate
