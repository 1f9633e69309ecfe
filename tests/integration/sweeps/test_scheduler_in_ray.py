"""What the scheduler takes from inside of Ray Tune, in a real run: where Ray renames it, this fails."""

from pathlib import Path

import pytest
from helpers.local_ray import CORES
from ray import tune
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler

from kdzoo.search.run.scheduler import CategoryScheduler
from kdzoo.search.workers.places import Places

TRIALS, EPOCHS = 4, 3
NUMBERS = [2, 0, 3, 1]
OURS = None
"""Checkpoints that Ray keeps of a trial, as `kdzoo.search.run.training` sets it: the monitor deletes old ones."""


pytestmark = pytest.mark.usefixtures("local_ray")


def trivial():
    """A trial that has nothing to do; made in a function, so that Ray sends the class itself to its workers."""
    epochs = EPOCHS

    class Counting(tune.Trainable):
        def step(self):
            done = self.iteration + 1
            return {"selection_epoch": done, "objective": 0.5, "done": done == epochs}

        def save_checkpoint(self, checkpoint_dir):
            Path(checkpoint_dir, "state").write_text(str(self.iteration))

        def load_checkpoint(self, checkpoint):
            """Nothing to go on from."""

        def reset_config(self, new_config):
            return True

    return Counting


class RaysOwn(FIFOScheduler):
    """Ray's scheduler, which leaves everything as Ray has it."""


class Watched(CategoryScheduler):
    """Ours, compared with Ray's own answer to each question."""

    def __init__(self):
        super().__init__(EPOCHS, places=Places([].append, living=list))
        self.odd, self.asked = [], 0

    def choose_trial_to_run(self, tune_controller):
        chosen = super().choose_trial_to_run(tune_controller)
        rays = FIFOScheduler.choose_trial_to_run(self, tune_controller)
        waiting = [trial for trial in tune_controller.get_trials() if trial.status == Trial.PENDING]
        first = min(waiting, key=lambda trial: trial.config["number"], default=None)
        self.asked += 1
        if chosen is not first or (chosen is None) != (rays is None):
            self.odd.append((chosen, first, rays))
        return chosen


class Snapshots(tune.Callback):
    """Counts how often Ray writes the state of all trials: it asks each callback for its part then."""

    def __init__(self):
        self.count = 0

    def get_state(self):
        self.count += 1
        return {}


def run(folder, scheduler, *, keep):
    """Runs the trials, one at a time, and gives how often the state of all was written."""
    snapshots = Snapshots()
    results = tune.Tuner(
        tune.with_resources(trivial(), {"cpu": CORES}),
        param_space={"category": "bottle", "number": tune.grid_search(NUMBERS)},
        tune_config=tune.TuneConfig(scheduler=scheduler, reuse_actors=True),
        run_config=tune.RunConfig(
            name="run",
            storage_path=str(folder),
            callbacks=[snapshots],
            verbose=0,
            checkpoint_config=tune.CheckpointConfig(num_to_keep=keep, checkpoint_frequency=1),
        ),
    ).fit()
    assert len(results) == TRIALS and not results.errors
    assert [result.metrics["training_iteration"] for result in results] == [EPOCHS] * TRIALS
    return snapshots.count


def test_state_is_not_written_at_each_checkpoint_and_the_lowest_number_goes_first(tmp_path, monkeypatch):
    monkeypatch.setenv("TUNE_GLOBAL_CHECKPOINT_S", "3600")  # by the clock alone, none while this runs
    rays = run(tmp_path / "rays", RaysOwn(), keep=1)
    assert rays > TRIALS * EPOCHS, "Ray no longer writes it at each checkpoint, so nothing need keep it from that"
    watched = Watched()
    assert run(tmp_path / "ours", watched, keep=OURS) < TRIALS
    assert watched.asked > TRIALS and not watched.odd
