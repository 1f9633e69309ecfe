"""A home that was moved or copied: MLflow's file in it speaks of the home that it lies in, and of no other."""

import shutil
import sqlite3
from contextlib import closing

import pytest
from helpers.command import run
from helpers.trials import finished_files

from kdzoo.search.run.publisher import reference
from kdzoo.settings import Settings
from kdzoo.tracking import Cost, SweepTracker
from kdzoo.tracking.database import prepare_database
from kdzoo.tracking.environment import prepare_mlflow
from kdzoo.tracking.places import adopt_home
from kdzoo.tracking.reference import ReleaseRef
from kdzoo.zoo import Published, entry_name, open_registry

ENTRY, MODEL = entry_name("rd", "toy/bottle"), "kdzoo.rd.toy.bottle"


def settings_of(home):
    return Settings.from_environment({"KDZOO_HOME": str(home)})


@pytest.fixture(autouse=True)
def fresh():
    """MLflow remembers for the life of a process where a run's artifacts are; a home moves between processes."""
    prepare_mlflow()
    from mlflow.tracking._tracking_service import utils

    utils._artifact_repos_cache.clear()


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    return finished_files(folder)


@pytest.fixture(scope="module")
def before(trained, tmp_path_factory):
    """A home with a release, its run and its version; its name has what addresses escape."""
    home = tmp_path_factory.mktemp("homes") / "the old one"
    track(settings_of(home), trained, "one")
    return home


def track(settings, trained, sweep):
    """What a sweep leaves in a home: a release in the zoo, and in MLflow its run with a picture and its version."""
    document, files = trained
    registry = open_registry(settings)
    named = {"sweep": sweep, "mlflow": {"experiment": "kdzoo/rd/toy", "run": f"{sweep}/bottle"}}
    release = registry.publish(ENTRY, {**document, **named}, files, alias="champion").release
    result = Published(release=release, promoted=True, note="").located(registry, ENTRY)
    tracker = SweepTracker(
        settings.mlflow_uri, artifacts=settings.mlflow_artifacts, spool=settings.home / f"{sweep}.jsonl", sweep=sweep,
        method="rd", dataset="toy", protocol="holdout", objective="image_auroc", warn=pytest.fail,
    )  # fmt: skip
    tracker.end_category(
        "bottle", status="finished", metrics={"val_image_auroc": 0.9}, cost=Cost(seconds=1.0), release=release,
        picture=b"a picture", published=reference(result), champion=True,
    )  # fmt: skip
    assert tracker.close(60.0) == 0


def said(home):
    """All text in the file and in the references beside it."""
    found = []
    with closing(sqlite3.connect(home / "mlflow/mlflow.db")) as database:
        for (table,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            found += [f"{table}: {row}" for row in database.execute(f'SELECT * FROM "{table}"')]
    found += [path.read_text() for path in sorted((home / "mlflow").rglob("reference.json"))]
    return found


@pytest.fixture(params=["moved", "copied"])
def there(request, before, tmp_path):
    """The same home at another place, and the place that it must not speak of any more."""
    old, new = tmp_path / "A home", tmp_path / "B"
    shutil.copytree(before, old, symlinks=True)
    prepare_database(old / "mlflow/mlflow.db")
    old.rename(new) if request.param == "moved" else shutil.copytree(old, new)
    return old, new


def test_a_model_loads_from_where_the_home_is_now(there, monkeypatch, capsys):
    old, new = there
    monkeypatch.setenv("KDZOO_HOME", str(new))
    synced = [run(capsys, "mlflow", "sync") for _ in range(2)]
    assert [each.out.splitlines()[-1] for each in synced] == [
        "0 versions made in the model registry, the champion of 0 entries moved"
    ] * 2
    for text in said(new):
        assert (f"{old}/" not in text and "A%20home" not in text) or text.startswith("params:"), text
    if old.exists():
        shutil.rmtree(old)  # nothing of the copy may need it
    prepare_mlflow()
    import mlflow

    uri = settings_of(new).mlflow_uri
    mlflow.set_tracking_uri(uri)
    try:
        model = mlflow.pyfunc.load_model(f"models:/{MODEL}@champion")
    finally:
        mlflow.set_tracking_uri(None)
    assert model.get_raw_model().document["sweep"] == "one"


def test_a_later_sweep_writes_into_the_home_that_it_has(there, trained):
    old, new = there
    kept = sorted(path.relative_to(old) for path in old.rglob("*")) if old.exists() else []
    track(settings_of(new), trained, "two")
    assert len(list((new / "mlflow/artifacts").rglob("cases.png"))) == 2
    assert sorted(path.relative_to(old) for path in old.rglob("*")) == kept if kept else not old.exists()


def test_what_is_true_already_is_left_alone(before, tmp_path):
    home = tmp_path / "home"
    shutil.copytree(before, home)
    path = home / "mlflow/mlflow.db"
    assert adopt_home(path) and not adopt_home(path)
    content = path.read_bytes()
    prepare_database(path)
    assert path.read_bytes() == content
    # Another file than a home's own, or one that was taken out of a home that is still there.
    for place in (tmp_path / "elsewhere.db", tmp_path / "alone/mlflow/mlflow.db"):
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, place)
        assert not adopt_home(place)


def test_a_reference_that_cannot_be_read_is_left_for_who_loads_it(before, tmp_path):
    home = tmp_path / "home"
    shutil.copytree(before, home)
    (reference_file,) = (home / "mlflow").rglob("reference.json")
    reference_file.write_bytes(b"no reference")
    assert adopt_home(home / "mlflow/mlflow.db")
    assert reference_file.read_bytes() == b"no reference"


def test_a_zoo_that_was_moved_alone_is_named_where_it_is(before, tmp_path, monkeypatch, capsys):
    home, zoo = tmp_path / "home", tmp_path / "share" / "zoo"
    shutil.copytree(before, home)
    prepare_database(home / "mlflow/mlflow.db")
    zoo.parent.mkdir()
    (home / "zoo").rename(zoo)
    monkeypatch.setenv("KDZOO_HOME", str(home))
    monkeypatch.setenv("KDZOO_ZOO", str(zoo))
    first, second = (run(capsys, "mlflow", "sync").out for _ in range(2))
    assert f"1 versions now name the zoo where it is: {zoo}" in first and "0 versions made" in first
    assert "now name" not in second and "0 versions made" in second
    (reference_file,) = (home / "mlflow").rglob("reference.json")
    assert ReleaseRef.parse(reference_file.read_bytes()).zoo == str(zoo)
    assert not [text for text in said(home) if f"{home / 'zoo'}" in text and not text.startswith(("params:", "tags:"))]
