import errno
import os
import threading

import pytest

from kdzoo.errors import StorageError, TrackingError
from kdzoo.tracking.journal import Journal


def lines(journal):
    return [line for line, _ in journal.unsent()]


def test_lines_come_back_in_order_until_marked(tmp_path):
    journal = Journal(tmp_path / "new" / "j")
    for line in (b"a\n", b"b\n", b"c\n"):
        journal.append(line)
    (_, first_end), *_ = journal.unsent()
    journal.mark_sent(first_end)
    assert lines(journal) == [b"b\n", b"c\n"]
    assert journal.unsent_count() == 2
    assert not journal.all_sent
    journal.close()


def test_a_later_process_goes_on_where_the_first_stopped(tmp_path):
    first = Journal(tmp_path / "j")
    first.append(b"a\n")
    first.append(b"b\n")
    first.mark_sent(2)
    first.close()
    second = Journal(tmp_path / "j")
    second.append(b"c\n")
    assert lines(second) == [b"b\n", b"c\n"]
    second.close()


def test_files_are_gone_when_all_is_sent(tmp_path):
    journal = Journal(tmp_path / "j")
    journal.append(b"a\n")
    journal.mark_sent(2)
    assert journal.all_sent
    journal.close()
    assert list(tmp_path.iterdir()) == []


def test_a_torn_line_does_not_swallow_the_next(tmp_path):
    (tmp_path / "j").write_bytes(b"a\ntor")
    journal = Journal(tmp_path / "j")
    journal.append(b"b\n")
    assert lines(journal) == [b"a\n", b"tor\n", b"b\n"]
    journal.close()


@pytest.mark.parametrize("mark", ["", "nonsense", "-4", "999"])
def test_a_mark_that_makes_no_sense_sends_everything_again(tmp_path, mark):
    (tmp_path / "j").write_bytes(b"a\nb\n")
    (tmp_path / "j.sent").write_text(mark)
    journal = Journal(tmp_path / "j")
    assert lines(journal) == [b"a\n", b"b\n"]
    journal.close()


def test_threads_never_mix_their_lines(tmp_path):
    journal = Journal(tmp_path / "j")

    def write(letter):
        for _ in range(200):
            journal.append(letter * 300 + b"\n")

    threads = [threading.Thread(target=write, args=(letter,)) for letter in (b"a", b"b", b"c", b"d")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {line: lines(journal).count(line) for line in set(lines(journal))} == {
        letter * 300 + b"\n": 200 for letter in (b"a", b"b", b"c", b"d")
    }
    journal.close()


def test_a_journal_has_one_owner_at_a_time(tmp_path):
    first = Journal(tmp_path / "j")
    with pytest.raises(TrackingError, match="in use"):
        Journal(tmp_path / "j")
    first.close()
    Journal(tmp_path / "j").close()


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="file"):
        Journal(tmp_path / "file" / "j")


def test_a_full_disk_leaves_no_half_line(tmp_path, monkeypatch):
    journal = Journal(tmp_path / "j")
    journal.append(b"first\n")
    real_write, room = os.write, [3]

    def write(file, data):
        if not room:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real_write(file, bytes(data)[: room.pop()])

    monkeypatch.setattr(os, "write", write)
    with pytest.raises(StorageError, match="No space left"):
        journal.append(b"second\n")
    monkeypatch.undo()
    journal.append(b"third\n")
    assert lines(journal) == [b"first\n", b"third\n"]
    journal.close()
