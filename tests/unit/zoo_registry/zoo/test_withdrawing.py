"""Withdrawn releases: refused by whoever loads, whatever leads there, and not brought back by an older file."""

import dataclasses
import os
import shutil
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from helpers.zoos import ENTRY, FarFolder, by, machine, publish

from zoo_registry import BlobCache, EntryName, Registry
from zoo_registry.errors import (
    ConflictError,
    ManifestInvalidError,
    ReleaseNotFoundError,
    StoreRefusedError,
    StoreUnavailableError,
    WithdrawnError,
)
from zoo_registry.format.layout import withdrawals_key
from zoo_registry.format.signing import SigningKey
from zoo_registry.format.withdrawals import Withdrawn
from zoo_registry.store.folder import FolderStore
from zoo_registry.upkeep.copying import copy
from zoo_registry.upkeep.fsck import fsck
from zoo_registry.upkeep.gc import collect
from zoo_registry.zoo.withdrawing import next_state

NAME = EntryName.parse(ENTRY)


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda handle: None)


@pytest.fixture(scope="module")
def key():
    return SigningKey.generate()


@pytest.fixture
def zoo(tmp_path):
    for text in ("one", "two", "three"):
        publish(tmp_path / "zoo", text)
    return tmp_path / "zoo"


def opened(folder, key=None, *, name="owner", far=False, offline=False, told=None):
    return machine(folder, name, key=key, far=far, offline=offline, told=told)


def strict(folder, key, name="line-1", signs=False):
    return machine(folder, name, key=key if signs else None, demand=by(key))


def file_of(folder, *, make=False):
    path = folder / withdrawals_key(NAME)
    path.touch() if make else path.chmod(0o644)
    return path


def test_withdrawn_and_taken_back(zoo):
    owner = opened(zoo)
    assert owner.withdrawn.of(NAME) == {}
    owner.withdrawn.check(NAME, 2)
    made = owner.withdrawn.change(NAME, 2, who="ada", why="mislabelled")
    assert (list(made.releases), made.signature) == ([2], None)
    assert abs(made.number - time.time()) < 60
    with pytest.raises(WithdrawnError, match=r"release 2 was withdrawn by ada on .*: mislabelled"):
        opened(zoo, name="line").withdrawn.check(NAME, 2)
    owner.withdrawn.check(NAME, 1)
    assert owner.withdrawn.change(NAME, 2) is None
    owner.withdrawn.change(NAME, 1)
    last = owner.withdrawn.change(NAME, 2, withdraw=False)
    assert last.number == made.number + 2 or last.number <= time.time()
    assert list(owner.withdrawn.of(NAME)) == [1]
    with pytest.raises(ReleaseNotFoundError, match="release 2 is not withdrawn"):
        owner.withdrawn.change(NAME, 2, withdraw=False)
    assert fsck(FolderStore(zoo)).is_sound
    assert collect(FolderStore(zoo), grace=0, now=1e11).removed == ()


def test_no_alias_is_pointed_at_one(zoo):
    owner = opened(zoo)
    owner.withdrawn.change(NAME, 2)
    with pytest.raises(WithdrawnError):
        owner.set_alias(ENTRY, "staging", 2)
    assert owner.set_alias(ENTRY, "staging", 1).release == 1


def test_of_many_at_once_each_is_written(zoo):
    for n in range(4, 11):
        publish(zoo, f"{n}")
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: opened(zoo).withdrawn.change(NAME, n), range(1, 9)))
    assert sorted(opened(zoo).withdrawn.of(NAME)) == list(range(1, 9))


@pytest.mark.parametrize("far", [False, True])
@pytest.mark.parametrize("how", ["an older state", "none", "another of the same number"])
def test_it_is_not_brought_back_by_an_older_file(zoo, how, far):
    owner, told = opened(zoo), []
    line = opened(zoo, name="line", far=far, told=told)
    owner.withdrawn.change(NAME, 1)
    before = file_of(zoo).read_bytes()
    made = owner.withdrawn.change(NAME, 2)
    with pytest.raises(WithdrawnError):
        line.withdrawn.check(NAME, 2)
    if how == "none":
        file_of(zoo).unlink()
    elif how == "an older state":
        file_of(zoo).write_bytes(before)
    else:
        other = dataclasses.replace(made, releases={}, write_id="ab" * 16)
        file_of(zoo).write_bytes(other.to_bytes())
    for _ in range(2):
        with pytest.raises(WithdrawnError):
            line.withdrawn.check(NAME, 2)
        line.withdrawn.check(NAME, 3)
    assert "stays" in told[0]
    if far:
        with pytest.raises(WithdrawnError):
            opened(zoo, name="line", far=True, offline=True).withdrawn.check(NAME, 2)
    # The owner goes on from what was known there, and is believed again.
    owner.withdrawn.change(NAME, 3)
    assert sorted(owner.withdrawn.of(NAME)) == [1, 2, 3]
    owner.withdrawn.change(NAME, 2, withdraw=False)
    assert sorted(line.withdrawn.of(NAME)) == [1, 3]


def test_another_zoo_at_the_place_has_withdrawn_nothing(zoo):
    opened(zoo).withdrawn.change(NAME, 1)
    shutil.rmtree(zoo)
    publish(zoo, "anew")
    assert opened(zoo).withdrawn.of(NAME) == {}


def test_to_remove_what_says_which_zoo_it_is_brings_nothing_back(zoo):
    opened(zoo).withdrawn.change(NAME, 1)
    (zoo / "zoo.json").unlink()
    file_of(zoo).unlink()
    with pytest.raises(WithdrawnError):
        opened(zoo).withdrawn.check(NAME, 1)
    (zoo / "zoo.json").write_text("{}")
    with pytest.raises(ManifestInvalidError):
        opened(zoo).withdrawn.check(NAME, 1)


def test_who_asks_for_signatures_heeds_any_withdrawal_and_no_strangers_undoing(zoo, key):
    line = strict(zoo, key)
    opened(zoo).withdrawn.change(NAME, 1)
    with pytest.raises(WithdrawnError):
        line.withdrawn.check(NAME, 1)  # unsigned, and heeded: refusing is the safe side
    signed = opened(zoo, key).withdrawn.change(NAME, 2)
    assert key.public.has_signed(signed.signed_bytes, signed.signature)
    with pytest.raises(WithdrawnError):
        line.withdrawn.check(NAME, 2)
    stranger = opened(zoo, name="stranger")
    stranger.withdrawn.change(NAME, 2, withdraw=False)
    stranger.withdrawn.change(NAME, 3)
    for number in (1, 2, 3):
        with pytest.raises(WithdrawnError):
            line.withdrawn.check(NAME, number)
    # Whoever has the key and asks for signatures signs nothing that a stranger made of it.
    owner = strict(zoo, key, name="line-1", signs=True)
    owner.withdrawn.change(NAME, 1, withdraw=False)
    assert sorted(line.withdrawn.of(NAME)) == sorted(opened(zoo, name="new").withdrawn.of(NAME)) == [2, 3]


def test_one_that_nobody_signed_is_signed_by_withdrawing_again(zoo, key):
    opened(zoo).withdrawn.change(NAME, 1, who="bo")
    assert opened(zoo).withdrawn.change(NAME, 1) is None
    made = opened(zoo, key).withdrawn.change(NAME, 1)
    assert made.signature is not None and made.releases[1].who == "bo"
    assert opened(zoo, key).withdrawn.change(NAME, 1) is None


def test_what_a_stranger_counted_up_is_put_right_by_a_signed_state(zoo, key):
    line = strict(zoo, key)
    forged = next_state(NAME, 0, {1: Withdrawn(since="2031-01-01T00:00:00Z")})
    file_of(zoo, make=True).write_bytes(dataclasses.replace(forged, number=2**53).to_bytes())
    with pytest.raises(WithdrawnError):
        line.withdrawn.check(NAME, 1)
    right = opened(zoo, key).states.sign_withdrawals(next_state(NAME, 0, {}))
    file_of(zoo).write_bytes(right.to_bytes())
    line.withdrawn.check(NAME, 1)


def test_damage_is_told_and_refused(zoo):
    opened(zoo).withdrawn.change(NAME, 1)
    file_of(zoo).write_bytes(b"{}")
    with pytest.raises(ManifestInvalidError, match="what is withdrawn of rd/demo/weave"):
        opened(zoo).withdrawn.check(NAME, 3)
    assert [one.kind.value for one in fsck(FolderStore(zoo)).findings] == ["withdrawals-damaged"]
    shutil.copytree(zoo / "entries" / ENTRY, zoo / "entries" / "rd" / "demo" / "other")
    opened(zoo)  # a file of another entry
    file_of(zoo).unlink()
    opened(zoo).withdrawn.change(NAME, 1)
    shutil.copy(file_of(zoo), zoo / "entries" / "rd" / "demo" / "other" / "withdrawn.json")
    with pytest.raises(ManifestInvalidError, match="says it is of rd/demo/weave"):
        opened(zoo).withdrawn.check(EntryName.parse("rd/demo/other"), 1)


class Counted(FarFolder):
    """Counts how often it is asked what is withdrawn, and may be out of reach or refuse."""

    def __init__(self, folder):
        super().__init__(folder)
        self.asked, self.error = 0, None

    def get(self, key, **options):
        if key == withdrawals_key(NAME):
            self.asked += 1
            if self.error is not None:
                raise self.error
        return super().get(key, **options)


def test_a_release_that_is_loaded_by_number_asks_once_a_day(zoo, tmp_path, monkeypatch):
    store = Counted(zoo)
    line = Registry(store, BlobCache(tmp_path / "line"))
    for _ in range(3):
        line.withdrawn.check(NAME, 2, trust_cache=True)
    assert store.asked == 1
    line.withdrawn.check(NAME, 2)
    assert store.asked == 2
    opened(zoo).withdrawn.change(NAME, 2)
    line.withdrawn.check(NAME, 2, trust_cache=True)
    monkeypatch.setattr("zoo_registry.zoo.withdrawing._ASKED_S", 0.0)
    with pytest.raises(WithdrawnError):
        line.withdrawn.check(NAME, 2, trust_cache=True)


def test_out_of_reach_goes_by_what_was_asked_before(zoo, tmp_path):
    store = Counted(zoo)
    line = Registry(store, BlobCache(tmp_path / "line"))
    store.error = StoreUnavailableError("no network")
    line.withdrawn.check(NAME, 2)  # never asked
    line.withdrawn.check(NAME, 2, trust_cache=True)
    assert store.asked == 1  # for some minutes it is not tried again for what is in the cache
    store.error = StoreRefusedError("may not list")
    line.withdrawn.check(NAME, 2)
    store.error = None
    opened(zoo).withdrawn.change(NAME, 2)
    with pytest.raises(WithdrawnError):
        line.withdrawn.check(NAME, 2)
    for store.error in (StoreUnavailableError("no network"), StoreRefusedError("the token has expired")):
        with pytest.raises(WithdrawnError):
            line.withdrawn.check(NAME, 2)
    away = Registry(store, BlobCache(tmp_path / "line"), offline=True)
    with pytest.raises(WithdrawnError):
        away.withdrawn.check(NAME, 2)


def test_a_copy_withdraws_what_its_source_does_and_keeps_its_own(zoo, tmp_path):
    source, target = FolderStore(zoo), FolderStore(tmp_path / "copy")
    opened(zoo).withdrawn.change(NAME, 1)
    told = []
    copy(source, target, [ENTRY], warn=told.append)
    assert list(opened(tmp_path / "copy").withdrawn.of(NAME)) == [1]
    opened(zoo).withdrawn.change(NAME, 2)
    copy(source, target, [ENTRY], warn=told.append)
    assert list(opened(tmp_path / "copy").withdrawn.of(NAME)) == [1, 2] and told == []
    opened(tmp_path / "copy").withdrawn.change(NAME, 3)
    opened(zoo).withdrawn.change(NAME, 1, withdraw=False)
    copy(source, target, [ENTRY], warn=told.append)
    assert sorted(opened(tmp_path / "copy").withdrawn.of(NAME)) == [1, 2, 3]
    publish(zoo, "four")
    opened(zoo).withdrawn.change(NAME, 4)
    done = copy(source, target, [ENTRY], warn=told.append)
    assert sorted(opened(tmp_path / "copy").withdrawn.of(NAME)) == [1, 2, 3, 4]
    assert done.withdrawn == (f"{ENTRY} release 4",) and told == []
    copy(source, FolderStore(tmp_path / "dry"), [ENTRY], dry_run=True)
    assert not (tmp_path / "dry").exists()


def test_others_who_never_stop_are_told_of(zoo, monkeypatch):
    monkeypatch.setattr("zoo_registry.zoo.withdrawing.time.sleep", lambda seconds: None)
    monkeypatch.setattr(FolderStore, "compare_and_swap", lambda *args: False)
    with pytest.raises(ConflictError, match="all the time"):
        opened(zoo).withdrawn.change(NAME, 1)
