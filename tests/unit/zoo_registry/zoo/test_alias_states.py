"""Aliases that are signed and counted: none is followed that was put back, is out of date or of another's making."""

import dataclasses
import json
import os
import shutil
from datetime import datetime
from pathlib import Path

import pytest
from helpers.zoos import ENTRY, by, machine, publish

from kdzoo import champions
from zoo_registry import BlobCache, EntryName
from zoo_registry.errors import (
    KeyInvalidError,
    ManifestInvalidError,
    ReleaseNotFoundError,
    SignatureError,
    StaleError,
    StoreUnavailableError,
)
from zoo_registry.format.alias import Move
from zoo_registry.format.signing import SigningKey
from zoo_registry.store.folder import FolderStore
from zoo_registry.store.identity import read_identity
from zoo_registry.upkeep.copying import copy
from zoo_registry.upkeep.fsck import fsck
from zoo_registry.zoo.aliasing import Reason

FAR_AWAY = "2099-01-01T00:00:00Z"
LONG_AGO = "2020-01-01T00:00:00Z"


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda handle: None)


@pytest.fixture(scope="module")
def key():
    return SigningKey.generate()


@pytest.fixture
def zoo(tmp_path):
    """Three releases; nobody has signed anything."""
    for text in ("one", "two", "three"):
        publish(tmp_path / "zoo", text, alias=None)
    return tmp_path / "zoo"


def owner(folder, key=None):
    return machine(folder, "owner", key=key)


def reader(folder, key=None, *, name="line-1", always=False, signed_for=(), offline=False, far=False):
    """A machine that follows aliases; with a key one that asks for its signature."""
    demand = None if key is None else by(key, always=always, signed_for=signed_for)
    return machine(folder, name, demand=demand, offline=offline, far=far)


def alias_file(folder, alias="champion"):
    path = folder / "entries" / ENTRY / "aliases" / f"{alias}.json"
    path.chmod(0o644)
    return path


def test_a_move_is_signed_where_there_is_a_key_and_reads_back_as_it_was(zoo, key):
    made = owner(zoo, key).set_alias(ENTRY, "champion", 2, reason=Reason(expires=FAR_AWAY, why="better"))
    assert made.expires == FAR_AWAY and made.subject == (ENTRY, "champion")
    assert (made.signature.key_id, made.signature.zoo) == (key.public.key_id, read_identity(FolderStore(zoo)).id)
    assert Move.parse(alias_file(zoo).read_bytes()) == Move.parse(made.to_bytes())
    assert key.public.has_signed(made.signed_bytes, made.signature)
    assert reader(zoo, key, always=True).resolve(ENTRY).release == 2
    assert [move.signature is not None for move in owner(zoo).alias_log.moves(ENTRY, "champion")] == [True]
    gone = owner(zoo, key).alias_log.delete(ENTRY, "champion")
    assert gone.signature is not None and gone.release is None
    assert fsck(FolderStore(zoo)).is_sound


def test_without_a_key_it_is_written_as_earlier_versions_read_it(zoo):
    owner(zoo).set_alias(ENTRY, "champion", 1)
    fields = json.loads(alias_file(zoo).read_bytes())
    assert fields["schema"] == "kdzoo-alias/1" and not fields.keys() & {"signature", "expires", "entry"}
    with pytest.raises(KeyInvalidError, match="only a signed move can expire") as error:
        owner(zoo).set_alias(ENTRY, "champion", 2, reason=Reason(expires=FAR_AWAY))
    assert "KDZOO_SIGNING_KEY" in error.value.hint
    assert owner(zoo).read_alias(ENTRY, "champion").release == 1


@pytest.mark.parametrize("asks", [False, True], ids=["any reader", "one that asks for signatures"])
@pytest.mark.parametrize("signs", [False, True], ids=["unsigned", "signed"])
def test_a_state_that_was_put_back_is_not_followed_by_who_saw_a_later_one(zoo, key, asks, signs):
    mover, line = owner(zoo, key if signs else None), reader(zoo, key if asks else None)
    mover.set_alias(ENTRY, "champion", 1)
    before = alias_file(zoo).read_bytes()
    mover.set_alias(ENTRY, "champion", 2)
    assert line.resolve(ENTRY).release == 2
    alias_file(zoo).write_bytes(before)
    with pytest.raises(StaleError, match=r"champion of .* is at its move 1, and was at move 2 when") as error:
        line.resolve(ENTRY)
    assert "fsck" in error.value.hint
    assert line.resolve(ENTRY, 1).release == 1  # a number is no alias
    assert [one.kind.value for one in fsck(FolderStore(zoo)).findings] == ["alias-replayed"]
    # What the hint says to remove is what stands in the way.
    (note,) = [part for part in error.value.hint.split("'") if "latest" in part]
    Path(note).unlink()
    assert line.resolve(ENTRY).release == 1


def test_another_machine_cannot_know_and_a_new_zoo_at_the_place_begins_anew(zoo):
    owner(zoo).set_alias(ENTRY, "champion", 1)
    owner(zoo).set_alias(ENTRY, "champion", 2)
    line = reader(zoo)
    assert line.resolve(ENTRY).release == 2
    shutil.rmtree(zoo)
    publish(zoo, "anew")
    assert reader(zoo).resolve(ENTRY).release == 1


def test_whoever_reads_while_others_do_raises_no_false_alarm(zoo, monkeypatch):
    """Another process of this machine sees a later state between this one's read and its look at what was seen."""
    owner(zoo).set_alias(ENTRY, "champion", 1)
    line, other = reader(zoo, far=True), reader(zoo, far=True)
    plain = line._reader.fetch

    def overtaken(key, **given):
        found = plain(key, **given)
        owner(zoo).set_alias(ENTRY, "champion", 2)
        assert other.resolve(ENTRY).release == 2
        return found

    monkeypatch.setattr(line._reader, "fetch", overtaken)
    assert line.resolve(ENTRY).release == 1
    monkeypatch.setattr(line._reader, "fetch", plain)
    assert reader(zoo, far=True, offline=True).resolve(ENTRY).release == 2  # the later one is what is kept
    assert line.resolve(ENTRY).release == 2


def test_what_is_kept_is_followed_offline_until_its_time_is_over(zoo, key, monkeypatch):
    owner(zoo, key).set_alias(ENTRY, "champion", 2, reason=Reason(expires=FAR_AWAY))
    assert reader(zoo, key, far=True).resolve(ENTRY).release == 2
    shutil.move(zoo, zoo.parent / "gone")
    away = reader(zoo, key, far=True, offline=True)
    assert away.resolve(ENTRY).release == 2
    monkeypatch.setattr("zoo_registry.format.alias.datetime", Later)
    with pytest.raises(StaleError, match="was to be followed until"):
        away.resolve(ENTRY)


class Later(datetime):
    """A clock of the next century."""

    @classmethod
    def now(cls, zone=None):
        return datetime(2100, 1, 1, tzinfo=zone)


def test_a_move_whose_time_is_over_is_not_followed_until_it_is_renewed(zoo, key):
    owner(zoo, key).set_alias(ENTRY, "champion", 2, reason=Reason(expires=LONG_AGO))
    for line in (reader(zoo), reader(zoo, key)):
        with pytest.raises(StaleError, match="was to be followed until 2020-01-01T00:00:00Z") as error:
            line.resolve(ENTRY)
        assert f"kdzoo zoo alias {ENTRY} champion 2 --expires 30d" in error.value.hint
    assert [one.kind.value for one in fsck(FolderStore(zoo)).findings] == ["alias-expired"]
    owner(zoo, key).set_alias(ENTRY, "champion", 2, reason=Reason(expires=FAR_AWAY))
    assert reader(zoo, key).resolve(ENTRY).release == 2


def test_once_it_was_signed_nothing_unsigned_is_followed(zoo, key):
    line = reader(zoo, key)
    owner(zoo).set_alias(ENTRY, "champion", 1)
    assert line.resolve(ENTRY).release == 1  # as earlier versions left it
    owner(zoo, key).set_alias(ENTRY, "champion", 2)
    assert line.resolve(ENTRY).release == 2
    owner(zoo).set_alias(ENTRY, "champion", 1)
    with pytest.raises(SignatureError, match="and it was before: it is not signed") as error:
        line.resolve(ENTRY)
    assert "KDZOO_SIGNING_KEY" in error.value.hint
    assert reader(zoo, key, name="new").resolve(ENTRY).release == 1
    with pytest.raises(SignatureError, match="is not signed by a key of 'my keys': it is not signed"):
        reader(zoo, key, name="strict", always=True).resolve(ENTRY)


def test_what_is_refused_does_not_count_as_seen(zoo, key):
    """Else whoever may write could shut a line out for good by one forged state of a high number."""
    line = reader(zoo, key, always=True)
    owner(zoo, key).set_alias(ENTRY, "champion", 2)
    right = alias_file(zoo).read_bytes()
    assert line.resolve(ENTRY).release == 2
    forged = dataclasses.replace(Move.parse(right), number=999_999, subject=None, expires=None, signature=None)
    alias_file(zoo).write_bytes(forged.to_bytes())
    with pytest.raises(SignatureError):
        line.resolve(ENTRY)
    alias_file(zoo).write_bytes(right)
    assert line.resolve(ENTRY).release == 2


def changes(move, other):
    """What a stranger can make of a signed move, or put in its place."""
    return {
        "release": dataclasses.replace(move, release=1),
        "expires": dataclasses.replace(move, expires=None),
        "number": dataclasses.replace(move, number=7),
        "subject": dataclasses.replace(move, subject=(ENTRY, "staging")),
        "entry": dataclasses.replace(move, subject=("rd/demo/other", "champion")),
        "other alias": other,
        "zoo": dataclasses.replace(move, signature=dataclasses.replace(move.signature, zoo="ab" * 16)),
        "value": dataclasses.replace(move, signature=dataclasses.replace(move.signature, value=bytes(64))),
    }


@pytest.mark.parametrize("what", ["release", "expires", "number", "subject", "entry", "other alias", "zoo", "value"])
def test_nothing_of_a_signed_move_can_be_changed(zoo, key, what):
    move = owner(zoo, key).set_alias(ENTRY, "champion", 2, reason=Reason(expires=FAR_AWAY))
    other = owner(zoo, key).set_alias(ENTRY, "staging", 3)
    alias_file(zoo).write_bytes(changes(move, other)[what].to_bytes())
    with pytest.raises((SignatureError, ManifestInvalidError), match=r"is not signed by a key of|says it is alias"):
        reader(zoo, key, always=True).resolve(ENTRY)


@pytest.mark.parametrize("what", ["subject", "entry", "other alias"])
def test_a_signed_alias_is_no_other_for_who_asks_for_no_signature_either(zoo, key, what):
    move = owner(zoo, key).set_alias(ENTRY, "champion", 2)
    other = owner(zoo, key).set_alias(ENTRY, "staging", 3)
    alias_file(zoo).write_bytes(changes(move, other)[what].to_bytes())
    with pytest.raises(ManifestInvalidError, match="says it is alias"):
        reader(zoo).resolve(ENTRY)
    assert "alias-damaged" in [one.kind.value for one in fsck(FolderStore(zoo)).findings]


def test_a_strangers_signature_and_another_zoos_do_not_count(zoo, key, tmp_path):
    owner(zoo, SigningKey.generate()).set_alias(ENTRY, "champion", 2)
    with pytest.raises(SignatureError, match="its signature is of key"):
        reader(zoo, key, always=True).resolve(ENTRY)
    owner(zoo, key).set_alias(ENTRY, "champion", 3)
    copy(FolderStore(zoo), FolderStore(tmp_path / "copy"), None)
    with pytest.raises(SignatureError, match="its signature is for zoo"):
        reader(tmp_path / "copy", key, always=True).resolve(ENTRY)
    original = read_identity(FolderStore(zoo)).id
    assert reader(tmp_path / "copy", key, always=True, signed_for=(original,)).resolve(ENTRY).release == 3


def test_a_digest_finds_its_release_whatever_the_alias_says(zoo, key):
    owner(zoo, key).set_alias(ENTRY, "champion", 2, reason=Reason(expires=LONG_AGO))
    wanted = owner(zoo).resolve(ENTRY, 3)
    assert reader(zoo, key).resolve(ENTRY, digest=wanted.digest).release == 3


def test_what_is_refused_is_not_what_is_kept_for_offline(zoo, key):
    owner(zoo, key).set_alias(ENTRY, "champion", 1)
    old = alias_file(zoo).read_bytes()
    owner(zoo, key).set_alias(ENTRY, "champion", 2)
    line = reader(zoo, key, always=True, far=True)
    assert line.resolve(ENTRY).release == 2
    for bad in (old, dataclasses.replace(Move.parse(old), subject=None, signature=None, number=9).to_bytes()):
        alias_file(zoo).write_bytes(bad)
        with pytest.raises((StaleError, SignatureError)):
            line.resolve(ENTRY)
        assert reader(zoo, key, always=True, far=True, offline=True).resolve(ENTRY).release == 2


@pytest.mark.parametrize("again", ["the same release", "another", "rollback"])
def test_an_alias_that_was_put_back_is_mended_by_setting_it(zoo, key, again):
    mover, line = owner(zoo, key), reader(zoo, key)
    mover.set_alias(ENTRY, "champion", 1)
    old = alias_file(zoo).read_bytes()
    for release in (2, 3, 2):
        mover.set_alias(ENTRY, "champion", release)
    assert line.resolve(ENTRY).release == 2
    alias_file(zoo).write_bytes(old)
    if again == "rollback":
        made = champions.rollback(mover, EntryName.parse(ENTRY))
    else:
        made = champions.promote(mover, EntryName.parse(ENTRY), 1 if again == "the same release" else 3, force=True)
    assert made.number == 5
    assert line.resolve(ENTRY).release == made.release
    assert fsck(FolderStore(zoo)).is_sound


def test_another_move_of_the_same_number_is_not_followed(zoo, key):
    owner(zoo, key).set_alias(ENTRY, "champion", 1)
    line = reader(zoo)
    assert line.resolve(ENTRY).release == 1
    made = dataclasses.replace(Move.parse(alias_file(zoo).read_bytes()), release=2, write_id="ab" * 16)
    alias_file(zoo).write_bytes(made.to_bytes())
    with pytest.raises(StaleError, match="is at another than before"):
        line.resolve(ENTRY)


def test_a_signed_state_puts_right_what_a_stranger_counted_up(zoo, key):
    line = reader(zoo, key)
    right = owner(zoo, key).set_alias(ENTRY, "champion", 2)
    forged = dataclasses.replace(right, number=999_999, subject=None, signature=None, write_id="ab" * 16)
    alias_file(zoo).write_bytes(forged.to_bytes())
    assert line.resolve(ENTRY).release == 2  # nothing signed was ever seen here
    alias_file(zoo).write_bytes(right.to_bytes())
    assert line.resolve(ENTRY).release == 2
    alias_file(zoo).write_bytes(forged.to_bytes())
    with pytest.raises(SignatureError, match="and it was before"):
        line.resolve(ENTRY)


def test_a_deleted_alias_is_not_brought_back_by_its_old_file(zoo):
    owner(zoo).set_alias(ENTRY, "staging", 2)
    old, line = alias_file(zoo, "staging").read_bytes(), reader(zoo)
    owner(zoo).alias_log.delete(ENTRY, "staging")
    with pytest.raises(ReleaseNotFoundError):
        line.resolve(ENTRY, alias="staging")
    alias_file(zoo, "staging").write_bytes(old)
    with pytest.raises(StaleError):
        line.resolve(ENTRY, alias="staging")


@pytest.mark.parametrize("how", ["removed", "damaged"])
def test_to_remove_what_says_which_zoo_it_is_makes_nobody_forget(zoo, key, how):
    owner(zoo, key).set_alias(ENTRY, "champion", 1)
    old, original = alias_file(zoo).read_bytes(), read_identity(FolderStore(zoo)).id
    owner(zoo, key).set_alias(ENTRY, "champion", 2)
    line = reader(zoo, key, signed_for=(original,))
    assert line.resolve(ENTRY).release == 2
    alias_file(zoo).write_bytes(old)
    (zoo / "zoo.json").chmod(0o644)
    (zoo / "zoo.json").unlink() if how == "removed" else (zoo / "zoo.json").write_text("{}")
    with pytest.raises(StaleError if how == "removed" else ManifestInvalidError):
        reader(zoo, key, signed_for=(original,)).resolve(ENTRY)


def document(value):
    shared = {"split": {"digest": "aa"}, "dataset": {"fingerprint": "ff"}, "input": {"size": 256}}
    return {"protocol": "holdout", "objective": {"name": "aupro", "value": value}, **shared}


@pytest.mark.parametrize("what", ["as it was", "moved by a stranger", "taken away", "deleted by its owner", "expiring"])
def test_nothing_becomes_champion_by_itself_on_ground_that_is_not_the_owners(tmp_path, key, what):
    folder, entry = tmp_path / "zoo", EntryName.parse(ENTRY)
    publisher = owner(folder, key)
    publisher.states.demand(lambda: by(key, always=True))
    for value in (0.9, 0.5, 0.8):
        publisher.publish(ENTRY, document(value), {}, alias=None)
    expires = FAR_AWAY if what == "expiring" else None
    publisher.set_alias(ENTRY, "champion", 2, reason=Reason(expires=expires))
    publisher.resolve(ENTRY)
    if what == "moved by a stranger":
        owner(folder).set_alias(ENTRY, "champion", 1)
    elif what == "taken away":
        alias_file(folder).unlink()
    elif what == "deleted by its owner":
        publisher.alias_log.delete(ENTRY, "champion")
    verdict = champions.crown(publisher, entry, document(0.8), 3)
    assert verdict.wins == (what in ("as it was", "deleted by its owner", "expiring")), verdict.note
    if not verdict.wins:
        assert "promote --force" in verdict.note
        assert champions.promote(publisher, entry, 3, force=True).release == 3
    now = publisher.follow_alias(ENTRY, "champion")
    assert now.release == 3 and now.signature is not None
    assert (now.expires or "")[:4] == ("2099" if expires else "")


@pytest.mark.parametrize("far", [False, True])
def test_a_cache_that_cannot_be_written_withholds_nothing(zoo, monkeypatch, far, caplog):
    owner(zoo).set_alias(ENTRY, "champion", 2)

    def full(self, place, key, data):
        raise StoreUnavailableError("the disk is full")

    monkeypatch.setattr(BlobCache, "remember", full)
    line = reader(zoo, far=far)
    for _ in range(2):
        assert line.resolve(ENTRY).release == 2
        line.withdrawn.check(EntryName.parse(ENTRY), 2)
    if not far:
        assert caplog.records == []  # nothing is kept of a folder for offline use, and nobody need hear of it
