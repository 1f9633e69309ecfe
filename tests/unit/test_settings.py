"""Settings: every variable, its default, and odd values."""

from pathlib import Path

import pytest

from kdzoo.errors import UsageError
from kdzoo.settings import Settings


def test_all_follows_from_home(tmp_path):
    settings = Settings.from_environment({"KDZOO_HOME": str(tmp_path)})
    assert settings == Settings(
        home=tmp_path,
        zoo=str(tmp_path / "zoo"),
        mlflow_uri=f"sqlite:///{tmp_path}/mlflow/mlflow.db",
        data=tmp_path / "data",
        cache=tmp_path / "cache",
        ray_address=None,
        offline=False,
    )
    assert (settings.runs, settings.sweeps) == (tmp_path / "runs", tmp_path / "sweeps")
    assert settings.mlflow_artifacts == tmp_path / "mlflow" / "artifacts"


def test_without_any_variable_home_is_under_the_users(isolated):
    assert Settings.from_environment({}).home == isolated / ".kdzoo"


def test_each_variable_is_read(tmp_path):
    settings = Settings.from_environment(
        {
            "KDZOO_HOME": str(tmp_path),
            "KDZOO_ZOO": "s3://bucket/zoo",
            "MLFLOW_TRACKING_URI": "http://host:5000",
            "KDZOO_DATA": "/data",
            "KDZOO_CACHE": "/scratch",
            "RAY_ADDRESS": "ray://head:10001",
            "KDZOO_OFFLINE": "1",
        }
    )
    assert (settings.zoo, settings.mlflow_uri, settings.ray_address) == (
        "s3://bucket/zoo", "http://host:5000", "ray://head:10001",
    )  # fmt: skip
    assert (settings.data, settings.cache, settings.offline) == (Path("/data"), Path("/scratch"), True)


def test_the_processes_own_environment_is_the_default(monkeypatch, tmp_path):
    monkeypatch.setenv("KDZOO_DATA", str(tmp_path / "d"))
    assert Settings.from_environment().data == tmp_path / "d"


@pytest.mark.parametrize("blank", ["", "  "])
def test_a_blank_variable_is_as_good_as_none(blank, tmp_path):
    settings = Settings.from_environment({"KDZOO_HOME": str(tmp_path), "RAY_ADDRESS": blank, "KDZOO_ZOO": blank})
    assert settings.ray_address is None
    assert settings.zoo == str(tmp_path / "zoo")


@pytest.mark.parametrize(("text", "offline"), [("1", True), ("TRUE", True), ("on", True), ("0", False), ("no", False)])
def test_offline(text, offline):
    assert Settings.from_environment({"KDZOO_OFFLINE": text}).offline is offline


def test_a_tilde_is_the_users_home_and_relative_becomes_absolute(isolated, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    settings = Settings.from_environment({"KDZOO_HOME": "~/zoos", "KDZOO_CACHE": "scratch"})
    assert (settings.home, settings.cache) == (isolated / "zoos", tmp_path / "scratch")


def test_a_home_that_cannot_be_is_named():
    with pytest.raises(UsageError, match="KDZOO_DATA: there is no home folder for '~nobody-at-all/x'"):
        Settings.from_environment({"KDZOO_HOME": "/h", "KDZOO_DATA": "~nobody-at-all/x"})


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("50GB", 50 * 10**9),
        ("1.5 TB", 15 * 10**11),
        ("2GiB", 2 * 2**30),
        ("64 mb", 64 * 10**6),
        ("10k", 10_000),
        ("0", 0),
        ("123456", 123456),
        (" ", None),
    ],
)
def test_the_caches_limit(text, size):
    assert Settings.from_environment({"KDZOO_CACHE_LIMIT": text}).cache_limit == size


@pytest.mark.parametrize("text", ["lots", "-1", "5 XB", "1e9", "GB", "1,5GB", "50 GB GB", "nan", "9" * 400])
def test_what_is_no_size(text):
    with pytest.raises(UsageError, match="KDZOO_CACHE_LIMIT") as caught:
        Settings.from_environment({"KDZOO_CACHE_LIMIT": text})
    assert "50GB" in caught.value.hint
