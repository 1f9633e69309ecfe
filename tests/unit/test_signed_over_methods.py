"""What leads a category is signed by whoever publishes: so nothing is repeated there that they would not load."""

import pytest
from helpers.command import run

from kdzoo.category_entry import Origin, origin_of
from kdzoo.champions import CHAMPION
from kdzoo.over_methods import lead, leader
from kdzoo.settings import Settings
from kdzoo.trust import check_release
from kdzoo.zoo import WEIGHTS, open_registry, publish
from zoo_registry import EntryName
from zoo_registry.errors import SignatureError, WithdrawnError
from zoo_registry.format.signing import SigningKey
from zoo_registry.zoo.key_files import write_key_pair

BEST, RD, AAND = (EntryName(method=method, dataset="parts", category="screw") for method in ("best", "rd", "aand"))
SIGNED = {"KDZOO_SIGNING_KEY": "ours"}
DEMANDED = SIGNED | {"KDZOO_REQUIRE_SIGNATURE": "ours.pub"}


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("ours", "theirs"):
        write_key_pair(SigningKey.generate(), tmp_path / name)
    return tmp_path


def zoo(given=None, *, cache="home"):
    """The zoo as somebody sees it: whose keys are set, and what their machine remembers."""
    return open_registry(Settings.from_environment({"KDZOO_HOME": cache, "KDZOO_ZOO": "zoo"} | (given or {})))


def document(value):
    return {
        "protocol": "holdout",
        "split": {"digest": "aa", "seed": 0},
        "objective": {"name": "image_auroc", "value": value},
        "dataset": {"fingerprint": "ff"},
        "input": {"size": 256},
    }


def strange(here, entry=RD, given=None, **more):
    """A release of somebody who may write to the zoo, with champion at it."""
    (here / "weights").write_bytes(b"strange")
    return zoo(given, cache="elsewhere").publish(entry, document(0.999) | more, {WEIGHTS: here / "weights"}).manifest


@pytest.mark.parametrize("given", [SIGNED, DEMANDED], ids=["with a key", "with a demand"])
@pytest.mark.parametrize("theirs", [None, {"KDZOO_SIGNING_KEY": "theirs"}], ids=["unsigned", "signed by another"])
def test_a_strange_release_is_neither_a_rival_nor_signed(here, given, theirs):
    strange(here, given=theirs)
    registry = zoo(given)
    published = publish(registry, AAND, document(0.7), {WEIGHTS: b"ours"})
    assert (published.promoted, published.leads) == (True, True)
    assert published.over_methods.startswith("first champion; rd is left out: rd/parts/screw release 1 is not signed")
    assert registry.releases(BEST) == [1]
    found = registry.resolve(BEST)
    assert origin_of(found.document) == Origin(entry=AAND, release=1)
    check_release(Settings.from_environment(DEMANDED), registry, found)


@pytest.mark.parametrize("given", [SIGNED, DEMANDED], ids=["with a key", "with a demand"])
def test_nor_is_it_repeated_by_hand(here, given):
    manifest = strange(here)
    for force in (False, True):
        with pytest.raises(SignatureError, match="rd/parts/screw release 1 is not signed"):
            lead(zoo(given), manifest, force=force)
    assert zoo().releases(BEST) == []


def test_the_command_says_why(here, capsys, monkeypatch):
    strange(here)
    for name, value in {"KDZOO_HOME": "home", "KDZOO_ZOO": "zoo", **SIGNED}.items():
        monkeypatch.setenv(name, value)
    ran = run(capsys, "zoo", "promote", str(RD), "1", "--over-methods", "--force")
    assert ran.status == 1
    assert "is not signed by a key of 'KDZOO_SIGNING_KEY'" in ran.err
    assert "kdzoo zoo sign" in ran.err
    assert zoo().releases(BEST) == []


def test_a_withdrawn_release_is_not_repeated(here):
    registry = zoo()
    manifest = strange(here)
    registry.withdrawn.change(RD, 1, why="wrong labels")
    with pytest.raises(WithdrawnError, match="wrong labels"):
        lead(registry, manifest, force=True)


def test_without_a_key_the_best_rival_leads_as_before(here):
    strange(here)
    published = publish(zoo(), AAND, document(0.7), {WEIGHTS: b"ours"})
    assert published.over_methods == "rd release 1 leads"


def test_our_own_signed_release_is_a_rival(here):
    registry = zoo(DEMANDED)
    (here / "weights").write_bytes(b"rd")
    registry.publish(RD, document(0.9), {WEIGHTS: here / "weights"})
    assert publish(registry, AAND, document(0.7), {WEIGHTS: b"ours"}).over_methods == "rd release 1 leads"
    check_release(Settings.from_environment(DEMANDED), registry, registry.resolve(BEST))


def test_a_champion_is_not_taken_for_a_release_by_what_it_says(here):
    """Somebody has put other weights in the place of what leads, with a document that names a release of ours."""
    registry = zoo(SIGNED)
    publish(registry, AAND, document(0.7), {WEIGHTS: b"ours"})
    strange(here, BEST, origin={"entry": str(AAND), "release": 1})
    registry.set_alias(BEST, CHAMPION, 2)
    standing = lead(registry, registry.resolve(AAND))
    assert not standing.leads
    assert standing.note == "champion 2 (aand) stays (0.9990)"


def test_what_leads_and_is_not_signed_as_demanded_is_told_of(here):
    strange(here, BEST, origin={"entry": str(AAND), "release": 1})
    registry = zoo(DEMANDED)
    published = publish(registry, AAND, document(0.7), {WEIGHTS: b"ours"})
    assert (published.promoted, published.leads) == (True, False)
    assert "not compared with champion 1 (aand): best/parts/screw release 1 is not signed" in published.over_methods
    assert "`kdzoo zoo promote --over-methods --force` moves it" in published.over_methods
    assert lead(registry, registry.resolve(AAND), force=True).leads
    check_release(Settings.from_environment(DEMANDED), registry, registry.resolve(BEST))


def test_a_champion_s_alias_that_may_not_be_followed_makes_no_rival(here):
    registry = zoo(DEMANDED)
    (here / "weights").write_bytes(b"rd")
    registry.publish(RD, document(0.9), {WEIGHTS: here / "weights"})
    registry.resolve(RD)  # its alias is known to be signed from here on
    alias = here / "zoo" / "entries" / str(RD) / "aliases" / "champion.json"
    alias.unlink()
    zoo(cache="elsewhere").set_alias(RD, CHAMPION, 1)
    assert leader(registry, RD) is None
    published = publish(registry, AAND, document(0.7), {WEIGHTS: b"ours"})
    assert (published.leads, published.over_methods) == (True, "first champion")
