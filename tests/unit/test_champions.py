"""Who becomes champion, by which rule, and what the log says of it."""

import pytest

from kdzoo.champions import CHAMPION, delete, judge, point, promote, rollback
from kdzoo.errors import PromotionError
from kdzoo.zoo import publish
from zoo_registry import EntryName, Registry
from zoo_registry.errors import ConflictError, EntryNotFoundError, NameInvalidError, ReleaseNotFoundError

ALONE = "by the value alone: scores of single images are not kept of both"
"""Of documents like these, which earlier versions wrote."""
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
    with pytest.raises(PromotionError, match="not compared with champion 1: another resizing;"):
        promote(registry, ENTRY, 2)
    assert promote(registry, ENTRY, 3).release == 3, "what an early document does not say is what there was"


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"protocol": "test"}, "another protocol;"),
        ({"split": {"digest": "bb"}}, "another split;"),
        ({"objective": {"name": "aupro", "value": 0.9}}, "another objective;"),
        ({"dataset": {"fingerprint": "00"}}, "another data;"),
        ({"input": {"size": 128}}, "another input size;"),
        (
            {"protocol": "test", "split": {"digest": "bb"}, "input": {"size": 128}},
            "another protocol, split and input size;",
        ),
        ({"dataset": {}}, "data not said by both;"),
        ({"dataset": 3, "protocol": "test"}, "another protocol; data not said by both;"),
        ({"objective": {"name": "image_auroc", "value": None}}, "this one does not say its value;"),
        ({"objective": {"name": "image_auroc", "value": float("nan")}}, "this one does not say its value;"),
    ],
)
def test_what_is_not_compared_says_which_terms_differ(registry, changed, said):
    released(registry, document(0.8))
    verdict = judge(registry, ENTRY, document(0.9) | changed)
    assert (verdict.wins, verdict.loses) == (False, False)
    assert verdict.note == f"not compared with champion 1: {said} `kdzoo zoo promote --force` moves it"


def test_another_teacher_is_compared(registry):
    released(registry, document(0.8) | {"teacher": {"name": "resnet18"}})
    assert judge(registry, ENTRY, document(0.9) | {"teacher": {"name": "lite0"}}).wins


def moves(registry, alias=CHAMPION):
    return [(move.action, move.previous, move.release) for move in registry.alias_log.moves(ENTRY, alias)]


def test_releases_that_cut_their_images_otherwise_are_not_compared(registry):
    tiled = {"resize": "bilinear-antialiased-tiles", "overlap": 32, "scale": 1.0}
    released(registry, document(0.8, **tiled), document(0.9, **{**tiled, "scale": 0.5}), document(0.9, **tiled))
    with pytest.raises(PromotionError, match="not compared with champion 1: another resizing;"):
        promote(registry, ENTRY, 2)
    assert promote(registry, ENTRY, 3)


def test_a_better_release_is_promoted_and_the_log_says_why(registry):
    released(registry, document(0.8), document(0.9))
    moved = promote(registry, ENTRY, 2, who="ada@line3")
    assert (moved.release, moved.who, moved.why) == (2, "ada@line3", f"beats champion 1 (0.8000), {ALONE}")
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


def judged(value, scores, *, metric="image_auroc", images="aa", labels="000000111111", part="selection"):
    """A document that has kept what it says of single images."""
    kept = {part: {"images": images, "labels": labels, "scores": [float(score) for score in scores]}}
    return document(value) | {"scores": kept, "objective": {"name": metric, "value": value}}


ALL_FOUND, ONE_MISSED, HALF_MISSED = [0] * 6 + [1] * 6, [0] * 6 + [1] * 5 + [-1], [0] * 6 + [1] * 3 + [-1] * 3


def test_a_better_value_that_the_images_do_not_tell_apart_stands_beside(registry):
    publish(registry, ENTRY, judged(0.8, ONE_MISSED), {})
    beside = publish(registry, ENTRY, judged(0.9, ALL_FOUND), {})
    assert (beside.release, beside.promoted) == (2, False)
    assert "champion 1 stays (0.8000, here 0.9000): 12 selection images do not tell them apart (+0.1667" in beside.note
    with pytest.raises(PromotionError, match="do not tell them apart"):
        promote(registry, ENTRY, 2)
    assert promote(registry, ENTRY, 2, force=True).why == "by force"


def test_what_the_images_tell_apart_is_champion(registry):
    publish(registry, ENTRY, judged(0.8, HALF_MISSED), {})
    better = publish(registry, ENTRY, judged(0.9, ALL_FOUND), {})
    assert (better.release, better.promoted) == (2, True)
    assert better.note.startswith(
        "beats champion 1 (0.8000), and 12 selection images tell them apart (+0.5000, 95 % interval"
    )


def test_what_is_no_better_where_selection_looked_is_not_published(registry):
    publish(registry, ENTRY, judged(0.9, HALF_MISSED), {})
    worse = publish(registry, ENTRY, judged(0.9, ALL_FOUND), {})
    assert (worse.release, worse.note) == (None, "champion 1 stays (0.9000)")


@pytest.mark.parametrize(("ours", "theirs"), [(ALL_FOUND, HALF_MISSED), (HALF_MISSED, ALL_FOUND)])
def test_the_report_part_has_no_say_whatever_it_shows(registry, ours, theirs):
    """It neither makes a champion nor keeps one: the test part takes part in no choice."""
    of_report = [judged(0.5, scores, part="report")["scores"] for scores in (theirs, ours)]
    champion, challenger = judged(0.8, HALF_MISSED), judged(0.9, ALL_FOUND)
    publish(registry, ENTRY, champion | {"scores": champion["scores"] | of_report[0]}, {})
    better = publish(registry, ENTRY, challenger | {"scores": challenger["scores"] | of_report[1]}, {})
    assert better.promoted
    alone = judged(0.95, ALL_FOUND, part="report")
    assert publish(registry, ENTRY, alone, {}).note == f"beats champion 2 (0.9000), {ALONE}"


@pytest.mark.parametrize(
    ("champion", "challenger"),
    [
        (judged(0.8, ONE_MISSED), judged(0.9, ALL_FOUND, images="bb")),
        (judged(0.8, ONE_MISSED), judged(0.9, ALL_FOUND, labels="000001111111")),
        (judged(0.8, ONE_MISSED, labels="0" * 12), judged(0.9, ALL_FOUND, labels="0" * 12)),
        (judged(0.8, ONE_MISSED), judged(0.9, ALL_FOUND[:-1])),
        (judged(0.8, ONE_MISSED), judged(0.9, ALL_FOUND) | {"scores": "none"}),
        (document(0.8), judged(0.9, ALL_FOUND)),
    ],
    ids=["other images", "other labels", "one class", "too few", "none", "an older champion"],
)
def test_where_single_images_do_not_compare_the_value_decides_and_the_note_says_so(registry, champion, challenger):
    publish(registry, ENTRY, champion, {})
    assert publish(registry, ENTRY, challenger, {}).note == f"beats champion 1 (0.8000), {ALONE}"


def test_metrics_of_pixels_are_compared_by_their_value(registry):
    publish(registry, ENTRY, judged(0.8, ONE_MISSED, metric="pixel_ap"), {})
    better = publish(registry, ENTRY, judged(0.9, ALL_FOUND, metric="pixel_ap"), {})
    assert better.promoted
    assert better.note.endswith("by the value alone: pixel_ap does not follow from single images' scores")


def test_other_aliases_are_free(registry):
    released(registry, document(0.8), document(0.7))
    assert point(registry, ENTRY, "staging", 2, why="on trial").why == "on trial"
    assert registry.resolve(ENTRY, alias="staging").release == 2


def test_publishing_is_logged(registry):
    for value in (0.8, 0.7, 0.9):
        publish(registry, ENTRY, document(value), {}, who="sweep-7")
    assert moves(registry) == [("publish", None, 1), ("publish", 1, 2)]
    last = registry.read_alias(ENTRY, CHAMPION)
    assert (last.who, last.why) == ("sweep-7", f"beats champion 1 (0.8000), {ALONE}")


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
