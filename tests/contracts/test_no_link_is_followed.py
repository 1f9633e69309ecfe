"""Links planted at every name that the product writes to: nothing outside is made, changed or removed."""

import logging
import os
from pathlib import Path

import pytest
from helpers.archives import Recorder, good_tar, make_archive
from helpers.command import run
from helpers.layouts import make_category
from helpers.tables import make_photos, write_table
from helpers.watched_writes import watched
from helpers.zoos import publish

import kdzoo
from kdzoo.errors import KdzooError
from zoo_registry.errors import RegistryError

SMALL = ("--teacher", "random-test_resnet", "--image-size", "64", "--epochs", "1", "--set", "width=0.25")
SMALL = (*SMALL, "--set", "batch_size=4", "--set", "epoch_steps=0")


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    """What the work reads: a data set, a flat folder with a table, a trained detector, a zoo."""
    root = tmp_path_factory.mktemp("given")
    make_category(root / "lids/small", train=6, good=4)
    make_photos(root / "photos")
    rows = make_photos(root / "photos")
    write_table(root / "table.csv", rows)
    publish(root / "zoo", "weights")
    from kdzoo.cli.main import main

    out = ("--out", str(root / "detector"), "--publish", "--zoo", str(root / "own zoo"))
    with pytest.raises(SystemExit) as ended:
        main(["train", "rd", "-d", str(root / "lids"), *SMALL, *out])
    assert ended.value.code == 0
    return root


def command(*arguments):
    """Work that is a command of kdzoo; ``IN`` and ``OUT`` stand for the two folders."""

    def work(given, out, capsys):
        told = [each.replace("IN", str(given)).replace("OUT", str(out)) for each in arguments]
        ran = run(capsys, *told)
        assert "unforeseen" not in ran.err, ran.err
        return ran.status

    return work


def journal(given, out, capsys):
    from kdzoo.tracking.journal import Journal

    book = Journal(out / "sweep/tracking.jsonl")
    book.append(b"one\n")
    book.append(b"two\n")
    book.mark_sent(4)
    book.set_aside(b"two\n")
    book.sync()
    book.close()


def sweep_folder(given, out, capsys):
    from kdzoo.search.record.folder import SweepFolder

    folder = SweepFolder(out / "sweeps/night")
    with folder.driven():
        folder.begin()
        folder.keep_outcome("lid", {"best": 0})
        folder.ask_to_stop()
        folder.end("done")


def studies(given, out, capsys):
    from kdzoo.search.study.study_file import open_study_file

    out.mkdir(parents=True, exist_ok=True)
    open_study_file(out / "studies.db")


def rays_log(given, out, capsys):
    from kdzoo.search.workers.cluster import _QuietFileHandler

    out.mkdir(parents=True, exist_ok=True)
    handler = _QuietFileHandler(out / "ray.log", encoding="utf-8", delay=True)
    handler.emit(logging.LogRecord("ray", logging.WARNING, "", 1, "a line", (), None))
    handler.close()


def zoo(given, out, capsys):
    publish(out, "one")
    publish(out, "two")
    status = command("zoo", "rollback", "rd/demo/weave", "--zoo", "OUT")(given, out, capsys)
    return status or command("zoo", "yank", "rd/demo/weave", "2", "--zoo", "OUT")(given, out, capsys)


def zoo_without_links(given, out, capsys):
    def none(*_):
        raise OSError(95, "no links here")

    kept, os.link = os.link, none
    try:
        return zoo(given, out, capsys)
    finally:
        os.link = kept


def small_files(given, out, capsys):
    from kdzoo.storage import check_writable, folder_written, write_file, write_new

    check_writable(out)
    write_file(out / "last.ckpt", b"x")
    with folder_written(out / "folder", may_replace=frozenset({"a"})) as folder:
        write_new(folder / "a", b"x")


def lock(given, out, capsys):
    from kdzoo.storage import keep_lock

    out.mkdir(parents=True, exist_ok=True)
    keep_lock(out / "lock")


def log(given, out, capsys):
    from kdzoo.storage import appending

    out.mkdir(parents=True, exist_ok=True)
    with appending(out / "log") as file:
        file.write(b"x")


def new_file(given, out, capsys):
    from kdzoo.storage import write_new

    out.mkdir(parents=True, exist_ok=True)
    write_new(out / "new", b"x")


def searcher(given, out, capsys):
    from types import SimpleNamespace

    from kdzoo.search.run.searcher import CategorySearcher

    out.mkdir(parents=True, exist_ok=True)
    made = SimpleNamespace(_turns=SimpleNamespace(asked={"lid": 1}), _trials={})
    CategorySearcher.save(made, str(out / "searcher.json"))


def download(given, out, capsys):
    from kdzoo.data.download.fetch import FetchPolicy
    from kdzoo.data.download.install import install
    from kdzoo.data.download.place import Place

    web, content = given
    place = Place(archive=make_archive(f"{web.url}/parts.tar", content, "tar"), data=out, url=f"{web.url}/parts.tar")
    install(place, Recorder(), policy=FetchPolicy(attempts=2, first_attempts=2, first_wait_s=0.0, timeout_s=5.0))


def calibrate(given, out, capsys):
    if status := command("zoo", "copy", "IN/own zoo", "OUT/zoo", "--all")(given, out, capsys):
        return status
    told = ("--normals", "IN/lids/small/test/good", "--false-alarms", "50%", "--zoo", "OUT/zoo")
    return command("calibrate", "rd", "lids/small", *told)(given, out, capsys)


def teacher(given, out, capsys):
    weights = next(Path(kdzoo.__file__).parent.rglob("kdzoo-tiny*.safetensors"))
    said = command("teacher", "add", str(weights), "--name", "own", "--architecture", "resnet18")(given, out, capsys)
    return said or command("teacher", "push", "own", "--zoo", "OUT/zoo")(given, out, capsys)


def unpack(given, out, capsys):
    packed = str(given / "small.kdzoo")
    status = command("zoo", "pack", "rd/lids/small", "--zoo", "IN/own zoo", "--out", packed)(given, out, capsys)
    return status or command("zoo", "unpack", packed, "--out", "OUT/unpacked")(given, out, capsys)


WORK = {
    "predict": command("predict", "--from", "IN/detector", "IN/lids/small/test", "--out", "OUT"),
    "train": command("train", "rd", "-d", "IN/lids", *SMALL, "--out", "OUT/run", "--publish", "--zoo", "OUT/zoo"),
    "pull": command("zoo", "pull", "rd/lids/small", "--zoo", "IN/own zoo", "--out", "OUT/pulled"),
    "pack": command("zoo", "pack", "rd/lids/small", "--zoo", "IN/own zoo", "--out", "OUT/small.kdzoo"),
    "unpack": unpack,
    "show": command("data", "show", "IN/lids", "--out", "OUT/sheet.png"),
    "preview": command("data", "preview", "-d", "IN/lids", "-c", "small", "--out", "OUT/sheet.png"),
    "add": command("data", "add", "own", "IN/lids"),
    "add a table": command("data", "add", "flat", "IN/table.csv", "--root", "IN/photos"),
    "keygen": command("zoo", "keygen", "OUT/release.key"),
    "copy": command("zoo", "copy", "IN/own zoo", "OUT/zoo", "--all"),
    "calibrate": calibrate,
    "teacher": teacher,
    "journal": journal,
    "sweep folder": sweep_folder,
    "searcher": searcher,
    "studies": studies,
    "ray's log": rays_log,
    "zoo": zoo,
    "zoo on a disk without links": zoo_without_links,
    "small files": small_files,
    "lock": lock,
    "log": log,
    "new file": new_file,
}


def plant(names, out, outside, *, dangling):
    """A link at each name that no folder has; each leads to a place of its own outside."""
    for number, name in enumerate(sorted(names)):
        place, target = out / name, outside / str(number)
        if place.exists() or place.is_symlink() or any(each.is_file() for each in place.parents):
            continue
        place.parent.mkdir(parents=True, exist_ok=True)
        if not dangling:
            target.write_bytes(b"of somebody else")
        place.symlink_to(target)


def look(folder):
    return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()}


def home(monkeypatch, out):
    for name in ("HOME", "CACHE", "DATA"):
        monkeypatch.setenv(f"KDZOO_{name}", str(out / name.lower()))


def names_of(work, given, folder, capsys, monkeypatch):
    """The names that a work writes to where no link is."""
    home(monkeypatch, folder)
    with watched(folder) as names:
        assert work(given, folder, capsys) in (0, None)
    assert names
    return names


def with_links(work, given, folder, names, capsys, monkeypatch, *, dangling):
    """Does the work where links are; how it ended."""
    out, outside = folder / "out", folder / "outside"
    outside.mkdir(parents=True)
    plant(names, out, outside, dangling=dangling)
    before = look(outside)
    assert before or dangling
    home(monkeypatch, out)
    ended = None
    try:
        ended = work(given, out, capsys)
    except (KdzooError, OSError, RegistryError) as error:
        ended = error
    assert look(outside) == before, sorted(names)
    return ended


@pytest.mark.parametrize("work", WORK.values(), ids=WORK)
def test_nothing_outside_is_touched(given, work, tmp_path, capsys, monkeypatch):
    first = names_of(work, given, tmp_path / "first", capsys, monkeypatch)
    for dangling in (True, False):
        folder = tmp_path / f"all {dangling}"
        with_links(work, given, folder, first, capsys, monkeypatch, dangling=dangling)
    # The first link may have ended the work: one at a time, those names that are the same at each run.
    again = names_of(work, given, tmp_path / "again", capsys, monkeypatch)
    known = sorted(first & again)
    slow = work in (WORK["train"], WORK["calibrate"])
    groups = [[name for name in known if "lock" not in name]] if slow else [[name] for name in known]
    for number, names in enumerate(groups):
        with_links(work, given, tmp_path / str(number), names, capsys, monkeypatch, dangling=number % 2 == 0)


def test_a_download_touches_nothing_outside(web, tmp_path, capsys, monkeypatch):
    content = good_tar(top="Parts/")
    web.give("parts.tar", content)
    given = (web, content)
    names = names_of(download, given, tmp_path / "first", capsys, monkeypatch)
    stays = {"downloads/parts.lock", "downloads/parts.tar", "downloads/parts.tar.part", "downloads/parts.tar.part.json"}
    assert stays <= names
    for number, name in enumerate(sorted(stays)):
        for dangling in (True, False):
            folder = tmp_path / f"{number} {dangling}"
            with_links(download, given, folder, [name], capsys, monkeypatch, dangling=dangling)


def test_the_watch_sees_what_a_work_writes_and_links_catch_it(tmp_path, capsys, monkeypatch):
    def careless(given, out, capsys):
        out.mkdir(parents=True, exist_ok=True)
        (out / ".writable").write_bytes(b"x")
        (out / ".writable").unlink()

    names = names_of(careless, None, tmp_path / "first", capsys, monkeypatch)
    assert names == {".writable"}
    with pytest.raises(AssertionError):
        with_links(careless, None, tmp_path, names, capsys, monkeypatch, dangling=True)
    assert [path.read_bytes() for path in (tmp_path / "outside").iterdir()] == [b"x"]
