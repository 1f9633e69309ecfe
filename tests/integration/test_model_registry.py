"""Releases in MLflow's model registry: a real server on a real database, a real zoo, a trained detector."""

import dataclasses
import json
from pathlib import Path

import pytest
from helpers.command import run
from helpers.trials import finished_files

from kdzoo.champions import promote
from kdzoo.errors import TrackingError
from kdzoo.mirror import mirror
from kdzoo.search.run.publisher import reference
from kdzoo.settings import Settings
from kdzoo.tracking import Cost, SweepTracker, replay
from kdzoo.tracking.environment import prepare_mlflow
from kdzoo.zoo import WEIGHTS, Published, entry_name, load, open_registry

ENTRY, MODEL = entry_name("rd", "toy/bottle"), "kdzoo.rd.toy.bottle"


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A small detector's document, its files by role, and an image it can judge."""
    folder = tmp_path_factory.mktemp("trained")
    document, files = finished_files(folder)
    return document, files, next((folder / "toy").rglob("test/good/*.png"))


@pytest.fixture
def settings(monkeypatch, mlflow_server):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", mlflow_server.uri)
    monkeypatch.setenv("MLFLOW_REGISTRY_URI", mlflow_server.uri)
    return Settings.from_environment()


@pytest.fixture
def client(mlflow_server):
    prepare_mlflow()
    from mlflow import MlflowClient

    client = MlflowClient(mlflow_server.uri)
    yield client
    for model in client.search_registered_models():
        client.delete_registered_model(model.name)


def published(registry, trained, sweep, *, promoted):
    document, files, _ = trained
    run = {"experiment": "kdzoo/rd/toy", "run": f"{sweep}/bottle"}
    alias = "champion" if promoted else None
    release = registry.publish(ENTRY, {**document, "sweep": sweep, "mlflow": run}, files, alias=alias).release
    return Published(release=release, promoted=promoted, note="").located(registry, ENTRY)


def track(settings, spool, sweep, result, warnings, *, timeout=30.0):
    """Logs a sweep that ended with a release; gives how many records were left."""
    tracker = SweepTracker(
        settings.mlflow_uri,
        artifacts=settings.mlflow_artifacts,
        spool=spool,
        sweep=sweep,
        method="rd",
        dataset="toy",
        protocol="holdout",
        objective="image_auroc",
        warn=warnings.append,
    )
    tracker.end_category(
        "bottle",
        status="finished",
        metrics={"val_image_auroc": 0.9, "test_image_auroc": 0.8},
        cost=Cost(seconds=1.0),
        release=result.release,
        published=reference(result),
        champion=result.promoted,
    )
    return tracker.close(timeout)


def versions_of(client):
    found = client.search_model_versions(f"name = '{MODEL}'")
    return {int(version.tags["kdzoo.release"]): version for version in found}, len(found)


def champion_runs(client, *sweeps):
    """Which of these sweeps' runs say that they are champion; other tests left runs of their own."""
    experiment = client.get_experiment_by_name("kdzoo/rd/toy").experiment_id
    found = client.search_runs([experiment], "tags.`kdzoo.champion` = 'true'")
    return [sweep for sweep in (run.data.tags["kdzoo.sweep"] for run in found) if sweep in sweeps]


def test_a_release_is_a_version_that_loads_through_the_zoo(settings, client, trained, tmp_path):
    registry, warnings = open_registry(settings), []
    result = published(registry, trained, "one", promoted=True)
    assert track(settings, tmp_path / "one.jsonl", "one", result, warnings) == 0, warnings

    version = client.get_model_version_by_alias(MODEL, "champion")
    assert version.tags["kdzoo.entry"] == str(ENTRY) and version.tags["kdzoo.zoo"] == registry.uri
    assert version.tags["kdzoo.release"] == "1" and version.tags["kdzoo.protocol"] == "holdout"
    kept = client.list_artifacts(version.run_id, "release")
    assert sum(file.file_size for file in kept) < 2000, "a reference, and no weights"

    import mlflow

    mlflow.set_tracking_uri(settings.mlflow_uri)
    model = mlflow.pyfunc.load_model(f"models:/{MODEL}@champion")
    image = str(trained[2])
    (said,) = model.predict([image])
    expected = load("rd", "toy/bottle", release=1).predict(image)
    assert said == {"score": expected.score, "threshold": expected.threshold, "anomalous": expected.anomalous}

    blob = registry.resolve(ENTRY, 1).blobs[WEIGHTS].sha256
    file = next(Path(registry.uri).rglob(blob))
    file.chmod(0o600)
    file.write_bytes(file.read_bytes()[:-1] + b"\0")
    for cached in settings.cache.rglob(blob):
        cached.unlink()
    with pytest.raises(Exception, match=r"sha256|corrupt|damaged|not those"):
        mlflow.pyfunc.load_model(f"models:/{MODEL}@champion")


def test_another_manifest_than_the_versions_is_refused(settings, trained):
    from kdzoo.pyfunc import load_reference

    ref = reference(published(open_registry(settings), trained, "other", promoted=True))
    with pytest.raises(TrackingError, match="not the one"):
        load_reference(dataclasses.replace(ref, manifest_sha256="0" * 64))


def test_a_dead_server_loses_no_version_and_a_second_sending_makes_none(
    settings, mlflow_server, client, trained, tmp_path
):
    registry, warnings = open_registry(settings), []
    result = published(registry, trained, "dead", promoted=True)
    spool = tmp_path / "dead.jsonl"
    mlflow_server.stop()
    try:
        assert track(settings, spool, "dead", result, warnings, timeout=1.0) == 1
    finally:
        mlflow_server.start()
    kept = spool.read_bytes()
    assert replay(spool, settings.mlflow_uri, artifacts=tmp_path) == 1
    spool.write_bytes(kept)
    assert replay(spool, settings.mlflow_uri, artifacts=tmp_path) == 1
    found, count = versions_of(client)
    assert (set(found), count) == ({1}, 1)
    assert client.get_model_version_by_alias(MODEL, "champion").version == found[1].version


def test_the_alias_follows_moves_by_hand_and_an_old_record_does_not_take_it_back(
    settings, client, trained, tmp_path, capsys
):
    registry, warnings = open_registry(settings), []
    first = published(registry, trained, "first", promoted=True)
    second = published(registry, trained, "second", promoted=False)
    spool = tmp_path / "first.jsonl"
    nobody = dataclasses.replace(settings, mlflow_uri="http://127.0.0.1:9")
    assert track(nobody, spool, "first", first, warnings) == 1
    late = spool.read_bytes()
    assert track(settings, tmp_path / "second.jsonl", "second", second, warnings) == 0
    assert replay(spool, settings.mlflow_uri, artifacts=tmp_path) == 1
    assert champion_runs(client, "first", "second") == ["first"]

    assert run(capsys, "zoo", "promote", ENTRY, 2, "--force").status == 0
    assert client.get_model_version_by_alias(MODEL, "champion").tags["kdzoo.release"] == "2"
    assert champion_runs(client, "first", "second") == ["second"]
    spool.write_bytes(late)
    replay(spool, settings.mlflow_uri, artifacts=tmp_path)
    assert client.get_model_version_by_alias(MODEL, "champion").tags["kdzoo.release"] == "2"

    assert run(capsys, "zoo", "rollback", ENTRY).status == 0
    assert client.get_model_version_by_alias(MODEL, "champion").tags["kdzoo.release"] == "1"
    assert run(capsys, "zoo", "alias", ENTRY, "champion", "--delete", "--force").status == 0
    assert client.get_registered_model(MODEL).aliases == {}


def test_sync_brings_an_emptied_registry_up_to_the_zoo(settings, client, trained, tmp_path, capsys):
    registry, warnings = open_registry(settings), []
    result = published(registry, trained, "kept", promoted=True)
    published(registry, trained, "never-tracked", promoted=False)
    assert track(settings, tmp_path / "kept.jsonl", "kept", result, warnings) == 0
    client.delete_registered_model(MODEL)

    done = run(capsys, "mlflow", "sync")
    assert done.status == 0 and "1 versions made" in done.out and "rd/toy/bottle:2" in done.err
    assert client.get_model_version_by_alias(MODEL, "champion").tags["kdzoo.release"] == "1"
    again = mirror(settings, registry)
    assert (again.versions, again.moved) == (0, [])


def test_a_promotion_stands_where_mlflow_does_not_answer(settings, mlflow_server, trained, capsys):
    registry = open_registry(settings)
    for sweep in ("a", "b"):
        published(registry, trained, sweep, promoted=sweep == "a")
    mlflow_server.stop()
    try:
        done = run(capsys, "zoo", "promote", ENTRY, 2, "--force", "--json")
    finally:
        mlflow_server.start()
    assert done.status == 0 and json.loads(done.out)["release"] == 2
    assert "kdzoo mlflow sync" in done.err
    assert promote(registry, ENTRY, 2).release == 2


def copied(settings, capsys, folder):
    """A copy of the zoo with an id of its own; gives its registry and the name of its model."""
    done = run(capsys, "zoo", "copy", settings.zoo, folder, "--all")
    assert done.status == 0, done.err
    copy = open_registry(settings, str(folder))
    return copy, f"{MODEL}.{copy.identity().id[:12]}"


def test_a_promotion_in_a_copy_of_the_zoo_moves_nothing_of_the_first(settings, client, trained, tmp_path, capsys):
    registry, warnings = open_registry(settings), []
    for sweep in ("old", "new"):
        result = published(registry, trained, sweep, promoted=sweep == "old")
        assert track(settings, tmp_path / f"{sweep}.jsonl", sweep, result, warnings) == 0, warnings
    copy, model = copied(settings, capsys, tmp_path / "copy")
    assert run(capsys, "zoo", "promote", ENTRY, 2, "--force", "--zoo", tmp_path / "copy").status == 0

    assert client.get_model_version_by_alias(MODEL, "champion").tags["kdzoo.release"] == "1"
    assert champion_runs(client, "old", "new") == ["old"]
    theirs = client.get_model_version_by_alias(model, "champion")
    assert theirs.tags["kdzoo.release"] == "2" and theirs.tags["kdzoo.zoo_id"] == copy.identity().id
    assert f"models:/{model}@champion" in client.get_registered_model(model).description

    import mlflow

    mlflow.set_tracking_uri(settings.mlflow_uri)
    zoos = {}
    for name, alias in ((MODEL, registry), (model, copy)):
        place = mlflow.artifacts.download_artifacts(f"models:/{name}@champion", dst_path=str(tmp_path / name))
        zoos[name] = json.loads(Path(place, "reference.json").read_text())["zoo"]
        assert zoos[name] == alias.uri
    for zoo, apart in ((settings.zoo, False), (str(tmp_path / "copy"), True)):
        again = mirror(settings, open_registry(settings, zoo))
        assert (again.versions, again.moved, bool(again.apart)) == (0, [], apart)


def test_sync_says_once_what_it_did_of_a_copy(settings, client, trained, tmp_path, capsys):
    registry, warnings = open_registry(settings), []
    result = published(registry, trained, "said", promoted=True)
    assert track(settings, tmp_path / "said.jsonl", "said", result, warnings) == 0
    _, model = copied(settings, capsys, tmp_path / "copy")
    first = run(capsys, "mlflow", "sync", "--zoo", tmp_path / "copy")
    assert "1 versions made in the model registry, the champion of 1 entries moved: rd/toy/bottle" in first.out
    assert model in " ".join(first.err.split())
    second = run(capsys, "mlflow", "sync", "--zoo", tmp_path / "copy")
    assert "0 versions made in the model registry, the champion of 0 entries moved\n" in second.out
    assert model not in second.err


def test_a_model_of_an_earlier_kdzoo_stays_the_first_zoos(settings, client, trained, tmp_path, capsys):
    """Two zoos were mixed in it, and it says of no zoo that it is its own."""
    registry, warnings = open_registry(settings), []
    for sweep in ("before", "after"):
        result = published(registry, trained, sweep, promoted=sweep == "before")
        assert track(settings, tmp_path / f"{sweep}.jsonl", sweep, result, warnings) == 0
    client.delete_registered_model_tag(MODEL, "kdzoo.zoo_id")
    client.set_registered_model_alias(MODEL, "champion", versions_of(client)[0][2].version)
    _, model = copied(settings, capsys, tmp_path / "copy")

    assert run(capsys, "mlflow", "sync", "--zoo", tmp_path / "copy").status == 0
    assert client.get_model_version_by_alias(MODEL, "champion").tags["kdzoo.release"] == "2", "not the copy's to move"
    assert client.get_model_version_by_alias(model, "champion").tags["kdzoo.release"] == "1"
    assert run(capsys, "mlflow", "sync").status == 0
    assert client.get_model_version_by_alias(MODEL, "champion").tags["kdzoo.release"] == "1"
    assert {one.name for one in client.search_registered_models()} == {MODEL, model}


def test_a_sweep_into_a_second_zoo_names_its_own_model(settings, client, trained, tmp_path):
    first, second = open_registry(settings), open_registry(settings, str(tmp_path / "second"))
    warnings = []
    assert track(settings, tmp_path / "a.jsonl", "a", published(first, trained, "a", promoted=True), warnings) == 0
    assert track(settings, tmp_path / "b.jsonl", "b", published(second, trained, "b", promoted=True), warnings) == 0
    model = f"{MODEL}.{second.identity().id[:12]}"
    theirs = client.get_model_version_by_alias(model, "champion")
    note = client.get_run(theirs.run_id).data.tags["mlflow.note.content"]
    assert f"In the model registry: `{model}`." in note
    assert sorted(champion_runs(client, "a", "b")) == ["a", "b"], "each is its own zoo's champion"
