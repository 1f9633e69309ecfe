"""What pip brings and what it is not asked for. No network: a folder stands for the index."""

import subprocess

import pytest
from helpers.wheels import only_index, write_wheel

from kdzoo.errors import PackageError
from kdzoo.wheels import bring_wheel


@pytest.fixture
def index(tmp_path, monkeypatch):
    return only_index(tmp_path / "index", monkeypatch)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "here").mkdir()
    return tmp_path / "here"


def test_one_wheel_comes_as_it_is(index, folder):
    made = write_wheel(index, {"cells/a.txt": "one"}, name="cells", version="1.0.post1")
    write_wheel(index, {"cells/a.txt": "two"}, name="cells", version="2.0")
    path = bring_wheel("cells==1.0.post1", folder)
    assert path == folder / made.name and path.read_bytes() == made.read_bytes()
    assert [path] == list(folder.iterdir())


def test_pips_own_words_say_what_is_wrong(index, folder):
    with pytest.raises(PackageError, match=r"pip says: No matching distribution found for cells==1\.0"):
        bring_wheel("cells==1.0", folder)
    assert list(folder.iterdir()) == []


def test_what_a_package_needs_stays_away(index, folder):
    path = write_wheel(index, {"cells/a.txt": "one"}, name="cells", version="1.0", needs=("more",))
    write_wheel(index, {"more/a.txt": "one"}, name="more", version="1.0")
    bring_wheel("cells==1.0", folder)
    assert [each.name for each in folder.iterdir()] == [path.name]


@pytest.mark.parametrize(
    ("raised", "said"),
    [
        (subprocess.TimeoutExpired("pip", 1), "pip did not end within 900 s"),
        (OSError(2, "No such file"), "pip cannot be run: No such file"),
    ],
)
def test_a_pip_that_does_not_run(folder, monkeypatch, raised, said):
    def run(*_, **__):
        raise raised

    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(PackageError, match=said):
        bring_wheel("cells==1.0", folder)
