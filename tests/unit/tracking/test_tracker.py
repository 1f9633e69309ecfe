"""The tracker on a SQLite file, without a server."""

import logging
import os
import subprocess
import sys
import time

import pytest

from kdzoo.cli.leaderboard import leaderboard
from kdzoo.errors import TrackingError, UnknownNameError
from kdzoo.metrics.binomial import Share
from kdzoo.tracking import Cost, SweepTracker, read_leaderboard, replay
from kdzoo.tracking.environment import prepare_mlflow
from kdzoo.tracking.leaderboard import _share as leaderboard_share
from kdzoo.tracking.reference import ReleaseRef


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder whose SQLite file all tests here share: making one takes a second."""
    return tmp_path_factory.mktemp("tracked")


@pytest.fixture
def uri(place):
    return f"sqlite:///{place / 'deep' / 'mlflow.db'}"


@pytest.fixture
def warnings():
    return []


@pytest.fixture
def make_tracker(place, tmp_path, uri, warnings):
    def make(sweep, **changed):
        given = {"method": "rd", "dataset": "demo", "protocol": "holdout", "objective": "image_auroc", **changed}
        spool = tmp_path / f"{sweep}.jsonl"
        target = given.pop("uri", uri)
        return SweepTracker(
            target, artifacts=place / "artifacts", spool=spool, sweep=sweep, warn=warnings.append, **given
        )

    return make


def finish(tracker, category, val, test, seconds=10.0, **said):
    metrics = {"val_image_auroc": val, **{f"test_{name}": value for name, value in test.items()}}
    tracker.end_category(category, status="finished", metrics=metrics, cost=Cost(seconds=seconds), **said)


def client(uri):
    from mlflow import MlflowClient

    return MlflowClient(uri)


def runs_of(uri, experiment):
    found = client(uri).get_experiment_by_name(experiment)
    return {run.data.tags["kdzoo.key"]: run for run in client(uri).search_runs([found.experiment_id])}


def test_a_new_database_is_made_quietly_and_in_the_background(make_tracker, uri, capfd, caplog, place):
    caplog.set_level(logging.INFO)
    tracker = make_tracker("first", dataset="quiet", teacher="tiny")
    start = time.perf_counter()
    tracker.start(params={"trials": 2})
    tracker.start_trial("t", "weave", params={"lr": 0.1, "long": "x" * 7000})
    for epoch in range(20):
        tracker.log_epoch("t", epoch, {"loss": epoch / 2, "broken": float("nan")})
    tracker.end_trial("t", status="failed", metrics={}, cost=Cost(seconds=2.0), reason="out of memory")
    assert time.perf_counter() - start < 0.5
    finish(tracker, "weave", 0.9, {"aupro": 0.8}, release=3, picture=b"png bytes")
    tracker.end("finished")
    assert tracker.close(timeout=120) == 0
    assert capfd.readouterr().err == ""
    assert [record for record in caplog.records if record.name.startswith(("alembic", "mlflow"))] == []

    runs = runs_of(uri, "kdzoo/rd/quiet")
    trial = runs["first/weave/t"]
    assert trial.info.status == "FAILED"
    assert trial.data.tags["kdzoo.reason"] == "out of memory"
    assert trial.data.metrics == {"loss": 9.5, "cost_seconds": 2.0, "cost_gpu_seconds": 0.0}
    assert {len(value) for value in trial.data.params.values()} == {3, 6000}
    tags = {name: value for name, value in runs["first/weave"].data.tags.items() if name.startswith("kdzoo.")}
    assert tags == {
        "kdzoo.key": "first/weave",
        "kdzoo.level": "category",
        "kdzoo.sweep": "first",
        "kdzoo.method": "rd",
        "kdzoo.dataset": "quiet",
        "kdzoo.category": "weave",
        "kdzoo.protocol": "holdout",
        "kdzoo.teacher": "tiny",
        "kdzoo.objective": "image_auroc",
        "kdzoo.status": "finished",
        "kdzoo.release": "3",
        "kdzoo.champion": "false",
    }
    picture = place / "artifacts" / "kdzoo/rd/quiet" / runs["first/weave"].info.run_id / "artifacts" / "cases.png"
    assert picture.read_bytes() == b"png bytes"


def test_a_refused_param_is_told_and_does_not_take_the_metrics_along(make_tracker, uri, warnings, tmp_path):
    tracker = make_tracker("refused", dataset="refusals")
    tracker.start_trial("t", "weave", params={"lr": 0.1})
    tracker.start_trial("t", "weave", params={"lr": 0.2})  # MLflow's params never change
    tracker.log_epoch("t", 0, {"loss": 1.0})
    assert tracker.close(timeout=30) == 1
    trial = runs_of(uri, "kdzoo/rd/refusals")["refused/weave/t"]
    assert (trial.data.params, trial.data.metrics) == ({"lr": "0.1"}, {"loss": 1.0})
    assert len(warnings) == 1 and "refused.jsonl.refused" in warnings[0]
    assert b'"lr":"0.2"' in (tmp_path / "refused.jsonl.refused").read_bytes()


def test_a_run_that_a_person_deleted_is_made_again(make_tracker, uri):
    tracker = make_tracker("deleted", dataset="deletions")
    tracker.start_trial("t", "weave", params={})
    deadline = time.monotonic() + 120
    while not (client(uri).get_experiment_by_name("kdzoo/rd/deletions") and runs_of(uri, "kdzoo/rd/deletions")):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    while "deleted/weave/t" not in runs_of(uri, "kdzoo/rd/deletions"):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    client(uri).delete_run(runs_of(uri, "kdzoo/rd/deletions")["deleted/weave/t"].info.run_id)
    tracker.log_epoch("t", 1, {"loss": 2.0})
    assert tracker.close(timeout=120) == 0
    assert runs_of(uri, "kdzoo/rd/deletions")["deleted/weave/t"].data.metrics == {"loss": 2.0}


def test_a_broken_artifact_store_holds_up_no_metrics(make_tracker, uri, warnings, place, tmp_path):
    (place / "artifacts" / "kdzoo" / "rd").mkdir(parents=True, exist_ok=True)
    (place / "artifacts" / "kdzoo" / "rd" / "broken").write_text("no folder")
    tracker = make_tracker("stuck", dataset="broken")
    ref = ReleaseRef(zoo="s3://zoo", entry="rd/broken/bottle", release=1, manifest_sha256="0" * 64)
    finish(tracker, "bottle", 0.9, {"image_auroc": 0.8}, release=1, published=ref, champion=True, picture=b"PNG")
    finish(tracker, "cable", 0.7, {"image_auroc": 0.6})
    assert tracker.close(240) == 1, "the record with the files, whose metrics are there"
    runs = runs_of(uri, "kdzoo/rd/broken")
    assert runs["stuck/bottle"].info.status == runs["stuck/cable"].info.status == "FINISHED"
    assert runs["stuck/cable"].data.metrics["test_image_auroc"] == 0.6
    assert any("cannot keep 'reference.json, MLmodel'" in told and "the record is kept in" in told for told in warnings)


def test_a_damaged_line_is_set_aside_and_the_rest_is_sent(make_tracker, uri, warnings, tmp_path):
    (tmp_path / "torn.jsonl").write_bytes(b'{"run": {"experim')
    tracker = make_tracker("torn", dataset="damage")
    tracker.start(params={})
    assert tracker.close(timeout=30) == 1
    assert set(runs_of(uri, "kdzoo/rd/damage")) == {"torn"}
    assert "not a tracking record" in warnings[0] or "record is kept" in warnings[0]
    assert (tmp_path / "torn.jsonl.refused").read_bytes() == b'{"run": {"experim\n'


def test_names_with_quotes_find_their_runs_again(make_tracker, uri):
    for _ in range(2):
        tracker = make_tracker("it's", dataset="o'data")
        tracker.start(params={})
        assert tracker.close(timeout=120) == 0
    experiment = client(uri).get_experiment_by_name("kdzoo/rd/o'data")
    assert len(client(uri).search_runs([experiment.experiment_id])) == 1


def test_a_sweep_that_bears_an_old_name_has_runs_of_its_own_and_a_resumed_one_finds_its_old_ones(make_tracker, uri):
    for protocol, key in (("test", "again-1"), ("holdout", "again-2"), ("holdout", "again-2")):
        tracker = make_tracker("again", dataset="names", protocol=protocol, run_key=key)
        tracker.start_category("weave")
        assert tracker.close(timeout=120) == 0
    runs = runs_of(uri, "kdzoo/rd/names")
    assert {key: run.data.tags["kdzoo.protocol"] for key, run in runs.items()} == {
        "again-1": "test",
        "again-1/weave": "test",
        "again-2": "holdout",
        "again-2/weave": "holdout",
    }
    experiment = client(uri).get_experiment_by_name("kdzoo/rd/names").experiment_id
    found = client(uri).search_runs([experiment])
    assert len(found) == 4
    assert {run.data.tags["kdzoo.sweep"] for run in found} == {"again"}


def test_an_unusable_database_is_told_once_and_kept_for_replay(make_tracker, uri, warnings, tmp_path, place):
    (tmp_path / "file").write_text("")
    tracker = make_tracker("later", dataset="later", uri=f"sqlite:///{tmp_path / 'file' / 'x.db'}")
    tracker.start(params={})
    tracker.start_trial("t", "weave", params={})
    tracker.log_epoch("t", 0, {"loss": 1.0})
    assert tracker.close(timeout=30) == 3
    assert len(warnings) == 2 and "later.jsonl" in warnings[0] and "3 tracking records" in warnings[1]
    assert replay(tmp_path / "later.jsonl", uri, artifacts=place / "artifacts") == 3
    assert runs_of(uri, "kdzoo/rd/later")["later/weave/t"].data.metrics == {"loss": 1.0}
    assert replay(tmp_path / "later.jsonl", uri, artifacts=place / "artifacts") == 0


def test_a_driver_killed_without_warning_loses_nothing(tmp_path, uri, place):
    program = """
import os, signal, sys
from pathlib import Path
from kdzoo.tracking import SweepTracker
tracker = SweepTracker(
    "http://127.0.0.1:9", artifacts=Path("."), spool=Path(sys.argv[1]), sweep="killed", method="rd",
    dataset="kills", protocol="test", objective="aupro", warn=print,
)
tracker.start_trial("t", "weave", params={})
for epoch in range(50):
    tracker.log_epoch("t", epoch, {"loss": float(epoch)})
os.kill(os.getpid(), signal.SIGKILL)
"""
    ended = subprocess.run([sys.executable, "-c", program, str(tmp_path / "spool")], check=False)
    assert ended.returncode == -9
    assert replay(tmp_path / "spool", uri, artifacts=place / "artifacts") == 51
    trial = runs_of(uri, "kdzoo/rd/kills")["killed/weave/t"]
    steps = [point.step for point in client(uri).get_metric_history(trial.info.run_id, "loss")]
    assert sorted(steps) == list(range(50))


def test_a_trial_that_was_not_started_is_told_and_stops_nothing(make_tracker, warnings):
    tracker = make_tracker("unknown")
    tracker.log_epoch("ghost", 0, {"loss": 1.0})
    tracker.log_epoch("ghost", 1, {"loss": 1.0})
    tracker.end_trial("ghost", status="finished", metrics={}, cost=Cost(seconds=1.0))
    assert tracker.close(timeout=120) == 0
    assert len(warnings) == 1 and "ghost" in warnings[0]


def test_no_password_reaches_disk_or_warnings(tmp_path, warnings):
    tracker = SweepTracker(
        "http://me:hunter2@127.0.0.1:9",  # the discard port: nobody listens
        artifacts=tmp_path,
        spool=tmp_path / "spool",
        sweep="s",
        method="rd",
        dataset="demo",
        protocol="test",
        objective="aupro",
        warn=warnings.append,
    )
    tracker.start(params={"zoo": "http://you:hunter2@zoo/x"}, tags={"source": "s3://key:hunter2@h/b"})
    assert tracker.close(timeout=20) == 1
    assert b"hunter2" not in (tmp_path / "spool").read_bytes()
    assert warnings and not any("hunter2" in warning for warning in warnings)


def test_what_comes_after_close_is_told_and_written_nowhere(make_tracker, warnings, tmp_path):
    tracker = make_tracker("closed")
    assert tracker.close(timeout=120) == 0
    assert tracker.close(timeout=120) == 0
    tracker.start(params={})
    assert len(warnings) == 1 and "closed.jsonl" in warnings[0]
    assert not (tmp_path / "closed.jsonl").exists()


def test_two_drivers_of_one_sweep_are_refused(make_tracker):
    tracker = make_tracker("twice")
    with pytest.raises(TrackingError, match="in use"):
        make_tracker("twice")
    tracker.close(timeout=30)


def test_the_leaderboard_reads_alarms_and_misses_with_their_intervals(make_tracker, uri, capsys):
    tracker = make_tracker("decided", method="rd", dataset="decided")
    told = {"test_false_alarms": 2, "test_normal_images": 9, "test_false_alarm_rate_low": 0.028}
    metrics = {"image_auroc": 0.9, **{name.removeprefix("test_"): value for name, value in told.items()}}
    finish(tracker, "cable", 0.9, {**metrics, "false_alarm_rate_high": 0.6})
    finish(tracker, "weave", 0.9, metrics)
    assert tracker.close(timeout=120) == 0
    (table,) = read_leaderboard(uri, dataset="decided").tables
    whole, lacking = table.rows
    assert whole.false_alarms == Share(count=2, of=9, low=0.028, high=0.6)
    assert whole.misses is lacking.false_alarms is None

    leaderboard.main(["--dataset", "decided", "--mlflow", uri], standalone_mode=False)
    said = capsys.readouterr().out
    assert "false alarms" in said and "2 of 9 (2.8 to 60.0 %)" in said


@pytest.mark.parametrize("odd", [float("nan"), float("inf"), None])
def test_a_share_that_is_no_number_is_none(odd):
    """A server that others log to holds whatever they logged."""
    names = ("test_misses", "test_defective_images", "test_miss_rate_low", "test_miss_rate_high")
    logged = dict(zip(names, (2.0, 9.0, 0.028, 0.6), strict=True))
    asked = ("misses", "defective_images", "miss_rate")
    assert leaderboard_share(logged, *asked) == Share(count=2, of=9, low=0.028, high=0.6)
    for name in names:
        other = {key: value for key, value in logged.items() if key != name} | ({} if odd is None else {name: odd})
        assert leaderboard_share(other, *asked) is None


def test_leaderboard_takes_the_best_by_selection_and_never_mixes_protocols(make_tracker, uri):
    def sweep(name, method, protocol, results, **tags):
        tracker = make_tracker(name, method=method, protocol=protocol, dataset="board")
        for category, val, test in results:
            finish(tracker, category, val, {"image_auroc": test, "aupro": test / 2}, tags=tags)
        assert tracker.close(timeout=120) == 0

    sweep("b1", "rd", "holdout", [("cable", 0.8, 0.99), ("weave", 0.9, 0.7)], split_digest="one")
    sweep("b2", "rd", "holdout", [("cable", 0.9, 0.8)], split_digest="two")  # better on validation, worse on test
    sweep("b3", "aand", "holdout", [("cable", 0.7, 0.9)], split_digest="one")
    sweep("b4", "aand", "test", [("cable", 0.99, 0.99)])

    holdout, test = read_leaderboard(uri, dataset="board").tables
    assert (holdout.protocol, test.protocol) == ("holdout", "test")
    assert [(row.category, row.method, row.test["image_auroc"]) for row in holdout.rows] == [
        ("cable", "aand", 0.9),
        ("cable", "rd", 0.8),
        ("weave", "rd", 0.7),
    ]
    assert (holdout.shared_categories, holdout.means) == ((), ()), "cable was measured on unlike images"
    assert holdout.mixed_splits == ("cable",)
    assert holdout.not_compared == {"cable": ("split",)}
    assert [row.method for row in test.rows] == ["aand"]

    sweep("b5", "rd", "holdout", [("cable", 0.7, 0.8)], split_digest="one")
    holdout, _ = read_leaderboard(uri, dataset="board").tables
    assert holdout.shared_categories == ("cable",)
    assert [(mean.method, mean.test["image_auroc"], mean.categories) for mean in holdout.means] == [
        ("aand", 0.9, 1),
        ("rd", 0.99, 1),
    ][::-1], "of equal terms the better by validation: b1's"
    assert holdout.means[0].cost_seconds == 10.0
    assert (holdout.mixed_splits, holdout.not_compared) == ((), {})


def test_the_leaderboard_ranks_by_what_champions_are_compared_by(make_tracker, uri, capsys):
    def sweep(name, teacher, test, size="128", **changed):
        tracker = make_tracker(name, teacher=teacher, dataset="terms")
        tags = {"split_digest": "s", "data": "d", "image_size": size, "resize": "bilinear-antialiased-square"}
        finish(tracker, "weave", 0.9, {"image_auroc": test}, tags=tags | changed, release=2)
        assert tracker.close(timeout=120) == 0
        time.sleep(0.01)

    sweep("t1", "lite0", 0.8)
    sweep("t2", "resnet18", 0.9)
    sweep("t3", "lite0", 0.99, size="256")
    sweep("t4", "wide", 0.95, data="other", split_digest="other")
    small, large = read_leaderboard(uri, dataset="terms").tables
    assert (small.image_size, large.image_size) == ("128", "256")
    assert [(row.teacher, row.test["image_auroc"], row.sweep) for row in small.rows] == [
        ("wide", 0.95, "t4"),
        ("resnet18", 0.9, "t2"),
        ("lite0", 0.8, "t1"),
    ]
    assert small.not_compared == {"weave": ("split", "data")} and small.means == ()
    assert [(mean.method, mean.teacher, mean.test["image_auroc"]) for mean in large.means] == [("rd", "lite0", 0.99)]

    database = client(uri)
    run = runs_of(uri, "kdzoo/rd/terms")["t2/weave"]
    database.set_tag(run.info.run_id, "kdzoo.champion", "true")
    leaderboard.main(["--dataset", "terms", "--mlflow", uri], standalone_mode=False)
    said = capsys.readouterr().out
    assert "terms, protocol holdout, chosen by image_auroc, 128 px" in said and "256 px" in said
    assert said.count("champion") == 1 and "2, champion" in said and "t2" in said and "resnet18" in said
    assert "weave *: not compared with the rows above it, another split and other data" in said


def test_a_later_equal_result_replaces_the_earlier_one(make_tracker, uri):
    for name in ("e1", "e2"):
        tracker = make_tracker(name, dataset="equal")
        finish(tracker, "weave", 0.9, {"image_auroc": 0.5})
        assert tracker.close(timeout=120) == 0
        time.sleep(0.01)
    (table,) = read_leaderboard(uri, dataset="equal").tables
    assert [row.sweep for row in table.rows] == ["e2"]


def test_results_of_an_older_split_do_not_compete(make_tracker, uri):
    for name, value, digest in (("s1", 0.9, "old"), ("s2", 0.7, "new"), ("s3", 0.6, "new")):
        tracker = make_tracker(name, dataset="resplit")
        finish(tracker, "weave", value, {"image_auroc": 0.5}, tags={"split_digest": digest})
        assert tracker.close(timeout=120) == 0
        time.sleep(0.01)
    (table,) = read_leaderboard(uri, dataset="resplit").tables
    assert [(row.sweep, row.split_digest) for row in table.rows] == [("s2", "new")]


def test_unfinished_and_failed_categories_are_not_on_the_board(make_tracker, uri):
    tracker = make_tracker("bad", dataset="failing")
    tracker.start_category("weave")
    tracker.end_category("cable", status="failed", metrics={}, cost=Cost(seconds=1.0))
    assert tracker.close(timeout=120) == 0
    assert read_leaderboard(uri, dataset="failing").tables == ()


def test_reading_makes_no_database_and_no_runs_are_an_empty_board(tmp_path):
    board = read_leaderboard(f"sqlite:///{tmp_path / 'none' / 'mlflow.db'}")
    assert board.as_json() == {"metric": "image_auroc", "tables": ()}
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_cannot_be_reached_is_told_in_seconds_without_its_password():
    start = time.monotonic()
    with pytest.raises(TrackingError, match=r"127\.0\.0\.1:9") as caught:
        read_leaderboard("http://me:hunter2@127.0.0.1:9")
    assert time.monotonic() - start < 10
    assert "hunter2" not in str(caught.value) and caught.value.hint


def test_an_unknown_metric_is_named(uri):
    with pytest.raises(UnknownNameError, match="did you mean 'image_auroc'"):
        read_leaderboard(uri, metric="image_auroq")


def test_switches_of_the_person_stay(monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "77")
    prepare_mlflow()
    assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "77"
    assert os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] == "2"


def test_importing_the_package_does_not_import_mlflow():
    check = "import sys, kdzoo.tracking; sys.exit('mlflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0
