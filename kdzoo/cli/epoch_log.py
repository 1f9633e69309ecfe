"""A training as it is watched on the command line: a bar where a person looks, else lines."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from kdzoo.cli.notes import tell_notes
from kdzoo.cli.say import tell

if TYPE_CHECKING:
    from kdzoo.training.epoch_result import EpochResult
    from kdzoo.training.trainer import Trainer


class EpochLog:
    """Epochs as a bar where a person looks, else as lines.

    Args:
        trainer: what trains.
        objective: shown beside the bar.
    """

    def __init__(self, trainer: Trainer, objective: str) -> None:
        self._trainer, self._objective = trainer, objective
        self._stream = sys.stderr
        self._bar: Any = None
        if self._stream.isatty():
            self._bar = click.progressbar(
                length=trainer.total_epochs,
                label="Training",
                file=self._stream,
                show_pos=True,
                item_show_func=self._said,
            )

    def __enter__(self) -> EpochLog:
        if self._bar is not None:
            self._bar.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.__exit__(None, None, None)

    def __call__(self, result: EpochResult) -> None:
        """Told each epoch."""
        if self._bar is not None:
            self._bar.update(1, result)
        else:
            position = f"epoch {result.epoch}/{self._trainer.total_epochs}"
            tell(f"{position} {self._said(result)}")
        if result.found.metrics and self._bar is None:
            tell("on planted anomalies: " + ", ".join(f"{k} {v:.4f}" for k, v in result.found.metrics.items()))
        tell_notes(result.found.warnings)

    def _said(self, result: EpochResult | None) -> str:
        if result is None:
            return ""
        # Of a stage without a loss, which is over after one epoch, whatever it has to say.
        told = ["loss"] if "loss" in result.losses else list(result.losses)
        text = " ".join([result.stage, *(f"{name} {result.losses[name]:.4f}" for name in told)])
        if self._trainer.best.weights:
            text += f", best {self._objective} {self._trainer.best.objective:.4f}"
        return text + (f", batches in {result.parts} parts" if result.parts > 1 else "")
