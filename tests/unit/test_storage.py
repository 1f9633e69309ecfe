"""Files are written whole or not at all."""

import errno
import os

import pytest

from kdzoo.errors import StorageError
from kdzoo.storage import check_writable, folder_written, growing_text, not_left_empty, write_file, write_new, written


def test_a_full_disk_leaves_what_was_there_and_no_litter(tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    path = tmp_path / "w"
    write_file(path, b"before")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match=f"cannot write '{path}': No space left on device") as caught:
        write_file(path, b"after")
    assert caught.value.hint
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_cannot_be_made_is_a_storage_error(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError, match="cannot write"):
        write_file(tmp_path / "file" / "below", b"x")


def test_bytes_are_on_disk_before_the_name_is(tmp_path, monkeypatch):
    order = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: order.append((tmp_path / "w").exists()))
    write_file(tmp_path / "w", b"x")
    assert order == [False]


def test_a_table_keeps_the_lines_that_were_written_and_follows_no_link(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("before")
    with pytest.raises(KeyError), growing_text(path) as text:
        text.write("a\r\nb\n")
        assert path.read_bytes() == b"a\r\nb\n"
        raise KeyError
    assert path.read_bytes() == b"a\r\nb\n" and list(tmp_path.iterdir()) == [path]
    other = tmp_path / "other"
    other.write_text("theirs")
    path.unlink()
    path.symlink_to(other)
    with growing_text(path) as text:
        text.write("mine\n")
    assert other.read_text() == "theirs" and path.read_text() == "mine\n" and not path.is_symlink()


def test_a_link_is_replaced_by_the_file(tmp_path):
    other, path = tmp_path / "other", tmp_path / "here"
    other.write_bytes(b"theirs")
    path.symlink_to(other)
    write_file(path, b"mine")
    assert not path.is_symlink() and path.read_bytes() == b"mine" and other.read_bytes() == b"theirs"


def test_a_new_file_is_none_that_is_there(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "nothing")
    for name in ("link", "there"):
        if name == "there":
            (tmp_path / name).write_bytes(b"a")
        with pytest.raises(FileExistsError):
            write_new(tmp_path / name, b"b")
    assert not (tmp_path / "nothing").exists()


def test_the_rights_are_those_that_the_mask_leaves(tmp_path):
    kept = os.umask(0o027)
    try:
        with written(tmp_path / "a") as file:
            file.write(b"x")
    finally:
        os.umask(kept)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640


class TestFolders:
    def fill(self, path, *names):
        with folder_written(path, may_replace=frozenset({"a", "b"})) as folder:
            for name in names:
                write_new(folder / name, b"new " + name.encode())

    def test_a_folder_comes_whole_and_replaces_one_of_the_same_names(self, tmp_path):
        place = tmp_path / "out" / "detector"
        self.fill(place, "a", "b")
        self.fill(place, "a")
        assert [path.name for path in place.iterdir()] == ["a"] and list(place.parent.iterdir()) == [place]

    def test_one_that_fails_leaves_what_was_there(self, tmp_path):
        place = tmp_path / "detector"
        self.fill(place, "a")
        with pytest.raises(StorageError), folder_written(place, may_replace=frozenset({"a"})) as folder:
            write_new(folder / "a", b"other")
            raise OSError(errno.ENOSPC, "No space left on device")
        assert (place / "a").read_bytes() == b"new a" and list(tmp_path.iterdir()) == [place]

    def test_what_is_no_folder_of_these_names_is_left_alone(self, tmp_path):
        for name in ("file", "link", "foreign"):
            (tmp_path / name).mkdir() if name == "foreign" else None
        (tmp_path / "foreign" / "mine.txt").write_text("x")
        (tmp_path / "file").write_text("x")
        (tmp_path / "link").symlink_to(tmp_path / "foreign")
        for name, said in (("file", "no folder"), ("link", "a symbolic link"), ("foreign", "'mine.txt'")):
            with pytest.raises(StorageError, match=said):
                self.fill(tmp_path / name, "a")
        assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "foreign", "link"]

    def test_an_empty_folder_is_taken(self, tmp_path):
        (tmp_path / "out").mkdir()
        self.fill(tmp_path / "out", "a")
        assert (tmp_path / "out" / "a").exists()


def test_a_folder_that_takes_nothing_is_found_before_the_work(tmp_path):
    check_writable(tmp_path / "new")
    assert list((tmp_path / "new").iterdir()) == []
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError, match="cannot write to"):
        check_writable(tmp_path / "file")


def test_a_folder_is_left_as_it_was_where_nothing_is_written(tmp_path):
    mine, new, filled = tmp_path / "mine", tmp_path / "new", tmp_path / "filled"
    mine.mkdir()
    for folder in (mine, new, filled):
        with pytest.raises(ValueError, match="no"), not_left_empty(folder):
            check_writable(folder)
            if folder == filled:
                write_file(folder / "file", b"x")
            raise ValueError("no")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["filled", "mine"]
