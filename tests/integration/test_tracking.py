"""A sweep's tracking against a real MLflow server that stops, hangs and comes back."""

import time
from pathlib import Path

import pytest
from mlflow import MlflowClient

from kdzoo.errors import TrackingError
from kdzoo.tracking import Cost, SweepTracker, read_leaderboard, replay

PNG = b"\x89PNG\r\n\x1a\n" + bytes(64)


@pytest.fixture
def warnings():
    return []


@pytest.fixture
def make_tracker(mlflow_server, tmp_path, warnings):
    def make(sweep, method="rd", protocol="holdout"):
        return SweepTracker(
            mlflow_server.uri,
            artifacts=tmp_path / "unused",
            spool=tmp_path / f"{sweep}.jsonl",
            sweep=sweep,
            method=method,
            dataset="demo",
            protocol=protocol,
            objective="image_auroc",
            warn=warnings.append,
        )

    return make


def log_epochs(tracker, trial, epochs):
    """Logs one loss an epoch, and returns the longest time a call took, in seconds."""
    longest = 0.0
    for epoch in epochs:
        start = time.perf_counter()
        tracker.log_epoch(trial, epoch, {"loss": 1.0 / (epoch + 1)})
        longest = max(longest, time.perf_counter() - start)
    return longest


def finish(tracker, category, value, **said):
    tracker.end_category(
        category,
        status="finished",
        metrics={"val_image_auroc": value, "test_image_auroc": value - 0.05, "test_aupro": value - 0.1},
        cost=Cost(seconds=20.0, gpu_seconds=10.0),
        params={"lr": 0.005},
        **said,
    )


def runs_of(mlflow_server, sweep):
    client = MlflowClient(mlflow_server.uri)
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    runs = client.search_runs(experiments, f"tags.`kdzoo.sweep` = '{sweep}'")
    keyed = {run.data.tags["kdzoo.key"]: run for run in runs}
    assert len(keyed) == len(runs)  # no run was made twice
    return keyed


def losses(mlflow_server, run):
    history = MlflowClient(mlflow_server.uri).get_metric_history(run.info.run_id, "loss")
    return sorted((point.step, point.value) for point in history)


def test_a_sweep_is_read_back_as_it_was_logged(mlflow_server, make_tracker, warnings, tmp_path):
    tracker = make_tracker("small")
    tracker.start(params={"trials": 1, "zoo": "s3://key:secret@host/zoo"})
    tracker.start_category("weave", tags={"split_digest": "abc"})
    tracker.start_trial("t1", "weave", params={"lr": 0.005})
    log_epochs(tracker, "t1", range(3))
    tracker.end_trial("t1", status="stopped_early", metrics={"val_image_auroc": 0.9}, cost=Cost(seconds=7.0))
    finish(tracker, "weave", 0.9, release=4, picture=PNG)
    tracker.end("finished")
    assert tracker.close(timeout=120) == 0
    assert warnings == []
    assert not (tmp_path / "small.jsonl").exists()

    runs = runs_of(mlflow_server, "small")
    assert set(runs) == {"small", "small/weave", "small/weave/t1"}
    top, category, trial = (runs[key] for key in sorted(runs))
    assert category.data.tags["mlflow.parentRunId"] == top.info.run_id
    assert trial.data.tags["mlflow.parentRunId"] == category.info.run_id
    assert top.data.params == {"trials": "1", "zoo": "s3://host/zoo"}
    assert (trial.info.status, trial.data.tags["kdzoo.status"]) == ("FINISHED", "stopped_early")
    assert losses(mlflow_server, trial) == [(0, 1.0), (1, 0.5), (2, 1 / 3)]
    fetched = MlflowClient(mlflow_server.uri).download_artifacts(category.info.run_id, "cases.png", str(tmp_path))
    assert Path(fetched).read_bytes() == PNG

    (table,) = read_leaderboard(mlflow_server.uri, dataset="demo").tables
    (row,) = table.rows
    assert (row.method, row.category, row.release, row.split_digest) == ("rd", "weave", 4, "abc")
    assert row.test == {"image_auroc": pytest.approx(0.85), "aupro": pytest.approx(0.8)}
    assert (row.cost_seconds, row.cost_gpu_seconds) == (20.0, 10.0)


def test_a_trial_costs_five_calls_and_one_an_epoch(mlflow_server, make_tracker, monkeypatch):
    import requests

    calls, send = [], requests.Session.send

    def count(self, request, **given):
        calls.append(request.path_url.partition("?")[0].rpartition("mlflow/")[2])
        return send(self, request, **given)

    tracker = make_tracker("counted")
    tracker.start(params={})
    tracker.start_category("weave")
    while len(runs_of(mlflow_server, "counted")) < 2:
        time.sleep(0.1)
    monkeypatch.setattr(requests.Session, "send", count)
    tracker.start_trial("t1", "weave", params={"lr": 0.1}, tags={"number": 1})
    log_epochs(tracker, "t1", range(7))
    tracker.end_trial("t1", status="finished", metrics={"objective": 0.9}, cost=Cost(seconds=7.0))
    assert tracker.close(timeout=120) == 0
    start, end = ["runs/search", "runs/create", "runs/log-batch"], ["runs/log-batch", "runs/update"]
    assert calls[-12:] == [*start, *["runs/log-batch"] * 7, *end]


def test_a_server_that_stops_in_the_middle_loses_nothing(mlflow_server, make_tracker, warnings, tmp_path):
    tracker = make_tracker("interrupted", protocol="synthetic")
    tracker.start(params={})
    tracker.start_trial("t1", "weave", params={"lr": 0.005})
    log_epochs(tracker, "t1", range(5))
    mlflow_server.stop()
    try:
        assert log_epochs(tracker, "t1", range(5, 60)) < 0.5
        tracker.end_trial("t1", status="finished", metrics={"val_image_auroc": 0.9}, cost=Cost(seconds=7.0))
        finish(tracker, "weave", 0.9)
        tracker.end("finished")
        start = time.monotonic()
        left = tracker.close(timeout=20)
        assert time.monotonic() - start < 12
        assert left >= 55 + 3
        assert any("kdzoo mlflow sync" in warning for warning in warnings)
        with pytest.raises(TrackingError, match="still in"):
            replay(tmp_path / "interrupted.jsonl", mlflow_server.uri, artifacts=tmp_path)
        start = time.monotonic()
        with pytest.raises(TrackingError, match=str(mlflow_server.port)):
            read_leaderboard(mlflow_server.uri)
        assert time.monotonic() - start < 15
    finally:
        mlflow_server.start()

    spool = tmp_path / "interrupted.jsonl"
    kept = spool.read_bytes()
    assert replay(spool, mlflow_server.uri, artifacts=tmp_path) >= left
    assert not spool.exists()
    spool.write_bytes(kept)  # as if the process had died before it could say what was sent
    replay(spool, mlflow_server.uri, artifacts=tmp_path)

    runs = runs_of(mlflow_server, "interrupted")
    assert set(runs) == {"interrupted", "interrupted/weave", "interrupted/weave/t1"}
    assert len(MlflowClient(mlflow_server.uri).search_experiments(filter_string="name = 'kdzoo/rd/demo'")) == 1
    assert losses(mlflow_server, runs["interrupted/weave/t1"]) == [(epoch, 1.0 / (epoch + 1)) for epoch in range(60)]
    assert {run.info.status for run in runs.values()} == {"FINISHED"}


def test_a_server_that_hangs_delays_nobody(mlflow_server, make_tracker, warnings):
    tracker = make_tracker("hung", protocol="test")
    mlflow_server.freeze()
    try:
        tracker.start(params={})
        tracker.start_trial("t1", "weave", params={})
        assert log_epochs(tracker, "t1", range(50)) < 0.5
        start = time.monotonic()
        assert tracker.close(timeout=1) == 52
        assert time.monotonic() - start < 3
    finally:
        mlflow_server.thaw()
    assert any("52 tracking records" in warning for warning in warnings)


def test_a_resumed_sweep_continues_the_same_runs(mlflow_server, make_tracker):
    for epochs in (range(2), range(2, 4)):
        tracker = make_tracker("resumed", method="mrkd")
        tracker.start(params={"trials": 1})
        tracker.start_trial("t1", "weave", params={"lr": 0.1})
        log_epochs(tracker, "t1", epochs)
        tracker.end("interrupted")
        assert tracker.close(timeout=120) == 0
    runs = runs_of(mlflow_server, "resumed")
    assert len(runs) == 3
    assert [step for step, _ in losses(mlflow_server, runs["resumed/weave/t1"])] == [0, 1, 2, 3]
    assert runs["resumed"].info.status == "KILLED"
