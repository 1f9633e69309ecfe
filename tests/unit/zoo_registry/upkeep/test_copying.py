"""Copying between zoos: byte for byte, once, resumable, and never over something else."""

import json
import os
import shutil

import pytest
from helpers.zoos import ENTRY, publish, tree

from zoo_registry import Registry
from zoo_registry.errors import (
    BlobCorruptError,
    ConflictError,
    EntryNotFoundError,
    ManifestInvalidError,
    NameInvalidError,
    ReleaseNotFoundError,
    SignatureError,
    StoreUnavailableError,
    ZooNotFoundError,
)
from zoo_registry.format.layout import blob_key
from zoo_registry.format.names import EntryName
from zoo_registry.format.signing import SigningKey, TrustedKeys
from zoo_registry.store.folder import FolderStore
from zoo_registry.store.s3.store import S3Store
from zoo_registry.upkeep.copy_plan import choose_entries
from zoo_registry.upkeep.copying import check_blob, copy
from zoo_registry.upkeep.fsck import fsck
from zoo_registry.zoo.aliasing import Reason

OTHER = "aand/mvtec/bottle"


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch):
    """What a power cut would leave is not tested here, and many small files take their time to be synced."""
    monkeypatch.setattr(os, "fsync", lambda handle: None)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made") / "source"
    publish(folder, "one")
    publish(folder, "two")
    publish(folder, "three", entry=OTHER)
    zoo = open_zoo(folder)
    zoo.signatures.add(zoo.resolve(ENTRY, 2), SigningKey.generate())
    return folder


@pytest.fixture
def source(made, tmp_path):
    """Two releases of one entry, the second champion and signed, and one of another."""
    shutil.copytree(made, tmp_path / "source")
    return FolderStore(tmp_path / "source")


@pytest.fixture
def target(tmp_path):
    return FolderStore(tmp_path / "target")


def open_zoo(folder) -> Registry:
    return Registry.open(folder, cache=folder.parent / "cache")


def files(store) -> dict[str, bytes]:
    return tree(store.root, "entries", "blobs")


def weights(store, release=1) -> str:
    """The key of a release's weights."""
    return blob_key(open_zoo(store.root).resolve(ENTRY, release).blobs["weights"].sha256)


def damage(store, key, data=b"something else"):
    path = store.root / key
    path.chmod(0o644)
    path.write_bytes(data)


@pytest.fixture(autouse=True)
def roots(monkeypatch):
    monkeypatch.setattr(FolderStore, "root", property(lambda self: self._root), raising=False)


def test_everything_byte_for_byte(source, target):
    done = copy(source, target, None)
    assert done.releases == (f"{OTHER} release 1", f"{ENTRY} release 1", f"{ENTRY} release 2")
    assert (done.blobs, done.signatures, done.same) == (4, 1, 0)  # three weights and the teacher they share
    assert files(target) == files(source)
    assert fsck(target, deep=True).findings == ()
    assert [move.release for move in open_zoo(target.root).alias_log.moves(ENTRY, "champion")] == [1, 2]


def test_a_second_time_nothing_is_left_to_do(source, target):
    copy(source, target, None)
    before = {path: path.stat().st_mtime_ns for path in target.root.rglob("*.json")}
    done = copy(source, target, None)
    assert (done.releases, done.same, done.blobs, done.size, done.signatures) == ((), 3, 0, 0, 0)
    assert (done.moved, done.kept) == ((), ())
    assert {path: path.stat().st_mtime_ns for path in target.root.rglob("*.json")} == before


def test_a_dry_run_says_the_same_and_writes_nothing(source, target):
    planned = copy(source, target, None, dry_run=True)
    assert not target.root.exists()
    assert copy(source, target, None) == planned


def test_only_what_an_alias_points_at(source, target):
    done = copy(source, target, [ENTRY], alias="champion")
    assert done.releases == (f"{ENTRY} release 2",)
    zoo = open_zoo(target.root)
    assert (zoo.releases(ENTRY), zoo.list_entries()) == ([2], [EntryName.parse(ENTRY)])
    assert zoo.resolve(ENTRY).document["note"] == "two"
    assert zoo.fetch(zoo.resolve(ENTRY), "weights").read_text() == "two"
    later = copy(source, target, None)
    assert later.same == 1 and files(target) == files(source)


def test_entries_without_the_alias_are_told_of(source, target):
    open_zoo(source.root).set_alias(ENTRY, "line-3", 1)
    done = copy(source, target, None, alias="line-3")
    assert (done.releases, done.skipped) == ((f"{ENTRY} release 1",), (OTHER,))
    with pytest.raises(ReleaseNotFoundError, match="staging"):
        copy(source, target, None, alias="staging")


@pytest.mark.parametrize(
    ("patterns", "chosen"),
    [
        (["aand/mvtec/*"], [OTHER]),
        (["*/*/weave"], [ENTRY]),
        (["*/*/*"], [OTHER, ENTRY]),
        ([ENTRY, "rd/*/*"], [ENTRY]),
        (["[a-b]*/mvtec/b?ttle"], [OTHER]),
    ],
)
def test_patterns(patterns, chosen):
    entries = [EntryName.parse(OTHER), EntryName.parse(ENTRY)]
    assert [str(name) for name in choose_entries(entries, patterns, where="zoo")] == chosen


def test_patterns_that_match_nothing_say_what_is_near():
    entries = [EntryName.parse(OTHER), EntryName.parse(ENTRY)]
    with pytest.raises(EntryNotFoundError, match=r"zoo has no entry rd/demo/weav$") as error:
        choose_entries(entries, [OTHER, "rd/demo/weav"], where="zoo")
    assert ENTRY in error.value.hint
    for wrong in ("*", "rd/*", "rd/demo/weave/x", ""):
        with pytest.raises(NameInvalidError, match="method/dataset/category"):
            choose_entries(entries, [wrong], where="zoo")


def test_another_release_under_the_same_number_stops_it_before_anything_is_written(source, target):
    publish(target.root, "mine")
    before = files(target)
    with pytest.raises(ConflictError, match=f"{ENTRY} release 1, published") as error:
        copy(source, target, None)
    assert str(source.root) in str(error.value) and str(target.root) in str(error.value)
    assert files(target) == before
    assert copy(source, target, [OTHER]).releases == (f"{OTHER} release 1",)


def test_a_damaged_manifest_in_the_target_is_a_conflict_too(source, target):
    copy(source, target, None)
    damage(target, f"entries/{ENTRY}/releases/000001.json", b"{")
    with pytest.raises(ConflictError, match="release 1 is damaged there"):
        copy(source, target, None)


def test_a_copy_that_was_stopped_at_any_write_goes_on(source, tmp_path, monkeypatch):
    put, left = FolderStore.put_if_absent, [0]

    def stop(self, key, *args, **options):
        if self.root != source.root and not key.startswith("probe/"):
            left[0] -= 1
            if left[0] == 0:
                raise StoreUnavailableError("the network is gone")
        return put(self, key, *args, **options)

    monkeypatch.setattr(FolderStore, "put_if_absent", stop)
    for writes in range(1, 40):
        target, left[0] = FolderStore(tmp_path / f"target{writes}"), writes
        try:
            copy(source, target, None)
        except StoreUnavailableError:
            if target.list("entries/"):
                assert [found for found in fsck(target).findings if found.kind.is_wrong] == []
            left[0] = 0
            copy(source, target, None)
            assert files(target) == files(source)
        else:
            break
    assert writes > 11, "4 blobs, 3 manifests, 1 signature and 3 moves of aliases are written"


def test_what_lies_in_the_target_is_sent_again_only_if_it_is_wrong(source, target):
    whole, wrong = weights(source, 1), weights(source, 2)
    for key in (whole, wrong):
        target.put_if_absent(key, (source.root / key).read_bytes())
    damage(target, wrong, b"xxx")
    told: list[str] = []
    done = copy(source, target, [ENTRY], warn=told.append)
    assert done.blobs == 2, "the damaged one, and the teacher"
    assert len(told) == 2 and wrong in told[0] and "replaced" in told[1]
    assert fsck(target, deep=True).is_sound


def test_a_blob_that_is_missing_under_a_release_is_mended(source, target):
    copy(source, target, None)
    target.delete(weights(source))
    done = copy(source, target, None)
    assert (done.releases, done.blobs) == ((), 1)
    assert fsck(target, deep=True).is_sound


@pytest.mark.parametrize("data", [b"eno", b"one and more"])
def test_damage_in_the_source_does_not_spread(source, target, data):
    damage(source, weights(source), data)
    with pytest.raises(BlobCorruptError, match=weights(source)[-64:]):
        copy(source, target, None)
    assert not list(target.root.glob("entries/**/*.json"))


def test_a_manifest_under_a_wrong_name_is_not_copied(source, target):
    folder = source.root / "entries" / ENTRY / "releases"
    (folder / "000003.json").write_bytes((folder / "000001.json").read_bytes())
    with pytest.raises(ManifestInvalidError, match="release 3 says it is of rd/demo/weave release 1"):
        copy(source, target, None)


def test_an_alias_follows_while_the_target_only_copies(source, target):
    copy(source, target, None)
    open_zoo(source.root).set_alias(ENTRY, "champion", 1, reason=Reason(action="rollback", why="alarms"))
    (moved,) = copy(source, target, None).moved
    assert (moved.alias, moved.newest.release, moved.stand) == ("champion", 1, "forward")
    assert files(target) == files(source)
    open_zoo(source.root).alias_log.delete(ENTRY, "champion")
    copy(source, target, None)
    assert open_zoo(target.root).aliases(ENTRY) == {} and files(target) == files(source)


def test_an_alias_that_the_target_moved_stays(source, target):
    copy(source, target, None)
    there = open_zoo(target.root)
    there.set_alias(ENTRY, "champion", 1, reason=Reason(why="our line knows better"))
    (kept,) = copy(source, target, None).kept
    assert (kept.stand, kept.newest.release) == ("ahead", 2)
    open_zoo(source.root).set_alias(ENTRY, "champion", 1)
    open_zoo(source.root).set_alias(ENTRY, "champion", 2)
    (kept,) = copy(source, target, None).kept
    assert kept.stand == "diverged"
    assert there.read_alias(ENTRY, "champion").why == "our line knows better"
    assert len(there.alias_log.moves(ENTRY, "champion")) == 3


def test_an_alias_of_the_targets_own_stays(source, target):
    publish(target.root, "mine", entry="rd/demo/milled")
    open_zoo(source.root)
    publish(source.root, "theirs", entry="rd/demo/print")
    copy(source, target, None)
    assert open_zoo(target.root).resolve("rd/demo/milled").document["note"] == "mine"


def test_a_killed_mover_leaves_an_alias_whose_log_the_next_copy_completes(source, target, monkeypatch):
    put = FolderStore.put_if_absent

    def killed(self, key, *args, **options):
        if self is target and "/history/" in key:
            raise StoreUnavailableError("killed")
        return put(self, key, *args, **options)

    with monkeypatch.context() as patch:
        patch.setattr(FolderStore, "put_if_absent", killed)
        with pytest.raises(StoreUnavailableError):
            copy(source, target, [ENTRY])
    assert open_zoo(target.root).read_alias(ENTRY, "champion").release == 2
    copy(source, target, [ENTRY])
    assert len(open_zoo(target.root).alias_log.moves(ENTRY, "champion")) == 2


def test_signatures_come_along_also_later_and_damaged_ones_do_not(source, target):
    copy(source, target, None)
    zoo, key = open_zoo(source.root), SigningKey.generate()
    zoo.signatures.add(zoo.resolve(ENTRY, 1), key)
    bad = f"entries/{ENTRY}/signatures/000001/{'0' * 32}.json"
    source.put_if_absent(bad, b"{}")
    stranger = f"entries/{ENTRY}/signatures/000001/{'1' * 32}.json"
    source.put_if_absent(stranger, SigningKey.generate().sign(b"").to_bytes())
    told: list[str] = []
    assert copy(source, target, None, warn=told.append).signatures == 1
    assert len(told) == 2 and all("left out" in text for text in told)
    there = open_zoo(target.root)
    trusted, origin = TrustedKeys(keys=(key.public,), source="k"), zoo.identity().id
    # A copy is a zoo of its own: what was signed for the source counts for those who say so.
    assert there.identity().id != origin
    there.signatures.require(there.resolve(ENTRY, 1), trusted, signed_for=[origin])
    with pytest.raises(SignatureError, match=f"for zoo {origin}, which does not count here"):
        there.signatures.require(there.resolve(ENTRY, 1), trusted)
    assert there.signatures.add(there.resolve(ENTRY, 1), key)
    there.signatures.require(there.resolve(ENTRY, 1), trusted)
    again = copy(source, target, None, warn=lambda text: None)
    assert (again.signatures, again.signed_for) == (0, (origin,))


def test_teachers_that_stand_by_themselves_go_with_all(source, target, tmp_path):
    sha256 = open_zoo(source.root).resolve(ENTRY).blobs["teacher"].sha256
    alone = publish(source.root, "a teacher of its own", entry="rd/demo/print").manifest.blobs["weights"].sha256
    card = json.dumps({"blob": {"sha256": alone, "size": 20}, "made_from": "f" * 64, "base": sha256}).encode()
    source.put_if_absent("teachers/small.json", card)
    copy(source, target, [ENTRY])
    assert target.list("teachers/") == []
    copy(source, target, None)
    assert target.get("teachers/small.json") == card and target.stat(blob_key(alone)).size == 20
    damage(target, "teachers/small.json", b"{}")
    with pytest.raises(ConflictError, match=r"teachers/small\.json"):
        copy(source, target, None)


def test_from_nowhere_from_an_empty_zoo_and_to_itself(source, target, tmp_path):
    with pytest.raises(ZooNotFoundError):
        copy(FolderStore(tmp_path / "nowhere"), target, None)
    (tmp_path / "empty" / "entries").mkdir(parents=True)
    with pytest.raises(EntryNotFoundError, match="empty"):
        copy(FolderStore(tmp_path / "empty"), target, None)
    with pytest.raises(NameInvalidError, match="both"):
        copy(source, FolderStore(source.root), None)


def test_progress_ends_at_its_total(source, target):
    seen: dict[str, tuple[int, int]] = {}
    copy(source, target, None, progress=lambda what, done, total: seen.update({what: (done, total)}))
    assert {"Reading manifests", "Copying", "Writing manifests"} <= seen.keys()
    assert all(done == total > 0 for done, total in seen.values())


def test_to_s3_and_back(source, target, s3):
    client = s3.client()
    far = S3Store(s3.new_bucket(client), "zoo", client=client)
    copy(source, far, None)
    done = copy(far, target, None)
    assert done.blobs == 4 and files(target) == files(source)


def test_a_blob_is_compared_with_its_digest(source):
    ref = open_zoo(source.root).resolve(ENTRY, 1).blobs["weights"]
    check_blob(source, ref)
    damage(source, blob_key(ref.sha256), b"eno")
    with pytest.raises(BlobCorruptError, match="3 bytes"):
        check_blob(source, ref)
