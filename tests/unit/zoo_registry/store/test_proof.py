"""What is remembered of a store's conditional writes, for how long, and what is done when it cannot be."""

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from zoo_registry.errors import StoreRefusedError
from zoo_registry.store.proof import WHILE_S, Dialect, Proof

STORE = "s3://bucket/zoo http://127.0.0.1:9000"
BARE = Dialect(bare_etags=True)


class Asked:
    """Proves itself, and counts how often it was asked to."""

    def __init__(self, dialect=BARE):
        self.times = 0
        self._dialect = dialect

    def __call__(self):
        self.times += 1
        time.sleep(0.02)
        return self._dialect


def note(folder):
    (path,) = folder.iterdir()
    return path


def rewrite(folder, **changes):
    path = note(folder)
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.fixture
def notes(tmp_path):
    """A folder in which `STORE` has proved itself, and speaks with bare ETags."""
    folder = tmp_path / "cache" / "proved"
    assert Proof(folder).need(STORE, Asked()) == BARE
    return folder


def test_one_object_asks_once(tmp_path):
    for folder in (None, tmp_path / "notes"):
        asked, proof = Asked(), Proof(folder)
        assert [proof.need(STORE, asked) for _ in range(3)] == [BARE] * 3
        assert asked.times == 1


def test_many_threads_ask_once():
    asked, proof, gate = Asked(), Proof(), threading.Barrier(8)

    def need(_):
        gate.wait(10)
        return proof.need(STORE, asked)

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(need, range(8))) == [BARE] * 8
    assert asked.times == 1


def test_the_next_process_does_not_ask(notes):
    asked = Asked(Dialect())
    assert Proof(notes).need(STORE, asked) == BARE
    assert asked.times == 0


@pytest.mark.parametrize("other", ["s3://bucket/other http://127.0.0.1:9000", "s3://bucket/zoo http://127.0.0.1:9001"])
def test_another_prefix_or_server_is_asked(notes, other):
    asked = Asked(Dialect())
    assert Proof(notes).need(other, asked) == Dialect()
    assert asked.times == 1 and len(list(notes.iterdir())) == 2


@pytest.mark.parametrize(
    ("age", "times"), [(0, 0), (WHILE_S - 60, 0), (WHILE_S + 1, 1), (-3600, 1)], ids=["new", "a day", "old", "to come"]
)
def test_a_proof_holds_for_a_day(notes, age, times):
    rewrite(notes, proved=time.time() - age)
    asked = Asked(Dialect())
    Proof(notes).need(STORE, asked)
    assert asked.times == times
    # What was asked anew is remembered anew.
    again = Asked()
    Proof(notes).need(STORE, again)
    assert again.times == 0


def test_afresh_asks_and_remembers(notes):
    asked = Asked(Dialect(joins_blindly=True))
    proof = Proof(notes)
    proof.need(STORE, asked)
    assert proof.need(STORE, asked, afresh=True) == Dialect(joins_blindly=True)
    assert asked.times == 1
    assert Proof(notes).need(STORE, Asked()) == Dialect(joins_blindly=True)


def test_what_fails_is_not_remembered(notes):
    def fail():
        raise StoreRefusedError("both won")

    other = Proof(notes)
    for _ in range(2):
        with pytest.raises(StoreRefusedError, match="both won"):
            other.need("s3://bucket/racy", fail)
    assert len(list(notes.iterdir())) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"schema": "kdzoo-proof/2"},
        {"bare_etags": "yes"},
        {"joins_blindly": None},
        {"proved": "today"},
        {"proved": None},
        {"proved": float("nan")},
    ],
    ids=str,
)
def test_a_note_of_another_kind_is_none(notes, changes):
    rewrite(notes, **changes)
    asked = Asked()
    assert Proof(notes).need(STORE, asked) == BARE
    assert asked.times == 1


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"\xff\xfe", b"{}", b" " * 20_000])
def test_a_damaged_note_is_none(notes, data):
    note(notes).write_bytes(data)
    asked = Asked()
    assert Proof(notes).need(STORE, asked) == BARE
    assert asked.times == 1
    assert json.loads(note(notes).read_text())["bare_etags"] is True


def test_a_link_in_place_of_a_note_is_not_written_through(notes, tmp_path):
    precious = tmp_path / "precious"
    precious.write_text("keep")
    path = note(notes)
    path.unlink()
    path.symlink_to(precious)
    asked = Asked()
    assert Proof(notes).need(STORE, asked) == BARE
    assert asked.times == 1 and precious.read_text() == "keep" and not path.is_symlink()


def test_where_no_note_can_be_kept_it_goes_on(tmp_path):
    (tmp_path / "file").write_text("in the way")
    asked = Asked()
    assert Proof(tmp_path / "file" / "notes").need(STORE, asked) == BARE
    assert asked.times == 1


def test_no_address_stands_in_a_note(tmp_path):
    Proof(tmp_path).need("s3://KEY:SECRET@bucket http://user:secret@host", Asked())
    assert "SECRET" not in note(tmp_path).name + note(tmp_path).read_text().upper()


def test_a_server_that_is_known_is_not_asked():
    asked = Asked()
    assert Proof.given().need(STORE, asked) == Dialect()
    assert Proof.given(BARE).need(STORE, asked) == BARE
    assert asked.times == 0
