"""Addresses from paths: whatever a folder is called, a database and artifacts lie in it and nowhere else."""

import ast
from pathlib import Path

import pytest

import kdzoo
import zoo_registry
from kdzoo.addresses import file_address, file_path, sqlite_address, sqlite_path
from kdzoo.search.study.study_file import close_study_file, open_study_file
from kdzoo.settings import Settings
from kdzoo.tracking.environment import prepare_mlflow

NAMES = [
    "plain home",
    "is it?yes",
    "50%41off",
    "a#b",
    'it\'s "so"',
    "größe 測定",
    "a;b&c=d@e:f",
    "{x} [y]",
    "100%",
    "%2e%2e",
    "back\\slash",
]


@pytest.mark.parametrize("name", NAMES)
def test_a_path_comes_back_from_its_address(tmp_path, name):
    path = tmp_path / name / "x.db"
    assert sqlite_path(sqlite_address(path)) == path
    assert file_path(file_address(path)) == path


def test_an_address_without_special_characters_is_read_as_it_is():
    assert sqlite_address(Path("/home/ann b/mlflow.db")) == "sqlite:////home/ann b/mlflow.db"


@pytest.mark.parametrize(
    ("address", "path"),
    [
        ("sqlite:////a/b.db", "/a/b.db"),
        ("sqlite:///b.db", "b.db"),
        ("sqlite+pysqlite:////a/b.db", "/a/b.db"),
        ("sqlite:////a/b%3F.db?timeout=3", "/a/b?.db"),
        ("sqlite://", None),
        ("sqlite:///", None),
        ("sqlite:///:memory:", None),
        ("sqlite:///file:/a/b.db?mode=ro&uri=true", None),
        ("postgresql://host/b", None),
        ("http://host/sqlite:///b", None),
    ],
)
def test_which_file_an_address_names(address, path):
    assert sqlite_path(address) == (None if path is None else Path(path))


@pytest.mark.parametrize("address", ["file://other/a", "s3://bucket/a", "/a", "file:", "runs:/1/release"])
def test_what_is_no_path_of_this_machine(address):
    assert file_path(address) is None


@pytest.mark.parametrize("name", NAMES)
def test_studies_lie_where_their_path_says(tmp_path, name):
    path = tmp_path / name / "studies.db"
    close_study_file(open_study_file(path))
    assert path.stat().st_size > 0
    assert [one.name for one in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", ["is it?yes #1", "50%41off {y}"])
def test_mlflow_and_its_artifacts_lie_in_the_home(tmp_path, monkeypatch, name):
    beside = tmp_path / "beside"
    beside.mkdir()
    monkeypatch.chdir(beside)
    settings = Settings.from_environment({"KDZOO_HOME": str(tmp_path / name)})
    prepare_mlflow()
    from kdzoo.tracking.store import MlflowStore, open_client

    experiment = MlflowStore(settings.mlflow_uri, settings.mlflow_artifacts)._experiment("kdzoo/rd/parts")
    client = open_client(settings.mlflow_uri)
    run = client.create_run(experiment).info.run_id
    client.log_text(run, "said", "note.txt")
    assert (settings.home / "mlflow" / "mlflow.db").stat().st_size > 0
    assert [one.read_text() for one in settings.mlflow_artifacts.rglob("note.txt")] == ["said"]
    assert sorted(one.name for one in tmp_path.iterdir()) == sorted(["beside", name])
    assert list(beside.iterdir()) == []


def addresses_built(text):
    """Lines that put an address together: ``sqlite:`` or ``file:`` in a text with something after it, or `as_uri`."""
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Attribute) and node.attr == "as_uri":
            found.append(node.lineno)
        if isinstance(node, ast.JoinedStr) and any(
            isinstance(part, ast.Constant) and str(part.value).rstrip("/").endswith(("sqlite:", "file:"))
            for part in node.values[:-1]
        ):
            found.append(node.lineno)
    return found


def test_one_place_builds_addresses():
    wrong = []
    for package in (Path(kdzoo.__file__).parent, Path(zoo_registry.__file__).parent):
        for path in sorted(package.rglob("*.py")):
            name = path.relative_to(package.parent).as_posix()
            if name != "kdzoo/addresses.py":
                wrong += [f"{name}:{line}" for line in addresses_built(path.read_text(encoding="utf-8"))]
    assert wrong == []


@pytest.mark.parametrize("text", ["f'sqlite:///{path}'", "path.as_uri()", "f'see file://{path} there'"])
def test_the_rule_sees(text):
    assert addresses_built(text)
