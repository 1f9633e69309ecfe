"""Real sweeps on a local Ray: what comes of them, and what becomes of them when things break."""

import json
import os
import signal
import sqlite3
import statistics
import subprocess
import sys
import time
from pathlib import Path

import pytest
from helpers.layouts import make_dataset
from helpers.processes import environ_of_python
from helpers.sweeps import IMPOSSIBLE, SMALL, Watcher, small_plan, trial_workers
from mlflow import MlflowClient

from kdzoo.data.images import ImageError
from kdzoo.detector import Detector
from kdzoo.errors import KdzooError, SweepError
from kdzoo.methods.aand.config import AANDConfig
from kdzoo.search.record.plan_file import read_plan
from kdzoo.search.run.sweep import run_sweep
from kdzoo.tracking import read_leaderboard
from kdzoo.training.data import TrialData
from kdzoo.training.evaluation import measure, score_images
from kdzoo.training.images import ImageSource
from kdzoo.training.spec import RunOptions
from kdzoo.zoo import load

TRIALS = 3


@pytest.fixture(scope="module")
def reachable_s3(s3):
    """The server, with what this process needs to find it while a fixture of the module sweeps."""
    with pytest.MonkeyPatch.context() as patch:
        set_credentials(patch, s3)
        yield s3


def set_credentials(patch, s3):
    for name, value in s3.variables().items():
        patch.setenv(name, value)


@pytest.fixture
def credentials(s3, monkeypatch):
    set_credentials(monkeypatch, s3)


class Swept:
    """A sweep that ran, with what it said."""

    def __init__(self, plan, board, watcher, *, zoo="", first_ended=0.0):
        self.plan, self.board, self.watcher, self.zoo, self.first_ended = plan, board, watcher, zoo, first_ended
        self.client = MlflowClient(plan.settings.mlflow_uri)

    def runs(self, level, **tags):
        experiment = self.client.get_experiment_by_name("kdzoo/aand/parts")
        wanted = {"kdzoo.level": level, "kdzoo.sweep": self.plan.name, **{f"kdzoo.{key}": tags[key] for key in tags}}
        query = " AND ".join(f"tags.`{key}` = '{value}'" for key, value in wanted.items())
        return self.client.search_runs([experiment.experiment_id], query)


@pytest.fixture(scope="module")
def swept(tmp_path_factory, reachable_s3, local_ray):
    folder = tmp_path_factory.mktemp("swept")
    make_dataset(folder / "parts")
    zoo = f"s3://{reachable_s3.new_bucket(reachable_s3.client())}/zoo"
    plan, ended_at = small_plan(folder, name="first", trials=TRIALS, command="kdzoo sweep aand"), []
    started = time.monotonic()
    watcher = Watcher(lambda board: ended_at.append(time.monotonic()) if board.ended() else None)
    board = run_sweep(plan, watcher, zoo=zoo)
    return Swept(plan, board, watcher, zoo=zoo, first_ended=ended_at[0] - started)


def test_every_category_has_an_outcome_and_a_release(swept):
    # In the order in which they ended, which is the workers' to decide.
    assert sorted(swept.board.outcomes) == ["bottle", "cable"]
    assert swept.board.ended() == 2 * TRIALS
    # A gate on random features is what is to be told of, and nothing else.
    assert sorted({note.split(" of ")[1].split(":")[0] for note in swept.watcher.notes}) == ["bottle", "cable"]
    assert all("the gate does not tell planted anomalies from normal" in note for note in swept.watcher.notes)
    for category, outcome in swept.board.outcomes.items():
        beside = outcome.baseline
        assert beside["method"] == "nearest" and beside["metrics"].keys() == outcome.metrics.keys()
        assert outcome.reason == ""
        assert (outcome.published.release, outcome.published.promoted) == (1, True)
        assert outcome.best is swept.board.best(category)
        assert outcome.seconds > 0
        assert {"val_image_auroc", "test_image_auroc", "test_aupro"} <= set(outcome.metrics)


def test_the_first_trial_of_each_category_is_the_published_configuration(swept):
    for category in ("bottle", "cable"):
        rows = {row.number: row for row in swept.board.of(category)}
        assert sorted(rows) == list(range(TRIALS))
        # On data of one's own the search space adds levels by their spread, and fits the student to the teacher.
        own = {"level_scale": "place", "map_levels": "2+3", "top_t": 200, "student": "fitted"}
        assert rows[0].config == AANDConfig(**SMALL, **own).as_dict()
        assert rows[1].config != rows[0].config


def test_runs_are_nested_and_tagged(swept):
    (sweep,) = swept.runs("sweep")
    assert sweep.info.status == "FINISHED"
    assert sweep.data.params["trials"] == str(TRIALS)
    assert 0 < sweep.data.metrics.pop("elapsed_seconds") < swept.board.elapsed()
    outcomes = [swept.board.outcomes[category].metrics for category in ("bottle", "cable")]
    tested = {name for name in outcomes[0] if name.startswith("test_")}
    assert sweep.data.metrics == {
        name: pytest.approx(statistics.fmean(metrics[name] for metrics in outcomes)) for name in tested
    }
    assert len(tested) == 7
    assert sweep.data.tags["kdzoo.key"] == read_plan(swept.plan.folder / "plan.json")["run_key"] != swept.plan.name
    for category in ("bottle", "cable"):
        (found,) = swept.runs("category", category=category)
        outcome = swept.board.outcomes[category]
        assert found.data.tags["mlflow.parentRunId"] == sweep.info.run_id
        assert found.info.status == "FINISHED"
        expected = {"method": "aand", "dataset": "parts", "protocol": "holdout", "teacher": "random-resnet18"}
        assert expected.items() <= {key.removeprefix("kdzoo."): value for key, value in found.data.tags.items()}.items()
        assert found.data.tags["kdzoo.release"] == "1"
        assert found.data.metrics["test_aupro"] == pytest.approx(outcome.metrics["test_aupro"])
        assert found.data.metrics["baseline_test_aupro"] == pytest.approx(outcome.baseline["metrics"]["test_aupro"])
        assert found.data.metrics["cost_seconds"] == pytest.approx(outcome.seconds)
        misses = outcome.operating_point["report"]["misses"]
        assert found.data.metrics["test_misses"] == misses["count"]
        assert found.data.metrics["test_miss_rate_high"] == pytest.approx(misses["high"])
        assert f"{misses['count']} of {misses['of']} (" in found.data.tags["kdzoo.misses"]
        assert "cannot show 1.0 %" in found.data.tags["kdzoo.stated"]
        picture = swept.client.download_artifacts(found.info.run_id, "cases.png")
        assert Path(picture).read_bytes().startswith(b"\x89PNG")
        trials = swept.runs("trial", category=category)
        assert {trial.data.tags["mlflow.parentRunId"] for trial in trials} == {found.info.run_id}
        assert len(trials) == TRIALS


def test_each_trial_has_its_metrics_per_epoch_and_its_cost(swept):
    for trial in swept.runs("trial"):
        row = next(row for key, row in swept.board.rows.items() if trial.info.run_name.endswith(key))
        losses = swept.client.get_metric_history(trial.info.run_id, "loss")
        assert [entry.step for entry in losses] == list(range(1, row.epoch + 1))
        measured = swept.client.get_metric_history(trial.info.run_id, "val_image_auroc")
        assert {entry.step for entry in measured} == set(range(2, row.epoch + 1))
        assert trial.data.metrics["objective"] == row.objective
        assert trial.data.metrics["cost_seconds"] == pytest.approx(row.seconds)
        assert trial.data.tags["kdzoo.status"] == row.status
        assert trial.data.params["margin"] == str(row.config["margin"])


def test_the_leaderboard_reads_it_back(swept):
    (table,) = read_leaderboard(swept.plan.settings.mlflow_uri).tables
    assert (table.dataset, table.protocol) == ("parts", "holdout")
    assert [row.category for row in table.rows] == ["bottle", "cable"]
    for row in table.rows:
        outcome = swept.board.outcomes[row.category]
        assert row.test["aupro"] == pytest.approx(outcome.metrics["test_aupro"])
        assert row.release == 1
        alarms = outcome.operating_point["report"]["false_alarms"]
        assert row.false_alarms.as_dict() == pytest.approx(alarms)


@pytest.mark.parametrize("category", ["bottle", "cable"])
def test_a_release_has_the_numbers_that_were_published(swept, credentials, category):
    detector = load("aand", f"parts/{category}", zoo=swept.zoo, device="cpu")
    outcome = swept.board.outcomes[category]
    assert detector.document["config"] == outcome.best.config
    assert detector.document["objective"]["value"] == pytest.approx(outcome.best.objective, abs=1e-5)
    assert detector.document["sweep"] == "first"
    assert detector.document["provenance"]["command"] == "kdzoo sweep aand"
    assert detector.document["provenance"]["packages"]["count"] > 10
    assert detector.plan.weights_sha256 is not None
    assert detector.document["operating_point"] == outcome.operating_point
    (found,) = swept.runs("category", category=category)
    assert detector.document["mlflow"] == {"experiment": "kdzoo/aand/parts", "run": found.data.tags["kdzoo.key"]}
    options = RunOptions.from_mapping(detector.document["options"])
    data = TrialData(swept.plan.dataset, category, options, cache=swept.plan.settings.cache)
    assert data.report is not None
    scored = score_images(detector.method, ImageSource(data.report.images, detector.device))
    again = measure(scored, data.report, aupro_limit=options.aupro_limit).as_dict("test_")
    published = {name: value for name, value in detector.document["metrics"].items() if name.startswith("test_")}
    assert published.keys() == again.keys()
    for name, value in published.items():
        assert again[name] == pytest.approx(value, abs=1e-5), name


def test_only_the_best_trials_keep_their_checkpoints(swept):
    kept = sorted(path.parents[1].name for path in (swept.plan.folder / "trials").rglob("state.pt"))
    best = [swept.board.outcomes[category].best for category in ("bottle", "cable")]
    assert kept == sorted(f"{row.category}-{row.number:04}" for row in best)


def test_a_sweep_of_the_same_name_is_refused(swept, tmp_path):
    with pytest.raises(SweepError, match="'first' already"):
        run_sweep(swept.plan, Watcher(), zoo=str(tmp_path / "zoo"))


@pytest.fixture(scope="module")
def broken(tmp_path_factory, reachable_s3, local_ray):
    """A sweep with a category that always diverges, a worker killed in the middle, and a zoo that then refuses."""
    folder = tmp_path_factory.mktemp("broken")
    make_dataset(folder / "parts")
    s3 = reachable_s3
    zoo = f"s3://{s3.new_bucket(s3.client())}/zoo"
    plan = small_plan(folder, name="broken", trials=2, changes={"bottle": IMPOSSIBLE, "cable": {"distil_epochs": 7}})
    killed = []

    def kill_once(board):
        if not killed and any(row.category == "cable" and row.epoch == 7 for row in board.running()):
            killed.extend(trial_workers(os.getpid()))
            for pid in killed:
                os.kill(pid, signal.SIGKILL)

    watcher = Watcher(kill_once)
    with s3.fault(method="PUT", contains="/entries/", times=100, status="403 Forbidden", code="AccessDenied"):
        board = run_sweep(plan, watcher, zoo=zoo)
    assert killed
    return Swept(plan, board, watcher, zoo=zoo)


def test_a_trial_that_diverges_fails_with_its_reason_and_the_sweep_goes_on(broken):
    rows = broken.board.of("bottle")
    assert [row.status for row in rows] == ["failed", "failed"]
    for row in rows:
        assert "the loss became nan in epoch 1 (stage 'amplify') of aand on parts/bottle" in row.reason
    outcome = broken.board.outcomes["bottle"]
    assert (outcome.best, outcome.metrics, outcome.published) == (None, {}, None)
    assert "no usable trial: the loss became nan" in outcome.reason
    assert {run.info.status for run in broken.runs("trial", category="bottle")} == {"FAILED"}
    assert all("nan" in run.data.tags["kdzoo.reason"] for run in broken.runs("trial", category="bottle"))
    assert broken.runs("category", category="bottle")[0].info.status == "FAILED"


def test_a_killed_worker_costs_no_trial_and_at_most_one_checkpoint_interval(broken):
    rows = broken.board.of("cable")
    assert {row.status for row in rows} <= {"finished", "stopped_early"}
    assert rows[0].epoch == rows[0].total_epochs == 8
    notes = "\n".join(broken.watcher.notes)
    assert "trial 0 of cable goes on after a failure: its worker died" in notes
    (run,) = [run for run in broken.runs("trial", category="cable") if run.info.run_name.endswith(rows[0].trial_id)]
    steps = [entry.step for entry in broken.client.get_metric_history(run.info.run_id, "loss")]
    assert set(steps) == set(range(1, 9))
    assert 8 <= len(steps) <= 8 + 5


def test_a_detector_that_the_zoo_refuses_is_kept(broken):
    outcome = broken.board.outcomes["cable"]
    assert outcome.published is None
    assert outcome.metrics["test_aupro"] >= 0
    folder = broken.plan.folder / "unpublished" / "cable"
    assert "not published" in outcome.reason
    assert str(folder) in outcome.reason
    assert Detector.open(folder, device="cpu").document["metrics"] == outcome.metrics


def test_a_time_budget_ends_the_training_but_not_the_publishing(swept, tmp_path):
    make_dataset(tmp_path / "parts")
    # Three times what the first trial of another sweep took: a machine may be busier now than it was then.
    budget = 3 * swept.first_ended + 3
    # One category's trials are long, so that one of them runs when time is up; those of the other end within it.
    changes = {"cable": {"distil_epochs": 10_000}}
    plan = small_plan(tmp_path, name="short", trials=2000, time_budget=budget, changes=changes)
    watcher = Watcher()
    board = run_sweep(plan, watcher)
    ended_itself = [row for row in board.rows.values() if row.status == "finished" and not row.reason]
    assert ended_itself
    assert len(board.rows) < 400
    assert not board.running()
    cut_off = [row for row in board.rows.values() if row.reason]
    assert cut_off
    assert {row.status for row in cut_off} == {"interrupted"}
    for category in {row.category for row in ended_itself}:
        assert board.outcomes[category].published.release == 1
    (sweep,) = Swept(plan, board, watcher).runs("sweep")
    assert sweep.info.status == "KILLED"
    assert any("the time budget is used up" in note for note in watcher.notes)

    again, trained = Watcher(), [path.name for path in plan.folder.glob("trials*")]
    done = run_sweep(plan, again, resume=True)
    assert [path.name for path in plan.folder.glob("trials*")] == trained, "a resumed sweep has no time of its own"
    assert done.count("finished") == board.count("finished")
    assert any("needs more --time-budget" in note for note in again.notes)


def test_a_sweep_whose_studies_cannot_be_written_publishes_what_is_finished(tmp_path, local_ray):
    make_dataset(tmp_path / "parts")
    plan, held = small_plan(tmp_path, name="lost", trials=3), []

    def hold_once(board):
        if board.count("finished") and not held:
            held.append(sqlite3.connect(plan.folder / "studies.db", isolation_level=None, check_same_thread=False))
            held[0].execute("BEGIN IMMEDIATE")

    watcher = Watcher(hold_once)
    try:
        with pytest.raises(SweepError, match=r"'lost' stopped: .*database is locked") as caught:
            run_sweep(plan, watcher)
    finally:
        held[0].close()
    assert "ray.log" in caught.value.hint
    assert any(note.startswith("training stopped: ") for note in watcher.notes)
    assert list((tmp_path / "home" / "zoo" / "entries" / "aand" / "parts").glob("*/releases/000001.json"))
    (sweep,) = Swept(plan, None, watcher).runs("sweep")
    assert sweep.info.status == "FAILED"


def test_a_damaged_train_image_is_found_before_the_sweep_starts(tmp_path):
    image = make_dataset(tmp_path / "parts") / "cable" / "train" / "good" / "002.png"
    image.write_bytes(image.read_bytes()[:-30])
    prepared = []
    plan = small_plan(tmp_path, name="damaged", trials=1)
    with pytest.raises(ImageError, match=r"cable/train/good/002\.png"):
        run_sweep(plan, Watcher(), prepared=lambda category, done, total: prepared.append((category, done, total)))
    assert prepared == [("bottle", 0, 2), ("cable", 1, 2)]
    assert not (plan.folder / "trials").exists()


@pytest.mark.parametrize(
    ("address", "problem"),
    [
        ("127.0.0.1:9", "no Ray cluster answers at '127.0.0.1:9'"),
        ("ray://127.0.0.1:10001", "cannot run through the Ray client"),
        ("nowhere", "is no Ray address"),
    ],
)
def test_an_unreachable_cluster_is_an_error_within_seconds(tmp_path, address, problem):
    make_dataset(tmp_path / "parts")
    plan = small_plan(tmp_path, name="nowhere", trials=1, environ={"RAY_ADDRESS": address})
    started = time.monotonic()
    with pytest.raises(KdzooError, match=problem):
        run_sweep(plan, Watcher())
    assert time.monotonic() - started < 6


def test_a_trial_that_asks_for_more_than_there_is(tmp_path, local_ray):
    make_dataset(tmp_path / "parts")
    for asked, problem in (({"cpus_per_trial": 64.0}, "64 CPUs"), ({"gpus_per_trial": 64.0}, "64 GPUs")):
        with pytest.raises(SweepError, match=problem):
            run_sweep(small_plan(tmp_path, name="greedy", trials=1, **asked), Watcher())


def start_long_sweep(folder):
    make_dataset(folder / "parts")
    return subprocess.Popen(
        [sys.executable, "-m", "helpers.sweeps", str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environ_of_python(),
        start_new_session=True,
    )


def interrupt(process):
    """Ctrl-C as a terminal does it: to the driver and all that it started."""
    os.killpg(process.pid, signal.SIGINT)


def terminate(process):
    """As batch systems and containers end a command: to the driver alone."""
    process.terminate()


@pytest.mark.timeout(900)
@pytest.mark.parametrize("ask", [interrupt, terminate])
def test_asked_to_end_it_publishes_what_is_finished_and_says_nothing_else(ask, tmp_path):
    process = start_long_sweep(tmp_path)
    try:
        assert process.stdout.readline().startswith("ended")
        ask(process)
        out, err = process.communicate(timeout=600)
    finally:
        process.kill()
    assert process.returncode == 0
    assert err == ""
    said = json.loads(out.splitlines()[-1])
    finished = {category for category, (release, _, _) in said["outcomes"].items() if release == 1}
    assert finished
    # A category that had no trial far enough says so; beside the gates, on random features, nothing else is to say.
    unfinished = said["outcomes"].keys() - finished
    notes = [note for note in said["notes"] if "the gate does not tell planted anomalies from normal" not in note]
    assert notes == [f"{category}: no trial was measured" for category in sorted(unfinished)]
    assert all(trials < 50 for _, _, trials in said["outcomes"].values())


def test_ctrl_c_twice_ends_at_once(tmp_path):
    process = start_long_sweep(tmp_path)
    try:
        assert process.stdout.readline().startswith("ended")
        interrupt(process)
        time.sleep(0.3)
        interrupt(process)
        started = time.monotonic()
        _, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert time.monotonic() - started < 15
    assert process.returncode != 0
    assert err.strip().endswith("KeyboardInterrupt")
