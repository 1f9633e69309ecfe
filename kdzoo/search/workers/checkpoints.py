"""Which checkpoint belongs to which trial, of this driver and of earlier ones, and which of them may go."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

from ray import tune
from ray.tune.experiment import Trial

from kdzoo.search.record.board import TrialRow
from kdzoo.search.record.folder import SweepFolder
from kdzoo.search.workers.workbench import STATE_FILE

log = logging.getLogger(__name__)


def trial_name(category: str, number: int) -> str:
    """What a trial is called in its sweep, also as a folder: the same whichever driver ran it."""
    return f"{category}-{number:04d}"


def states_of(folder: SweepFolder, name: str) -> list[Path]:
    """The resume states of a trial that lie in the sweep's folder, the latest first.

    Args:
        folder: the sweep's.
        name: the trial's, as `trial_name` gives it.
    """
    saved = [
        (checkpoint.name, run.name, checkpoint / STATE_FILE)
        for run in folder.runs()
        for checkpoint in (run / name).glob("checkpoint_*")
        if (checkpoint / STATE_FILE).is_file()
    ]
    return [path for _, _, path in sorted(saved, reverse=True)]


class Checkpoints:
    """The checkpoints of a sweep.

    Args:
        folder: the sweep's.
    """

    def __init__(self, folder: SweepFolder) -> None:
        self._folder = folder
        self._trials: dict[str, Trial] = {}
        self._restored: dict[str, Path] = {}
        self._repeats: dict[str, list[str]] = {}
        self._dropped: set[str] = set()

    def started(self, row: TrialRow, trial: Trial) -> None:
        """A trial of this driver starts."""
        self._trials[row.trial_id] = trial
        self._repeats[row.trial_id] = list(trial.config.get("again", ()))

    def replaced(self, trial: Trial, newer: tune.Checkpoint) -> None:
        """A trial has a newer checkpoint than its last one, which goes; the newer one is whole by now."""
        last = trial.checkpoint
        if last is not None and last.path != newer.path:
            _delete(last)

    def restored(self, row: TrialRow) -> None:
        """An earlier driver's trial has ended."""
        found = states_of(self._folder, row.trial_id)
        if found:
            self._restored[row.trial_id] = found[0].parent

    def of(self, trial_id: str) -> tune.Checkpoint | None:
        """The last checkpoint of a trial, if it has one."""
        if trial_id in self._restored:
            return tune.Checkpoint.from_directory(self._restored[trial_id])
        trial = self._trials.get(trial_id)
        return trial.checkpoint if trial is not None else None

    def saved_worth(self, trial_id: str) -> tuple[float | None, float]:
        """What the last checkpoint of a trial of this driver is worth: objective, and what decides between equals."""
        saved = self._trials[trial_id].latest_checkpoint_result
        metrics = saved.metrics if saved is not None and saved.metrics else {}
        value = metrics.get("saved_objective")
        return None if value is None else float(value), float(metrics.get("tie", 0.0))

    def drop(self, row: TrialRow) -> None:
        """Deletes the checkpoint of a trial that nobody needs any more."""
        checkpoint = self.of(row.trial_id)
        if checkpoint is None or row.trial_id in self._dropped:
            return
        self._dropped.add(row.trial_id)
        _delete(checkpoint)

    def drop_repeated(self, row: TrialRow) -> None:
        """Deletes what the interrupted trials left that an ended one has repeated."""
        for name in self._repeats.pop(row.trial_id, ()):
            for state in states_of(self._folder, name):
                shutil.rmtree(state.parent, ignore_errors=True)


def _delete(checkpoint: tune.Checkpoint) -> None:
    try:
        checkpoint.filesystem.delete_dir(checkpoint.path)
    except OSError as error:
        log.warning("cannot delete checkpoint %s: %s", checkpoint.path, error)
