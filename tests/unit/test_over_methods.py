"""Which release leads a category over all methods, and that it is found, withdrawn and copied like any other."""

import json

import pytest
from helpers.command import run

import kdzoo
from kdzoo.category_entry import Origin, full_entry, origin_of
from kdzoo.champions import CHAMPION, promote
from kdzoo.errors import KdzooError, UsageError
from kdzoo.methods import registry as methods
from kdzoo.over_methods import lead, leader, repeats
from kdzoo.settings import Settings
from kdzoo.trust import check_release
from kdzoo.zoo import PICTURE, TEACHER, WEIGHTS, entry_name, publish
from zoo_registry import EntryName, Registry
from zoo_registry.errors import EntryNotFoundError, WithdrawnError
from zoo_registry.upkeep.copying import copy
from zoo_registry.upkeep.fsck import fsck

BEST = EntryName.parse("best/parts/screw")
RD, AAND, MRKD = (EntryName(method=method, dataset="parts", category="screw") for method in ("rd", "aand", "mrkd"))


def document(value, **changed):
    return {
        "protocol": "holdout",
        "split": {"digest": "aa", "seed": 0},
        "objective": {"name": "image_auroc", "value": value},
        "dataset": {"fingerprint": "ff"},
        "input": {"size": 256},
    } | changed


def files(text):
    return {WEIGHTS: text.encode(), TEACHER: b"teacher", PICTURE: b"picture"}


@pytest.fixture
def registry(tmp_path):
    return Registry.open(tmp_path / "zoo", cache=tmp_path / "cache")


def leads(registry):
    """Which release leads, by what its document says."""
    origin = origin_of(leader(registry, BEST).document)
    return origin.entry.method, origin.release


def test_the_better_method_leads(registry):
    first = publish(registry, RD, document(0.8), files("rd"))
    assert (first.promoted, first.leads, leads(registry)) == (True, True, ("rd", 1))
    worse = publish(registry, AAND, document(0.7), files("worse"))
    assert (worse.promoted, worse.leads, leads(registry)) == (True, False, ("rd", 1))
    assert worse.over_methods == "champion 1 (rd) stays (0.8000)"
    better = publish(registry, AAND, document(0.9), files("better"))
    assert (better.leads, leads(registry)) == (True, ("aand", 2))
    assert better.over_methods.startswith("beats champion 1 (rd) (0.8000), by the value alone")
    assert [move.release for move in registry.alias_log.moves(BEST, CHAMPION)] == [1, 2]
    assert registry.releases(BEST) == [1, 2], "what leads nothing is not repeated"


def judged(value, scores, method, command):
    """A document with kept scores of 40 images, of one command over several methods."""
    kept = {"selection": {"images": "n", "labels": "0" * 20 + "1" * 20, "scores": scores}}
    return document(value, method=method, group="night", group_id=command, scores=kept)


EVEN = [0.1, 0.9] * 20
NOISE = [0.1, 0.9] * 19 + [0.1, 0.95]


@pytest.mark.parametrize(("command", "leads_now"), [("one", True), ("two", False)])
def test_of_one_command_the_better_value_leads_over_methods(registry, command, leads_now):
    """Another command may bear the same name."""
    publish(registry, RD, judged(0.50, EVEN, "rd", "one"), files("rd"))
    published = publish(registry, AAND, judged(0.51, NOISE, "aand", command), files("aand"))
    assert published.leads is leads_now
    assert "40 selection images do not tell them apart" in published.over_methods


@pytest.mark.parametrize("command", ["one", "two"])
def test_within_a_method_the_champion_in_use_is_to_be_beaten(registry, command):
    """Also by the command that found it, when it is gone on with."""
    publish(registry, RD, judged(0.50, EVEN, "rd", "one"), files("rd"))
    published = publish(registry, RD, judged(0.51, NOISE, "rd", command), files("more trials"))
    assert (published.release, published.promoted) == (2, False)
    assert "do not tell them apart" in published.note


def test_what_cannot_be_compared_does_not_lead(registry):
    publish(registry, RD, document(0.8), files("rd"))
    other = publish(registry, AAND, document(0.9, protocol="test"), files("aand"))
    assert (other.promoted, other.leads, leads(registry)) == (True, False, ("rd", 1))
    assert other.over_methods.startswith("not compared with champion 1 (rd): another protocol")


def test_the_bytes_are_not_kept_twice_and_the_document_says_where_it_is_from(registry, tmp_path):
    publish(registry, RD, document(0.8), files("rd"))
    blobs = [path for path in (tmp_path / "zoo" / "blobs").rglob("*") if path.is_file()]
    assert len(blobs) == 3
    found = registry.resolve(BEST)
    assert found.blobs == registry.resolve(RD).blobs
    assert dict(found.document) == {**registry.resolve(RD).document, "origin": {"entry": str(RD), "release": 1}}


def test_an_older_zoo_gives_the_lead_to_the_best_of_its_champions(registry, tmp_path):
    for entry, value in ((RD, 0.9), (AAND, 0.7)):  # as earlier versions published
        path = tmp_path / f"{entry.method}-weights"
        path.write_text(entry.method)
        registry.publish(entry, document(value), {WEIGHTS: path})
    published = publish(registry, AAND, document(0.8), files("newer"))
    assert (published.promoted, published.leads) == (True, False)
    assert published.over_methods == "rd release 1 leads"
    assert leads(registry) == ("rd", 1)


def test_in_an_older_zoo_the_way_to_the_best_of_its_champions_is_told(registry, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("KDZOO_HOME", str(tmp_path / "home"))
    zoo = str(tmp_path / "zoo")
    for entry, value in ((AAND, 0.7), (RD, 0.9)):  # as earlier versions published
        path = tmp_path / f"{entry.method}-weights"
        path.write_text(entry.method)
        registry.publish(entry, document(value), {WEIGHTS: path})
    with pytest.raises(EntryNotFoundError, match="no release leads parts/screw over all methods yet") as nothing:
        kdzoo.load("parts/screw", zoo=zoo)
    way = "kdzoo zoo promote rd/parts/screw 1 --over-methods"
    assert nothing.value.hint.endswith(way)
    assert run(capsys, *way.split()[1:], "--zoo", zoo).status == 0
    assert leads(registry) == ("rd", 1)
    with pytest.raises(EntryNotFoundError, match="has no entry best/parts/screv"):
        kdzoo.load("parts/screv", zoo=zoo)


def test_a_rival_that_is_overtaken_is_not_said_to_lead(registry, tmp_path, monkeypatch):
    for entry, value in ((RD, 0.8), (AAND, 0.7)):  # as earlier versions published
        path = tmp_path / f"{entry.method}-weights"
        path.write_text(entry.method)
        registry.publish(entry, document(value), {WEIGHTS: path})
    publish_it, other = registry.publish, Registry.open(tmp_path / "zoo", cache=tmp_path / "cache-2")

    def overtaken(*told, **more):
        """While the rival is repeated, another publisher has something better lead."""
        monkeypatch.setattr(registry, "publish", publish_it)
        publish(other, MRKD, document(0.9), files("mrkd"))
        return publish_it(*told, **more)

    monkeypatch.setattr(registry, "publish", overtaken)
    standing = lead(registry, registry.resolve(AAND))
    assert (standing.leads, standing.note) == (False, "champion 1 stays (0.9000)")
    assert leads(registry) == ("mrkd", 1)


def test_of_several_drivers_the_release_is_repeated_once(registry):
    publish(registry, RD, document(0.8), files("rd"))
    again = lead(registry, registry.resolve(RD))
    assert (again.leads, again.release, registry.releases(BEST)) == (True, 1, [1])


def test_other_thresholds_on_the_weights_that_lead_take_their_place(registry):
    publish(registry, RD, document(0.8), files("rd"))
    made = registry.publish(RD, document(0.8, calibration={"threshold": 2}), _paths(registry, RD), alias=None)
    promote(registry, RD, made.release)
    assert lead(registry, made.manifest).leads
    assert leads(registry) == ("rd", 2)


def _paths(registry, entry):
    manifest = registry.resolve(entry)
    return {role: registry.fetch(manifest, role) for role in manifest.blobs}


def test_by_force_whatever_the_comparison_says(registry):
    publish(registry, RD, document(0.8), files("rd"))
    publish(registry, AAND, document(0.7), files("aand"))
    assert lead(registry, registry.resolve(AAND), force=True, who="ada", why="fewer alarms").leads
    assert leads(registry) == ("aand", 1)
    move = registry.alias_log.moves(BEST, CHAMPION)[-1]
    assert (move.who, move.why) == ("ada", "fewer alarms")


def test_a_withdrawn_release_is_withdrawn_here_too(registry, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("KDZOO_HOME", str(tmp_path / "home"))
    publish(registry, RD, document(0.8), files("rd"))
    ran = run(capsys, "zoo", "yank", str(RD), "1", "--why", "wrong labels", "--zoo", str(tmp_path / "zoo"))
    assert ran.status == 0
    assert "alias champion of best/parts/screw still points at it" in ran.err
    assert set(registry.withdrawn.of(BEST)) == {1}
    settings = Settings.from_environment({"KDZOO_HOME": str(tmp_path / "home")})
    with pytest.raises(WithdrawnError, match="wrong labels"):
        check_release(settings, registry, registry.resolve(BEST))
    next_one = publish(registry, AAND, document(0.6), files("aand"))
    assert next_one.leads, "a withdrawn champion is no measure"
    refused = run(capsys, "zoo", "yank", "parts/screw", "1", "--zoo", str(tmp_path / "zoo"))
    assert refused.status == 2
    assert "repeats release 1 of rd/parts/screw" in refused.err
    assert run(capsys, "zoo", "yank", str(RD), "1", "--undo", "--zoo", str(tmp_path / "zoo")).status == 0
    assert not registry.withdrawn.of(BEST)


@pytest.mark.parametrize("by_hand", [False, True])
def test_after_a_withdrawal_the_best_of_the_others_leads(registry, tmp_path, capsys, monkeypatch, by_hand):
    monkeypatch.setenv("KDZOO_HOME", str(tmp_path / "home"))
    zoo = ("--zoo", str(tmp_path / "zoo"))
    publish(registry, RD, document(0.9), files("rd"))
    assert not publish(registry, MRKD, document(0.88), files("mrkd")).leads
    way = "kdzoo zoo promote METHOD/parts/screw RELEASE --over-methods"
    assert way in run(capsys, "zoo", "yank", str(RD), "1", *zoo).err
    settings = Settings.from_environment({"KDZOO_HOME": str(tmp_path / "home")})
    with pytest.raises(WithdrawnError) as refused:
        check_release(settings, registry, registry.resolve(BEST))
    assert way in refused.value.hint
    if by_hand:
        assert run(capsys, "zoo", "promote", str(MRKD), "1", "--over-methods", *zoo).status == 0
    else:
        published = publish(registry, AAND, document(0.61), files("aand"))
        assert (published.leads, published.over_methods) == (False, "mrkd release 1 leads")
    assert leads(registry) == ("mrkd", 1)


def test_a_champion_whose_release_was_withdrawn_by_an_earlier_kdzoo_is_no_measure(registry):
    publish(registry, RD, document(0.9), files("rd"))
    registry.withdrawn.change(RD, 1)
    assert registry.withdrawn.of(BEST) == {}
    published = publish(registry, AAND, document(0.61), files("aand"))
    assert (published.leads, published.over_methods) == (True, "champion 1 (rd) was withdrawn")


def test_it_is_not_loaded_where_only_the_method_s_release_was_withdrawn(registry, tmp_path):
    publish(registry, RD, document(0.8), files("rd"))
    registry.withdrawn.change(RD, 1, why="by an earlier kdzoo")
    settings = Settings.from_environment({"KDZOO_HOME": str(tmp_path / "home")})
    with pytest.raises(WithdrawnError, match="rd/parts/screw release 1"):
        check_release(settings, registry, registry.resolve(BEST))


def test_it_is_copied_with_its_log_and_fsck_finds_nothing_wrong(registry, tmp_path):
    from zoo_registry.store.folder import FolderStore

    publish(registry, RD, document(0.8), files("rd"))
    publish(registry, AAND, document(0.9), files("aand"))
    source, target = FolderStore(tmp_path / "zoo"), FolderStore(tmp_path / "copy")
    copy(source, target, ["best/parts/screw"], alias="champion")
    there = Registry.open(tmp_path / "copy", cache=tmp_path / "cache-2")
    assert there.list_entries() == [BEST]
    assert origin_of(there.resolve(BEST).document) == Origin(entry=AAND, release=1)
    assert [move.number for move in there.alias_log.moves(BEST, CHAMPION)] == [1, 2]
    assert not [found for found in fsck(source, deep=True).findings if found.kind.is_wrong]


def test_commands_take_a_category_without_a_method(registry, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("KDZOO_HOME", str(tmp_path / "home"))
    publish(registry, RD, document(0.8), files("rd"))
    zoo = ("--zoo", str(tmp_path / "zoo"))
    shown = run(capsys, "zoo", "show", "parts/screw", *zoo).out
    assert "best/parts/screw, release 1" in shown
    assert "the best over all methods: release 1 of rd/parts/screw" in shown
    assert 'kdzoo.load("parts/screw", release=1)' in shown
    rows = json.loads(run(capsys, "zoo", "list", "--json", *zoo).out)
    assert [(row["entry"], row["method"], row["champion"]) for row in rows] == [
        ("best/parts/screw", "rd", 1), ("rd/parts/screw", "rd", 1),
    ]  # fmt: skip
    history = json.loads(run(capsys, "zoo", "history", "parts/screw", "--json", *zoo).out)
    assert [move["release"] for move in history] == [1]


def test_a_release_is_made_to_lead_by_hand(registry, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("KDZOO_HOME", str(tmp_path / "home"))
    publish(registry, RD, document(0.8), files("rd"))
    publish(registry, AAND, document(0.7), files("aand"))
    zoo = ("--zoo", str(tmp_path / "zoo"))
    refused = run(capsys, "zoo", "promote", str(AAND), "1", "--over-methods", *zoo)
    assert refused.status == 1
    assert "does not lead over all methods: champion 1 (rd) stays (0.8000)" in refused.err
    assert run(capsys, "zoo", "promote", str(AAND), "1", "--over-methods", "--force", *zoo).status == 0
    assert leads(registry) == ("aand", 1)
    publish(registry, AAND, document(0.95), files("newest"))
    rolled = run(capsys, "zoo", "rollback", str(AAND), *zoo)
    assert "over all methods parts/screw is release 2 of it" in rolled.err


def test_names_of_categories():
    assert entry_name("parts/screw", None) == BEST
    assert full_entry("parts/screw") == "best/parts/screw"
    assert full_entry("rd/parts/screw") == "rd/parts/screw"
    with pytest.raises(UsageError, match="DATASET/CATEGORY"):
        entry_name("rd", None)
    assert "best" not in methods.method_names()
    with pytest.raises(KdzooError):
        methods.find_method("best")


@pytest.mark.parametrize("odd", [3, {}, {"entry": "rd/parts/screw", "release": True}, {"entry": 3, "release": 1}])
def test_an_odd_origin_is_none(odd):
    assert origin_of({"origin": odd}) is None


def test_repeats_are_found_by_their_origin(registry):
    publish(registry, RD, document(0.8), files("rd"))
    assert repeats(registry, Origin(entry=RD, release=1)) == [1]
    assert repeats(registry, Origin(entry=RD, release=2)) == []
