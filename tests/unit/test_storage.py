"""Files are written whole or not at all."""

import errno
import os

import pytest

from kdzoo.errors import StorageError
from kdzoo.storage import write_file


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
