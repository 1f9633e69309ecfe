"""A local Ray's sockets fit into their names, however long TMPDIR is."""

from pathlib import Path

import pytest

from kdzoo.errors import SweepError
from kdzoo.search.workers.ray_folder import ray_folder

LONG = "/scratch/" + "job" * 25


@pytest.fixture(autouse=True)
def unset(monkeypatch):
    for name in ("RAY_TMPDIR", "TMPDIR"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("variable", ["TMPDIR", "RAY_TMPDIR"])
def test_a_long_folder_is_replaced_by_a_short_one(monkeypatch, variable):
    monkeypatch.setenv(variable, LONG)
    with ray_folder() as folder:
        assert Path(folder).is_dir() and Path(folder).stat().st_mode & 0o077 == 0
        socket = f"{folder}/session_2026-11-29_15-45-20_123456_4194304/sockets/plasma_store"
        assert len(socket) <= 103
    assert not Path(folder).exists()


@pytest.mark.parametrize("folder", ["/tmp", "/scratch/jobs/1234567"])
def test_a_short_one_stays_as_the_person_has_it(monkeypatch, folder):
    monkeypatch.setenv("TMPDIR", folder)
    with ray_folder() as chosen:
        assert chosen is None


def test_the_length_is_counted_in_bytes(monkeypatch):
    monkeypatch.setenv("TMPDIR", "/" + "ü" * 30)
    with ray_folder() as folder:
        assert folder is not None


@pytest.mark.parametrize("candidates", [(), ("/nowhere/at/all",), (LONG,)])
def test_without_a_place_the_error_names_the_variable(monkeypatch, candidates):
    monkeypatch.setenv("TMPDIR", LONG)
    with pytest.raises(SweepError, match=f"{LONG}/ray.*too long") as failed, ray_folder(candidates):
        pass
    assert "RAY_TMPDIR" in failed.value.hint and "TMPDIR" in failed.value.hint
