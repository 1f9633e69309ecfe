"""An archive that is a wheel: brought by pip from a folder that stands for the index, or from a mirror."""

import hashlib
import json

import pytest
from helpers.archives import Recorder, contents, make_archive
from helpers.public_layouts import make_elpv
from helpers.wheels import only_index, write_wheel

from kdzoo.data.catalog import open_dataset
from kdzoo.data.download.archives import find_archive
from kdzoo.data.download.fetch import FetchPolicy
from kdzoo.data.download.install import install
from kdzoo.data.download.place import RECORD, Place, find_place
from kdzoo.errors import ArchiveError, DownloadError
from kdzoo.settings import Settings

INFO = "cells_data-1.0.post1.dist-info"
PAGE = "https://cells.example/about"


@pytest.fixture
def index(tmp_path, monkeypatch):
    return only_index(tmp_path / "index", monkeypatch)


@pytest.fixture
def wheel(index, tmp_path):
    """ELPV's own wheel, made small: images and table in the package, beside its code; the licence in its facts."""
    root = make_elpv(tmp_path / "made")
    files = {f"cells_data/data/{name}": data for name, data in contents(root).items()}
    files["cells_data/__init__.py"] = "raise SystemExit('imported')"
    files[f"{INFO}/licenses/LICENSE.md"] = "Share alike."
    return write_wheel(index, files, name="cells_data", version="1.0.post1")


def known(file, **changes):
    facts = {
        "packing": "whl",
        "name": "elpv",
        "requirement": "cells-data==1.0.post1",
        "wheel": file.name,
        "within": "cells_data/data",
        "holds": ("images", "labels.csv"),
        "licence_member": f"{INFO}/licenses/LICENSE.md",
        "about_bytes": 1000,
    }
    return make_archive(PAGE, file.read_bytes(), **{**facts, **changes})


def place_of(tmp_path, archive, url=PAGE):
    return Place(archive=archive, data=tmp_path / "data", url=url)


def test_it_comes_to_its_place_and_can_be_read(wheel, tmp_path):
    place, watcher = place_of(tmp_path, known(wheel)), Recorder()
    done = install(place, watcher)
    assert done.fresh and done.licence_files == (done.root / "LICENSE.md",)
    assert done.licence_files[0].read_text() == "Share alike."
    assert {path.name for path in done.root.iterdir()} == {"images", "labels.csv", "LICENSE.md", RECORD}
    assert [label for label, _ in watcher.stages] == ["Downloading", "Checking", "Unpacking"]
    assert {path.name for path in place.downloads.iterdir()} == {"elpv.lock"}
    record = json.loads((done.root / RECORD).read_text())
    assert (record["url"], record["publisher"]) == ("pip download cells-data==1.0.post1", PAGE)
    assert record["sha256"] == hashlib.sha256(wheel.read_bytes()).hexdigest()
    settings = Settings.from_environment({"KDZOO_HOME": str(tmp_path / "home"), "KDZOO_DATA": str(place.data)})
    assert open_dataset("elpv", settings).categories() == ("mono", "poly")


def test_another_wheel_under_that_name_is_set_aside(wheel, tmp_path):
    place = place_of(tmp_path, known(wheel, digest="0" * 64))
    with pytest.raises(DownloadError, match=r"^pip download cells-data==1.0.post1 is not the known archive of 'elpv'"):
        install(place, Recorder())
    assert not place.root.exists()
    assert {path.name for path in place.downloads.iterdir()} == {"elpv.lock", f"{wheel.name}.rejected"}


def test_pip_cannot_bring_it(wheel, index, tmp_path):
    archive = known(wheel)
    wheel.unlink()
    place = place_of(tmp_path, archive)
    with pytest.raises(DownloadError, match="pip says: No matching distribution") as caught:
        install(place, Recorder())
    assert f"get {wheel.name} by: pip download --no-deps cells-data==1.0.post1" in caught.value.hint
    assert str(place.file) in caught.value.hint
    assert {path.name for path in place.downloads.iterdir()} == {"elpv.lock"}


def test_a_wheel_that_lies_there_serves_without_a_network(wheel, index, tmp_path):
    archive = known(wheel)
    place = place_of(tmp_path, archive)
    place.downloads.mkdir(parents=True)
    wheel.rename(place.file)
    assert install(place, Recorder(), offline=True).fresh
    with pytest.raises(DownloadError, match="KDZOO_OFFLINE"):
        install(place_of(tmp_path / "other", archive), Recorder(), offline=True)


def test_a_mirror_that_has_the_wheel_is_asked_in_pips_place(wheel, web, tmp_path, monkeypatch):
    web.give(wheel.name, wheel.read_bytes())
    archive = known(wheel)
    wheel.unlink()  # pip would not find it
    place = place_of(tmp_path, archive, url=f"{web.url}/{wheel.name}")
    done = install(place, Recorder(), policy=FetchPolicy(attempts=1, first_attempts=1))
    assert done.fresh and json.loads((done.root / RECORD).read_text())["url"] == f"{web.url}/{wheel.name}"


def test_what_a_killed_run_left_is_removed(wheel, tmp_path):
    place = place_of(tmp_path, known(wheel))
    left = place.downloads / f"{place.part.name}-killed"
    left.mkdir(parents=True)
    (left / "half.whl").write_bytes(b"half")
    install(place, Recorder())
    assert not left.exists()


def test_a_wheel_whose_member_leads_out_leaves_nothing(index, tmp_path):
    wheel = write_wheel(
        index, {"../escaped.png": b"x", "cells_data/data/images/a": b""}, name="cells_data", version="1.0.post1"
    )
    place = place_of(tmp_path, known(wheel))
    with pytest.raises(ArchiveError, match="leads out of the folder"):
        install(place, Recorder())
    assert not place.root.exists() and not list(tmp_path.rglob("escaped.png"))


def test_the_catalogs_own_wheel():
    archive = find_archive("elpv")
    settings = Settings.from_environment({"KDZOO_HOME": "/h", "KDZOO_DATA_MIRROR": "https://files.example/d"})
    assert find_place("elpv", settings).url == f"https://files.example/d/{archive.wheel}"
    assert find_place("elpv", settings).requirement == ""
    place = find_place("elpv", Settings.from_environment({"KDZOO_HOME": "/h"}))
    assert (place.requirement, place.file.name) == (archive.requirement, archive.wheel)
    assert (place.origin, archive.licence) == ("pip download elpv-dataset==1.0.0.post1", "CC BY-NC-SA 4.0")


@pytest.mark.parametrize("changes", [{"wheel": ""}, {"requirement": ""}, {"packing": "zip"}])
def test_facts_of_a_wheel_that_cannot_be(wheel, changes):
    with pytest.raises(ValueError, match="a wheel, and nothing else"):
        known(wheel, **changes)
