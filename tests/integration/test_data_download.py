"""`kdzoo data download` and `--download` as a person meets them, and runs that are killed."""

import hashlib
import io
import json
import subprocess
import sys
import tarfile
from types import SimpleNamespace

import pytest
from helpers.archives import contents, good_tar, make_archive
from helpers.command import run
from helpers.file_server import Fault
from helpers.layouts import make_dataset

from kdzoo.data.download.place import RECORD

GOOD = good_tar(top="Parts/")


@pytest.fixture
def known(web, monkeypatch, tmp_path):
    """The table of archives replaced by a tiny ``mvtec`` and ``dtd``, and a mirror that has them."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:xz") as made:
        made.add(make_dataset(tmp_path / "made", ("bottle", "zipper")), "top")
    mvtec = make_archive("https://a.invalid/m.tar.xz", packed.getvalue(), "tar.xz", name="mvtec", holds=("bottle",))
    dtd = make_archive("https://b.invalid/d.tar", GOOD, "tar", name="dtd")
    web.give("m.tar.xz", packed.getvalue())
    web.give("d.tar", GOOD)
    monkeypatch.setattr("kdzoo.data.download.archives.ARCHIVES", {"mvtec": mvtec, "dtd": dtd})
    monkeypatch.setenv("KDZOO_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("KDZOO_DATA_MIRROR", web.url)
    return SimpleNamespace(web=web, data=tmp_path / "data")


def test_download_says_the_licence_and_shows_the_archives_own(known, capsys):
    done = run(capsys, "data", "download", "dtd", "--yes")
    assert (done.status, done.out) == (0, f"{known.data / 'dtd'}\n")
    assert "licence  CC0" in done.err
    assert f"from     {known.web.url}/d.tar" in done.err
    assert hashlib.sha256(GOOD).hexdigest() in done.err
    assert "The archive's own LICENSE-DATASET:\n  Use it well." in done.err
    assert "\x1b" not in done.err
    assert json.loads((known.data / "dtd" / RECORD).read_text())["publisher"] == "https://b.invalid/d.tar"
    again = run(capsys, "data", "download", "dtd")
    assert (again.status, again.out) == (0, done.out)
    assert "there already" in again.err


def test_download_for_programs(known, capsys, tmp_path):
    done = run(capsys, "data", "download", "dtd", "-y", "--json", "--root", tmp_path / "big", "--keep-archive")
    result = json.loads(done.out)
    assert result["root"] == str(tmp_path / "big" / "dtd")
    assert result["downloaded"] is True
    assert result["archive"] == str(tmp_path / "big" / "downloads" / "d.tar")
    assert f"kdzoo data add dtd {tmp_path / 'big' / 'dtd'}" in done.err
    assert not known.data.exists()


def test_nobody_to_ask_is_no_consent(known, capsys):
    done = run(capsys, "data", "download", "dtd")
    assert done.status == 2
    assert "kdzoo data download dtd --yes" in done.err
    assert not known.web.requests


@pytest.mark.parametrize(("answer", "status"), [("n", 130), ("y", 0)])
def test_a_person_is_asked(known, capsys, monkeypatch, answer, status):
    monkeypatch.setattr("sys.stdin", SimpleNamespace(isatty=lambda: True))
    monkeypatch.setattr("click.termui.visible_prompt_func", lambda _: answer)
    assert run(capsys, "data", "download", "dtd").status == status
    assert (known.data / "dtd").exists() == (status == 0)


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (("download", "vissa", "--yes"), 2, "unknown downloadable data set 'vissa'"),
        (("download", "demo", "--yes"), 2, "made at first use"),
        (("download",), 2, "Missing argument"),
    ],
)
def test_mistakes(known, capsys, arguments, status, said):
    done = run(capsys, "data", *arguments)
    assert done.status == status
    assert said in done.err


def test_failures_end_in_the_steps_by_hand(known, capsys, monkeypatch):
    known.web.files.clear()
    done = run(capsys, "data", "download", "dtd", "--yes")
    assert done.status == 1
    assert "404" in done.err
    assert str(known.data / "downloads" / "d.tar") in done.err
    monkeypatch.setenv("KDZOO_OFFLINE", "1")
    done = run(capsys, "data", "download", "dtd")
    assert done.status == 1
    assert "KDZOO_OFFLINE is set" in done.err
    assert "by hand" in done.err


def test_a_mirror_that_is_no_address(known, capsys, monkeypatch):
    monkeypatch.setenv("KDZOO_DATA_MIRROR", "mirror.example")
    assert run(capsys, "data", "download", "dtd", "--yes").status == 2


def test_train_downloads_what_is_not_there(known, capsys):
    without = run(capsys, "train", "rd", "-d", "mvtec")
    assert without.status == 1
    assert not known.web.requests
    done = run(capsys, "train", "rd", "-d", "mvtec", "--download")
    assert (done.status, "has 2 categories" in done.err) == (2, True)
    assert "licence  CC0" in done.err
    assert (known.data / "mvtec" / "bottle" / "train" / "good").is_dir()
    known.web.requests.clear()
    assert "has 2 categories" in run(capsys, "train", "rd", "-d", "mvtec", "--download").err
    assert not known.web.requests


def test_sweep_downloads_what_is_not_there(known, capsys):
    done = run(capsys, "sweep", "rd", "-d", "mvtec", "--download", "--categories", "nut")
    assert done.status == 2
    assert "unknown category 'nut'" in done.err
    assert (known.data / "mvtec" / RECORD).is_file()


def test_download_of_an_own_folder_is_no_download(known, capsys, tmp_path):
    done = run(capsys, "train", "rd", "-d", tmp_path / "nowhere", "--download")
    assert (done.status, "there is no folder" in done.err) == (1, True)
    assert not known.web.requests


def test_a_name_that_stands_for_a_folder_is_not_downloaded(known, capsys, tmp_path):
    mine = make_dataset(tmp_path / "mine" / "mvtec", ("bottle",))
    assert run(capsys, "data", "add", "mvtec", mine).status == 0
    run(capsys, "train", "rd", "-d", "mvtec", "-c", "nut", "--download")
    assert not known.web.requests
    done = run(capsys, "data", "download", "mvtec", "--yes")
    assert (done.status, f"'mvtec' stands for {mine} until: kdzoo data add mvtec --remove" in done.err) == (0, True)


# Kills itself, with no chance to clean up, at a given moment of the work.
CHILD = """
import os, signal, sys
from pathlib import Path
from helpers.archives import Recorder, make_archive
from kdzoo.data.download import install as module
from kdzoo.data.download.place import Place

url, data, moment, content = sys.argv[1], Path(sys.argv[2]), sys.argv[3], Path(sys.argv[4]).read_bytes()

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

class Deadly(Recorder):
    def done(self, size):
        super().done(size)
        if self.stages[-1][0] == moment and size:
            die()

if moment == "Moving":
    module.os.sync = die
archive = make_archive(url, content)
module.install(Place(archive=archive, data=data, url=url), Deadly())
"""


def run_child(url, data, moment, archive):
    return subprocess.run(
        [sys.executable, "-c", CHILD, url, data, moment, archive],
        capture_output=True, text=True, timeout=120, env={"PYTHONPATH": ":".join(filter(None, sys.path)), "HOME": "/"},
    )  # fmt: skip


@pytest.mark.parametrize("moment", ["Downloading", "Checking", "Unpacking", "Moving"])
def test_a_killed_run_is_gone_on_with(web, tmp_path, moment):
    archive, data = tmp_path / "parts.tar", tmp_path / "data"
    archive.write_bytes(GOOD)
    url = web.give("parts.tar", GOOD)
    if moment == "Downloading":
        web.faults.append(Fault(send=len(GOOD) - 1))
    assert run_child(url, data, moment, archive).returncode == -9
    assert not (data / "parts").exists()
    asked = len(web.requests)
    done = run_child(url, data, "never", archive)
    assert done.returncode == 0, done.stderr
    assert set(contents(data / "parts")) >= {"bolt/train/good/000.png", RECORD}
    assert {path.name for path in data.iterdir()} == {"downloads", "parts"}
    # What came once is not asked for again: the whole part by its end, the checked archive not at all.
    assert len(web.requests) - asked == {"Downloading": 1, "Checking": 1, "Unpacking": 0, "Moving": 0}[moment]
