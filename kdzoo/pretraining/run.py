"""The pretraining loop: one device, one seed, one result; stopped at any time, it goes on where it was."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from kdzoo.data.formula.dice import Dice
from kdzoo.errors import CheckpointError, NonFiniteLossError, UsageError
from kdzoo.pretraining.objective import Objective
from kdzoo.pretraining.recipe import LEVEL_STRIDES, PretrainConfig
from kdzoo.pretraining.scenes import SceneMaker, stream
from kdzoo.teachers.backbone import Teacher, load_teacher
from kdzoo.training.checkpoint import load_state, save_state

STATE_FILE = "resume.pt"
_WARM_UP = 100
_LAST_SHARE = 0.001
_CHECK_EVERY = 20
_SAVE_SECONDS = 120.0


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a run is.

    Attributes:
        step: steps done.
        steps: steps in all.
        losses: means over the steps since the last report: ``loss``, ``contrast``, ``defect``, ``found``.
        seconds: spent on steps so far, over all sittings.
    """

    step: int
    steps: int
    losses: dict[str, float]
    seconds: float


class Pretraining:
    """A run of a recipe in a folder.

    Args:
        config: the recipe.
        folder: holds the resume state; made if needed.
        device: where to train.

    Raises:
        UsageError: the folder holds a run of another recipe.
        CheckpointError: its resume state is damaged.
        UnknownNameError, UsageError: the backbone is unknown or gives no three levels.
    """

    def __init__(self, config: PretrainConfig, folder: Path, device: torch.device | str = "cpu") -> None:
        self.config, self.folder, self.device = config, folder, torch.device(device)
        self.teacher: Teacher = load_teacher(f"random-{config.architecture}").to(self.device)
        if self.teacher.shape.reductions != LEVEL_STRIDES:
            raise UsageError(
                f"'{config.architecture}' cannot be pretrained: the questions are asked of levels at 1/4, 1/8 and 1/16 "
                f"of the input, and all of its levels are at 1/{self.teacher.shape.reductions[2]}",
                hint="for example: --architecture resnet18",
            )
        self.backbone = self.teacher.backbone.to(memory_format=torch.channels_last)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            self.objective = Objective(self.teacher.shape.channels, config).to(self.device)
        self.backbone.requires_grad_(True)
        self.optimizer = torch.optim.AdamW(
            [*self.backbone.parameters(), *self.objective.parameters()],
            lr=config.learning_rate,
            weight_decay=config.weight_decay,
        )
        self.scenes = SceneMaker(config, self.device)
        self.step, self.seconds = 0, 0.0
        if (folder / STATE_FILE).exists():
            self._restore()

    def run(self, report: Callable[[Progress], None] | None = None) -> Teacher:
        """Trains to the end of the recipe.

        Args:
            report: called every 20 steps.

        Returns:
            The teacher, frozen again and in eval mode.

        Raises:
            NonFiniteLossError: the loss became NaN or infinite; the last kept state is from before.
            StorageError: the resume state cannot be written.
        """
        self.backbone.train()
        saved, begun, before = time.monotonic(), time.monotonic(), self.seconds
        sums: dict[str, Tensor] = {}
        while self.step < self.config.steps:
            for key, value in self._advance().items():
                sums[key] = sums.get(key, torch.zeros((), device=self.device)) + value
            if self.step % _CHECK_EVERY and self.step != self.config.steps:
                continue
            # Asking for a value makes a GPU wait for it, so it is asked for now and then.
            since = (self.step - 1) % _CHECK_EVERY + 1
            losses = {key: float(value) / since for key, value in sums.items()}
            sums = {}
            self.seconds = before + time.monotonic() - begun
            if not all(map(math.isfinite, losses.values())):
                raise NonFiniteLossError(
                    f"the loss became {losses['loss']} by step {self.step}",
                    hint="start anew with a smaller learning rate: --set learning_rate=0.0005",
                )
            if report is not None:
                report(Progress(step=self.step, steps=self.config.steps, losses=losses, seconds=self.seconds))
            if time.monotonic() - saved > _SAVE_SECONDS or self.step == self.config.steps:
                self._save()
                saved = time.monotonic()
        self.backbone.requires_grad_(False).eval()
        return self.teacher

    def _advance(self) -> dict[str, Tensor]:
        """One step: scenes, features, loss, update."""
        rate = self.config.learning_rate * _rate(self.step, self.config.steps)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        scenes = self.scenes.batch(self.step)
        images = self.teacher.normalise(scenes.images).contiguous(memory_format=torch.channels_last)
        half = self.config.precision == "bfloat16"
        with torch.autocast(self.device.type, torch.bfloat16, enabled=half):
            features = [level.float() for level in self.backbone(images)]
        generator = torch.Generator(device=self.device).manual_seed(stream(self.config.seed, 0) ^ self.step)
        losses = self.objective(features, scenes, Dice(generator, self.device))
        self.optimizer.zero_grad(set_to_none=True)
        losses["loss"].backward()
        self.optimizer.step()
        self.step += 1
        return {key: value.detach() for key, value in losses.items()}

    def _save(self) -> None:
        state: dict[str, Any] = {
            "config": self.config.as_dict(),
            "step": self.step,
            "seconds": self.seconds,
            "backbone": self.backbone.state_dict(),
            "objective": self.objective.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }
        save_state(self.folder / STATE_FILE, state)

    def _restore(self) -> None:
        path = self.folder / STATE_FILE
        state = load_state(path)
        kept, wanted = state.get("config"), self.config.as_dict()
        if kept != wanted:
            changed = sorted(key for key in wanted if not isinstance(kept, dict) or kept.get(key) != wanted[key])
            raise UsageError(
                f"'{self.folder}' holds a run of another recipe; it differs in {', '.join(changed) or 'its keys'}",
                hint="give the same values to go on with it, or choose another --out",
            )
        try:
            self.backbone.load_state_dict(state["backbone"])
            self.objective.load_state_dict(state["objective"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.step, self.seconds = int(state["step"]), float(state["seconds"])
        except (KeyError, RuntimeError, ValueError, TypeError) as error:
            raise CheckpointError(
                f"the resume state '{path}' does not fit: {error}", hint="remove it to start anew"
            ) from error


def _rate(step: int, steps: int) -> float:
    """Share of the largest learning rate: up over the first 100 steps, then down along a cosine, never quite to 0."""
    return min(1.0, (step + 1) / _WARM_UP) * (0.5 + 0.5 * math.cos(math.pi * step / steps)) + _LAST_SHARE


def parameters(module: nn.Module) -> int:
    """Learned numbers of a module."""
    return sum(value.numel() for value in module.parameters())
