"""The monitor when things go wrong: trials that never ran, and models that could not be measured."""

import dataclasses
from types import SimpleNamespace

import pytest
from helpers.layouts import make_dataset
from helpers.sweeps import Watcher, small_plan
from pyarrow.fs import LocalFileSystem
from ray import cloudpickle

from kdzoo.errors import SweepError, WorkerError
from kdzoo.search.record.board import SweepBoard
from kdzoo.search.record.folder import SweepFolder
from kdzoo.search.run.conclusion import CategoryConclusions
from kdzoo.search.run.monitor import CUT_SHORT, SweepMonitor
from kdzoo.search.run.publisher import Publisher
from kdzoo.search.study.strategy import Strategy
from kdzoo.search.study.studies import CategoryStudies
from kdzoo.search.workers.checkpoints import Checkpoints
from kdzoo.search.workers.finished import Finished


class Recorder:
    """A tracker that keeps what it is told."""

    def __init__(self):
        self.told = []

    def __getattr__(self, name):
        return lambda *args, **kwargs: self.told.append((name, args, kwargs))


class FailingLine:
    """A finishing line at which nothing can be measured."""

    busy = False

    def __init__(self):
        self.submitted = []

    def submit(self, category, spec, checkpoint):
        self.submitted.append(category)

    def collect(self, *, wait=False):
        found, self.submitted = self.submitted, []
        return [(category, Finished.failed("the picture cannot be drawn")) for category in found]


@pytest.fixture
def swept(tmp_path):
    make_dataset(tmp_path / "parts", ("bottle",))
    plan = small_plan(tmp_path, name="watched", trials=2)
    board, folder, view = (
        SweepBoard(plan.spaces, trials=2, objective="image_auroc"),
        SweepFolder(plan.folder),
        Watcher(),
    )
    studies = CategoryStudies(plan.spaces, storage=folder.studies, trials=2, seed=0)
    tracker, checkpoints = Recorder(), Checkpoints(folder)
    conclusions = CategoryConclusions(
        plan,
        board,
        tracker=tracker,
        line=FailingLine(),
        publisher=Publisher(None),
        checkpoints=checkpoints,
        folder=folder,
        view=view,
    )
    monitor = SweepMonitor(
        plan, board, tracker=tracker, studies=studies, checkpoints=checkpoints, conclusions=conclusions, view=view
    )
    for _ in range(2):
        studies.ask("bottle")
    yield SimpleNamespace(plan=plan, board=board, monitor=monitor, studies=studies)
    studies.close()


def trial(swept, folder, number, *, objective=None, error=None):
    """What Ray hands to its callbacks."""
    (folder / str(number)).mkdir()
    file = folder / f"{number}.pkl"
    if error is not None:
        file.write_bytes(cloudpickle.dumps(error))
    spec = swept.plan.spec("bottle", {}).as_dict()
    return SimpleNamespace(
        trial_id=f"t{number}",
        config={"category": "bottle", "number": number, "spec": spec},
        latest_checkpoint_result=SimpleNamespace(metrics={"saved_objective": objective}),
        checkpoint=SimpleNamespace(path=str(folder / str(number)), filesystem=LocalFileSystem()),
        last_result={"finished": True},
        pickled_error_file=str(file),
        objective=objective,
    )


def result(objective):
    return {
        "epoch": 1,
        "total_epochs": 1,
        "train_seconds": 1.0,
        "measure_seconds": 0.0,
        "on_gpu": False,
        "losses": {},
        "objective": objective,
    }


def test_a_trial_whose_worker_never_came_up_is_on_the_board_with_its_reason(swept, tmp_path):
    one = trial(swept, tmp_path, 0, error=WorkerError("on node 'gpu-3': no data set"))
    swept.monitor.on_trial_recover(1, [], one)
    assert [row.status for row in swept.board.of("bottle")] == ["running"]
    swept.monitor.on_trial_error(1, [], one)
    (row,) = swept.board.of("bottle")
    assert (row.status, row.reason) == ("failed", "on node 'gpu-3': no data set")
    assert swept.monitor._view.notes == [
        "trial 0 of bottle goes on after a failure: on node 'gpu-3': no data set",
        "trial 0 of bottle failed: on node 'gpu-3': no data set",
    ]
    assert [name for name, _, _ in swept.monitor._tracker.told] == ["start_trial", "end_trial"]


def test_what_a_stage_found_goes_to_the_tracker_and_its_warning_is_said_once(swept, tmp_path):
    said = {"losses": {"loss": 0.5}, "found": {"gate_auroc_1": 0.52}, "warnings": ["the gate does not open"]}
    for number in range(2):
        one = trial(swept, tmp_path, number)
        swept.monitor.on_trial_result(1, [], one, {**result(0.9), **said})
    logged = [args for name, args, _ in swept.monitor._tracker.told if name == "log_epoch"]
    assert [values for _, _, values in logged] == [{"loss": 0.5, "gate_auroc_1": 0.52}] * 2
    assert swept.monitor._view.notes == ["trial 0 of bottle: the gate does not open"]


def test_a_try_that_failed_for_want_of_room_on_the_sweeps_disk_ends_the_run(swept, tmp_path):
    full = OSError("[Errno 28] Error writing bytes to file. Detail: [errno 28] No space left on device")
    swept.plan.folder.mkdir(parents=True, exist_ok=True)
    swept.monitor.on_trial_recover(1, [], trial(swept, tmp_path, 0, error=full))
    swept.monitor.on_step_end(1, [])
    swept.monitor._state = 10**18
    swept.monitor.on_trial_recover(1, [], trial(swept, tmp_path, 1, error=WorkerError("another disk")))
    swept.monitor.on_step_end(1, [])
    swept.monitor.on_trial_recover(1, [], trial(swept, tmp_path, 2, error=full))
    with pytest.raises(SweepError, match=f"the disk of '{swept.plan.folder}' is full"):
        swept.monitor.on_step_end(1, [])


def test_the_best_checkpoint_of_a_model_that_could_not_be_measured_is_kept(swept, tmp_path):
    for number, objective in enumerate((0.9, 0.8)):
        one = trial(swept, tmp_path, number)
        swept.monitor.on_trial_start(1, [], one)
        swept.monitor.on_trial_result(1, [], one, result(objective))
        swept.monitor.on_trial_complete(1, [], one)
    swept.monitor.take_in()
    outcome = swept.board.outcomes["bottle"]
    assert outcome.reason == f"the picture cannot be drawn; the best trial's checkpoint is kept in '{tmp_path / '0'}'"
    assert swept.monitor._view.notes == [f"bottle: {outcome.reason}"]
    assert (tmp_path / "0").exists()
    assert not (tmp_path / "1").exists()


def test_a_category_without_a_usable_trial_has_no_checkpoint_to_show(swept, tmp_path):
    for number in range(2):
        swept.monitor.on_trial_error(1, [], trial(swept, tmp_path, number, error=WorkerError("on node 'a': no disk")))
    assert swept.board.outcomes["bottle"].reason == "no usable trial: on node 'a': no disk"


def test_how_trials_end_reaches_their_study(swept, tmp_path):
    first, second = trial(swept, tmp_path, 0), trial(swept, tmp_path, 1, objective=0.4)
    for one, value in ((first, 0.9), (second, 0.7)):
        swept.monitor.on_trial_start(1, [], one)
        swept.monitor.on_trial_result(1, [], one, result(value))
    swept.monitor.on_trial_complete(1, [], first)
    swept.monitor.conclude_rest()
    ended, under_way = swept.studies.past("bottle")
    assert ended.outcome["status"] == "finished"
    assert (ended.outcome["objective"], ended.outcome["seconds"], ended.outcome["epoch"]) == (0.9, 1.0, 1)
    assert under_way.outcome is None
    row = swept.board.rows["bottle-0001"]
    assert (row.status, row.objective, row.reason) == ("interrupted", 0.4, CUT_SHORT)
    assert (swept.board.ended(), swept.board.done()) == (2, 1)
    assert (tmp_path / "1").exists()


def test_halved_batches_and_a_shared_stage_are_told_everywhere(swept, tmp_path):
    one = trial(swept, tmp_path, 0)
    swept.monitor.on_trial_start(1, [], one)
    for parts in (1, 2, 2):
        swept.monitor.on_trial_result(1, [], one, {**result(0.9), "parts": parts, "reused_seconds": 12.5})
    swept.monitor.on_trial_complete(1, [], one)
    assert swept.monitor._view.notes == [
        "trial 0 of bottle takes its batches of 4 in 2 parts: the GPU's memory ran out for whole ones"
    ]
    (ended, _) = swept.studies.past("bottle")
    assert (ended.outcome["parts"], ended.outcome["reused_seconds"]) == (2, 12.5)
    (told,) = [given for name, _, given in swept.monitor._tracker.told if name == "end_trial"]
    assert told["tags"] == {"batch_parts": 2}
    assert told["metrics"]["reused_seconds"] == 12.5


def test_what_a_trial_trained_in_and_what_decides_a_tie_are_kept(swept, tmp_path):
    one, cut = trial(swept, tmp_path, 0), trial(swept, tmp_path, 1, objective=0.4)
    for each in (one, cut):
        swept.monitor.on_trial_start(1, [], each)
        swept.monitor.on_trial_result(1, [], each, {**result(0.9), "precision": "bfloat16+tf32", "tie": 0.25})
    cut.latest_checkpoint_result.metrics["tie"] = 0.125
    swept.monitor.on_trial_complete(1, [], one)
    swept.monitor.conclude_rest()
    ended, _ = swept.studies.past("bottle")
    assert (ended.outcome["precision"], ended.outcome["tie"]) == ("bfloat16+tf32", 0.25)
    (told, _) = [given for name, _, given in swept.monitor._tracker.told if name == "end_trial"]
    assert told["tags"] == {"precision": "bfloat16+tf32"}
    assert swept.board.rows["bottle-0001"].tie == 0.125


def test_as_many_checkpoints_as_the_plan_says(swept, tmp_path):
    swept.monitor._plan = dataclasses.replace(swept.plan, keep=2, trials=4)
    for number, objective in enumerate((0.5, 0.9, 0.7, 0.8)):
        one = trial(swept, tmp_path, number)
        if number > 1:
            swept.studies.ask("bottle")
        swept.monitor.on_trial_start(1, [], one)
        swept.monitor.on_trial_result(1, [], one, result(objective))
        swept.monitor.on_trial_complete(1, [], one)
        kept = sorted(int(path.name) for path in tmp_path.iterdir() if path.name.isdigit())
        assert kept == [[0], [0, 1], [1, 2], [1, 3]][number]


def test_an_interrupted_trial_takes_no_ended_ones_checkpoint(swept, tmp_path):
    first, second = trial(swept, tmp_path, 0), trial(swept, tmp_path, 1, objective=0.95)
    for one, value in ((first, 0.9), (second, 0.95)):
        swept.monitor.on_trial_start(1, [], one)
        swept.monitor.on_trial_result(1, [], one, result(value))
    swept.monitor.on_trial_complete(1, [], first)
    swept.monitor.conclude_rest()
    # It may fail when it goes on: then the category's best is the one that ended, with nothing left of it.
    assert (tmp_path / "0").exists() and (tmp_path / "1").exists()


@pytest.fixture
def with_gpus(swept):
    """Trials that hold half a GPU."""
    swept.monitor._plan = dataclasses.replace(swept.plan, gpus_per_trial=0.5)
    return swept


def test_gpu_hours_count_from_the_moment_that_a_place_is_held(with_gpus, tmp_path):
    one, on_gpu = trial(with_gpus, tmp_path, 0, error=WorkerError("gone")), {**result(0.5), "on_gpu": True}
    with_gpus.monitor.on_trial_start(1, [], one)
    with_gpus.monitor.on_trial_result(1, [], one, {**on_gpu, "held_seconds": 21.0})
    (row,) = with_gpus.board.of("bottle")
    assert (row.seconds, row.gpu_seconds, with_gpus.board.gpu_seconds()) == (1.0, 10.5, 10.5)
    with_gpus.monitor.on_trial_recover(1, [], one)
    with_gpus.monitor.on_trial_result(1, [], one, {**on_gpu, "held_seconds": 20.0})
    assert row.gpu_seconds == 20.5, "also what a lost worker held"
    with_gpus.monitor.on_trial_result(1, [], one, {**on_gpu, "held_seconds": 22.0})
    assert row.gpu_seconds == 21.5
    failing = trial(with_gpus, tmp_path, 1)
    with_gpus.monitor.on_trial_result(1, [], failing, {"failure": "the loss became nan", "held_seconds": 8.0})
    assert with_gpus.board.gpu_seconds() == 25.5


def test_a_latency_of_another_device_is_not_told_to_the_study(swept, tmp_path):
    told = []
    swept.monitor._plan = dataclasses.replace(swept.plan, strategy=Strategy(also=("latency_ms",)))
    swept.monitor._studies = SimpleNamespace(
        tell=lambda category, number, **given: told.append((number, given["also"]))
    )
    devices = ["EPYC", "H200", "EPYC", "H200"]
    for number, device in enumerate(devices):
        one = trial(swept, tmp_path, number)
        latency = {"also": {"latency_ms": 3.0}, "timed_on": device}
        swept.monitor.on_trial_start(1, [], one)
        swept.monitor.on_trial_result(1, [], one, {**result(0.9), **latency})
        swept.monitor.on_trial_complete(1, [], one)
    assert told == [(0, [3.0]), (1, []), (2, [3.0]), (3, [])]
    assert [row.aside for row in swept.board.of("bottle")] == [False, True, False, True]
    assert "trial 1 of bottle was timed on H200, others on EPYC" in swept.monitor._view.notes[0]
    ends = [given["tags"] for name, _, given in swept.monitor._tracker.told if name == "end_trial"]
    assert [tags["timed_on"] for tags in ends] == devices
