"""Who becomes champion, by which rule, and what the log says of it."""

import pytest

from kdzoo.champions import CHAMPION, delete, point, promote, rollback
from kdzoo.errors import PromotionError
from kdzoo.zoo import publish
from zoo_registry import EntryName, Registry
from zoo_registry.errors import ConflictError, EntryNotFoundError, NameInvalidError, ReleaseNotFoundError

ENTRY = EntryName(method="aand", dataset="parts", category="screw")


def document(value, *, protocol="holdout", digest="aa", **seen):
    return {
        "protocol": protocol,
        "split": {"digest": digest, "seed": 0},
        "objective": {"name": "image_auroc", "value": value},
        "dataset": {"fingerprint": "ff"},
        "input": {"size": 256, **seen},
    }


def released(registry, *documents):
    """Releases 1, 2, ... of the documents; the first is champion."""
    for number, made in enumerate(documents, 1):
        assert registry.publish(ENTRY, made, {}, alias=None).release == number
    registry.set_alias(ENTRY, CHAMPION, 1)


@pytest.fixture
def registry(tmp_path):
    return Registry.open(tmp_path / "zoo", cache=tmp_path / "cache")


def test_a_release_that_sees_images_in_another_shape_stands_beside(registry):
    padded = document(0.9, resize="bilinear-antialiased-padded")
    released(registry, document(0.8), padded, document(0.9, resize="bilinear-antialiased-square"))
    with pytest.raises(PromotionError, match="another protocol, split, objective, input size, resizing or data"):
        promote(registry, ENTRY, 2)
    assert promote(registry, ENTRY, 3).release == 3, "what an early document does not say is what there was"


def moves(registry, alias=CHAMPION):
    return [(move.action, move.previous, move.release) for move in registry.alias_log.moves(ENTRY, alias)]


def test_a_better_release_is_promoted_and_the_log_says_why(registry):
    released(registry, document(0.8), document(0.9))
    moved = promote(registry, ENTRY, 2, who="ada@line3")
    assert (moved.release, moved.who, moved.why) == (2, "ada@line3", "beats champion 1 (0.8000)")
    assert registry.resolve(ENTRY).release == 2
    assert moves(registry) == [("set", None, 1), ("promote", 1, 2)]
    assert promote(registry, ENTRY, 2) == moved, "what is champion already is not moved"
    assert len(moves(registry)) == 2


@pytest.mark.parametrize(
    "challenger",
    [document(0.8), document(0.7), document(0.9, protocol="test"), document(0.9, digest="bb"), {"odd": True}],
    ids=["equal", "worse", "other protocol", "other split", "says nothing"],
)
def test_what_does_not_beat_the_champion_needs_force(registry, challenger):
    released(registry, document(0.8), challenger)
    with pytest.raises(PromotionError, match="does not become champion") as refused:
        promote(registry, ENTRY, 2)
    assert "kdzoo zoo promote aand/parts/screw 2 --force" in refused.value.hint
    with pytest.raises(PromotionError):
        point(registry, ENTRY, CHAMPION, 2)
    assert registry.resolve(ENTRY).release == 1
    assert promote(registry, ENTRY, 2, force=True).why == "by force"
    assert registry.resolve(ENTRY).release == 2


def test_other_aliases_are_free(registry):
    released(registry, document(0.8), document(0.7))
    assert point(registry, ENTRY, "staging", 2, why="on trial").why == "on trial"
    assert registry.resolve(ENTRY, alias="staging").release == 2


def test_publishing_is_logged(registry):
    for value in (0.8, 0.7, 0.9):
        publish(registry, ENTRY, document(value), {}, who="sweep-7")
    assert moves(registry) == [("publish", None, 1), ("publish", 1, 2)]
    last = registry.read_alias(ENTRY, CHAMPION)
    assert (last.who, last.why) == ("sweep-7", "beats champion 1 (0.8000)")


def test_rollback_goes_back_and_further_back(registry):
    released(registry, document(0.7), document(0.8), document(0.9))
    promote(registry, ENTRY, 2)
    promote(registry, ENTRY, 3)
    assert rollback(registry, ENTRY, why="misses scratches").release == 2
    assert rollback(registry, ENTRY).release == 1
    with pytest.raises(PromotionError, match="no release before"):
        rollback(registry, ENTRY)
    assert moves(registry)[-2:] == [("rollback", 3, 2), ("rollback", 2, 1)]
    assert registry.alias_log.moves(ENTRY, CHAMPION)[3].why == "misses scratches"


def test_a_deleted_alias_is_rolled_back_to_what_it_was(registry):
    released(registry, document(0.7))
    point(registry, ENTRY, "staging", 1)
    delete(registry, ENTRY, "staging", why="over")
    assert rollback(registry, ENTRY, "staging").release == 1


def test_champion_is_deleted_by_force_alone_and_then_anyone_wins(registry):
    released(registry, document(0.9), document(0.1))
    with pytest.raises(PromotionError, match="champion"):
        delete(registry, ENTRY, CHAMPION)
    delete(registry, ENTRY, CHAMPION, force=True)
    with pytest.raises(ReleaseNotFoundError):
        registry.resolve(ENTRY)
    assert promote(registry, ENTRY, 2).why == "first champion"


def test_what_is_not_there_is_named(registry):
    released(registry, document(0.9))
    with pytest.raises(ReleaseNotFoundError, match="release 7"):
        promote(registry, ENTRY, 7, force=True)
    with pytest.raises(EntryNotFoundError):
        rollback(registry, EntryName("aand", "parts", "nut"))
    with pytest.raises(ReleaseNotFoundError, match="staging"):
        rollback(registry, ENTRY, "staging")
    with pytest.raises(NameInvalidError):
        point(registry, ENTRY, "../x", 1)


def rival_in_between(registry, monkeypatch, release):
    """Lets a rival move the champion just before the next move."""
    real, due = registry.set_alias, [release]

    def moved(*args, **kwargs):
        if due:
            real(ENTRY, CHAMPION, due.pop())
        return real(*args, **kwargs)

    monkeypatch.setattr(registry, "set_alias", moved)


def test_a_rival_in_between_is_compared_with(registry, monkeypatch):
    released(registry, document(0.7), document(0.8), document(0.9))
    rival_in_between(registry, monkeypatch, 3)
    with pytest.raises(PromotionError, match=r"champion 3 stays \(0.9000\)"):
        promote(registry, ENTRY, 2)
    assert registry.resolve(ENTRY).release == 3


def test_force_and_rollback_do_not_overrule_what_was_not_seen(registry, monkeypatch):
    released(registry, document(0.7), document(0.8), document(0.9))
    promote(registry, ENTRY, 3)
    rival_in_between(registry, monkeypatch, 2)
    with pytest.raises(ConflictError, match="points at release 2"):
        promote(registry, ENTRY, 1, force=True)
    rival_in_between(registry, monkeypatch, 3)
    with pytest.raises(ConflictError, match="points at release 3"):
        rollback(registry, ENTRY)
