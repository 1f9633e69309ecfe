"""A training as it is watched on the command line: a bar where a person looks, else lines at sensible intervals."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import click

from kdzoo.cli.notes import tell_note, tell_notes
from kdzoo.cli.say import tell
from kdzoo.visible import visible

if TYPE_CHECKING:
    from kdzoo.training.epoch_result import EpochResult
    from kdzoo.training.trainer import Trainer

_LINE_SECONDS: Final = 30.0
"""Between two lines within an epoch."""
_LONG_SECONDS: Final = 3600.0
"""Of training on a CPU that are worth a word before they are spent."""
_JUDGED_SECONDS: Final = 10.0
_JUDGED_STEPS: Final = 3
"""How long, and how many steps, are watched before anything is said of the whole."""
_SHOWN: Final = {"features": "features of the teacher", "steps": "step"}


class EpochLog:
    """Shows the steps and epochs of a training on stderr, and how long it will take.

    Args:
        trainer: what trains.
        objective: shown beside it.
        clock: seconds, ever rising.
    """

    def __init__(self, trainer: Trainer, objective: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._trainer, self._objective, self._clock = trainer, objective, clock
        self._before = trainer.epoch
        self._steps = trainer.steps
        self._all = self._steps_until(trainer.total_epochs)
        self._first = self._steps_until(trainer.epoch)
        self._done = self._first
        self._began = self._said = clock()
        self._first_step: float | None = None
        self._is_judged = trainer.device.type != "cpu"
        self._last: EpochResult | None = None
        self._at = ""
        self._bar: Any = None
        if sys.stderr.isatty():
            self._bar = click.progressbar(
                length=self._all,
                label="Training",
                file=sys.stderr,
                show_eta=True,
                item_show_func=lambda _: self._beside(),
            )

    def __enter__(self) -> EpochLog:
        if self._bar is not None:
            self._bar.__enter__()
            self._bar.update(self._first)
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.__exit__(None, None, None)

    def step(self, what: str, done: int, total: int) -> None:
        """Told how far an epoch is."""
        now = self._clock()
        self._at = f"epoch {self._trainer.epoch + 1}/{self._trainer.total_epochs}: {_SHOWN[what]} {done}/{total}"
        if what == "steps":
            before, self._done = self._done, self._steps_until(self._trainer.epoch) + done
            if self._bar is not None:
                self._bar.update(max(0, self._done - before), self._last)
            self._first_step = now if self._first_step is None else self._first_step
            self._judge(now)
        elif self._bar is not None:
            self._bar.update(0, self._last)
        if self._bar is None and now - self._said >= _LINE_SECONDS:
            self._say(f"{self._at}{self._left(now)}", now)

    def epoch(self, result: EpochResult) -> None:
        """Told each epoch."""
        now, self._last = self._clock(), result
        self._done = self._steps_until(result.epoch)
        self._judge(now)
        if self._bar is not None:
            self._bar.update(0, result)
        else:
            position = f"epoch {result.epoch}/{self._trainer.total_epochs}"
            self._say(f"{position} {self._text(result)}{self._left(now)}", now)
            if result.found.metrics:
                planted = ", ".join(f"{name} {value:.4f}" for name, value in result.found.metrics.items())
                self._say(f"on planted anomalies: {planted}", now)
        tell_notes(result.found.warnings)

    def left(self, now: float) -> float | None:
        """Seconds until the last epoch ends, at the pace since the first step; None until that can be told."""
        steps = self._done - self._first - 1
        if self._first_step is None or steps < 1 or now <= self._first_step:
            return None
        return (now - self._first_step) / steps * (self._all - self._done)

    def _judge(self, now: float) -> None:
        """Says once, after the first steps on a CPU, that it will take hours, and what would make it shorter."""
        if self._is_judged or self._first_step is None:
            return
        if self._done - self._first <= _JUDGED_STEPS or now - self._began < _JUDGED_SECONDS:
            return
        self._is_judged, seconds = True, self.left(now)
        if seconds is not None and seconds >= _LONG_SECONDS:
            is_small = "lite0" in self._trainer.spec.options.teacher
            smaller = "a smaller --image-size" if is_small else "a smaller --image-size or --teacher lite0"
            tell_note(
                f"this will take about {_hours(seconds)} on the CPU; a GPU, fewer --epochs or {smaller} take less. "
                "Ctrl-C keeps the best so far, and --resume goes on with it"
            )

    def _steps_until(self, epoch: int) -> int:
        """Steps of the first epochs, over all stages."""
        left, counted = epoch, 0
        for stage, steps in zip(self._trainer.stages, self._steps, strict=True):
            counted += min(left, stage.epochs) * steps
            left -= min(left, stage.epochs)
        return counted

    def _say(self, text: str, now: float) -> None:
        self._said = now
        tell(text)

    def _left(self, now: float) -> str:
        seconds = self.left(now)
        return "" if seconds is None or self._trainer.finished else f", {_time(seconds)} left"

    def _beside(self) -> str:
        return visible(self._at + ("" if self._last is None else f", {self._text(self._last)}"))

    def _text(self, result: EpochResult) -> str:
        # Of a stage without a loss, which is over after one epoch, whatever it has to say.
        told = ["loss"] if "loss" in result.losses else list(result.losses)
        text = " ".join([result.stage, *(f"{name} {result.losses[name]:.4f}" for name in told)])
        now = None if result.report is None else getattr(result.report, self._objective)
        if now is not None and result.epoch != self._trainer.best.epoch:
            text += f", {self._objective} {now:.4f}"
        if self._trainer.best.weights:
            text += f", best {self._objective} {self._trainer.best.objective:.4f}"
            if result.epoch != self._trainer.best.epoch:
                text += f" (epoch {self._trainer.best.epoch})"
        return text + (f", batches in {result.parts} parts" if result.parts > 1 else "")


def _time(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))


def _hours(seconds: float) -> str:
    return f"{seconds / 3600:.1f} h" if seconds < 36_000 else f"{seconds / 3600:.0f} h"
