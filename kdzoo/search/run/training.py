"""All trials of a sweep as one Ray Tune run."""

from __future__ import annotations

from collections.abc import Callable, Collection

from ray import tune
from ray.tune.experiment import Trial

from kdzoo.search.record.board import SweepBoard
from kdzoo.search.record.folder import SweepFolder
from kdzoo.search.record.plan import SweepPlan
from kdzoo.search.run.measurements import Measurements
from kdzoo.search.run.monitor import SweepMonitor
from kdzoo.search.run.scheduler import CategoryScheduler
from kdzoo.search.run.searcher import CategorySearcher
from kdzoo.search.run.stop_file import StopFile
from kdzoo.search.run.training_time import TrainingTime
from kdzoo.search.study.studies import CategoryStudies
from kdzoo.search.workers.checkpoints import trial_name
from kdzoo.search.workers.measuring import is_measuring
from kdzoo.search.workers.places import Places
from kdzoo.search.workers.resources import needs_of
from kdzoo.search.workers.slots import Slots, room_for
from kdzoo.search.workers.trainable import TrialTrainable
from kdzoo.search.workers.workbench import WorkerContext

_WORKER_FAILURES = 3


class SweepTraining:
    """Trains what the studies suggest until no trial is left, or something ends it before.

    Args:
        plan: the sweep.
        board: its state; the trials of earlier drivers stand on it.
        studies: where configurations come from.
        folder: the sweep's, in which Ray keeps the trials' checkpoints.
        monitor: follows the trials' lives.
        places: which nodes may take a trial.
        measurements: what workers measure between trials.
        time: counts how long the sweep trains, and knows what is left of its budget.
        unusable: tells the categories of which images cannot be read; default none.
    """

    def __init__(
        self,
        plan: SweepPlan,
        board: SweepBoard,
        *,
        studies: CategoryStudies,
        folder: SweepFolder,
        monitor: SweepMonitor,
        places: Places,
        measurements: Measurements | None = None,
        time: TrainingTime,
        unusable: Callable[[], Collection[str]] = tuple,
    ) -> None:
        self._plan, self._board, self._studies = plan, board, studies
        self._folder, self._monitor, self._places, self._time = folder, monitor, places, time
        self._measurements, self._unusable = measurements, unusable
        self._done = {category: board.done(category) for category in plan.spaces}

    @property
    def left(self) -> int:
        """How many trials are still to run."""
        return max(0, self._board.total - sum(self._done.values()))

    def run(self, context: WorkerContext) -> Exception | None:
        """Runs all trials that are left.

        Args:
            context: what a worker needs besides the trial.

        Returns:
            What ended the run before its time, so that what is finished can still be concluded.
        """
        if not self.left or self._time.left() == 0.0:
            return None
        self._time.begin()
        try:
            self.tuner(context).fit()
        except Exception as error:
            # Ray, Optuna, its database and the disk all raise errors of their own.
            cause = error.__cause__ if isinstance(error, tune.TuneError) else None
            return cause if isinstance(cause, Exception) else error
        finally:
            self._time.end()
        return None

    def tuner(self, context: WorkerContext) -> tune.Tuner:
        """The run as Ray is told of it."""
        plan = self._plan
        trainable = tune.with_resources(
            tune.with_parameters(TrialTrainable, context=context),
            {"cpu": plan.cpus_per_trial, "gpu": plan.gpus_per_trial or 0.0},
        )
        return tune.Tuner(
            trainable,
            tune_config=tune.TuneConfig(
                search_alg=CategorySearcher(
                    plan,
                    self._studies,
                    self._folder,
                    done=self._done,
                    gpu_seconds=self._board.gpu_seconds,
                    slots=self._slots(),
                    measurements=self._measurements,
                    finals=self._board.finals,
                    unusable=self._unusable,
                ),
                scheduler=self._scheduler(),
                # The searcher says when it is over; each category is measured, too.
                num_samples=self.left + (1 + plan.most_finals) * len(plan.spaces),
                time_budget_s=self._budget(),
                reuse_actors=True,
                trial_dirname_creator=_folder_of,
            ),
            run_config=tune.RunConfig(
                name=self._folder.next_run(),
                storage_path=str(self._folder.path),
                callbacks=[self._monitor, self._time],
                stop=StopFile(self._folder.stop),
                verbose=0,
                failure_config=tune.FailureConfig(max_failures=_WORKER_FAILURES),
                # Between its begin and its end a trial asks for them by the clock. The monitor deletes old ones: where
                # Ray does (num_to_keep), it writes the state of all trials at each checkpoint of one, for a restore of
                # its own that kdzoo never makes; work that grows with the square of the trials.
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=True),
            ),
        )

    def _budget(self) -> float | None:
        """Seconds that are left for Ray, which takes 0 for no limit."""
        left = self._time.left()
        return None if left is None else max(left, 0.001)

    def _slots(self) -> Slots:
        """When there is room for one more trial."""
        needs, places = needs_of(self._plan), self._places
        return Slots(
            lambda: self._board.count("running"),
            lambda: room_for(needs, places.closed(needs)),
            most=self._plan.max_concurrent,
        )

    def _scheduler(self) -> CategoryScheduler:
        """Early stopping, in which the trials of earlier drivers have their places."""
        plan = self._plan
        ends = {category: plan.selection_end(category) for category in plan.spaces}
        scheduler = CategoryScheduler(plan.longest_selection(), places=self._places, ends=ends)
        for row in self._board.rows.values():
            if row.ended and not row.failed:
                scheduler.remember(row.category, row.trial_id, row.measurements)
        return scheduler


def _folder_of(trial: Trial) -> str:
    """The name of a trial's folder; no trial's ends like that of a measuring."""
    category = str(trial.config["category"])
    return f"{category}-measured" if is_measuring(trial) else trial_name(category, trial.config["number"])
