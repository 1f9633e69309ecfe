"""promote, rollback, alias and history as a person types them."""

import json

import pytest
from helpers.command import run

from kdzoo.settings import Settings
from kdzoo.zoo import open_registry

NAME = "aand/parts/screw"


def document(value):
    return {
        "protocol": "holdout",
        "split": {"digest": "aa"},
        "objective": {"name": "image_auroc", "value": value},
        "dataset": {"fingerprint": "ff"},
        "input": {"size": 256},
    }


@pytest.fixture(autouse=True)
def three_releases():
    registry = open_registry(Settings.from_environment())
    for value in (0.7, 0.9, 0.8):
        registry.publish(NAME, document(value), {}, alias=None)
    registry.set_alias(NAME, "champion", 1)


def test_promote_back_and_what_the_history_says(capsys, monkeypatch):
    monkeypatch.setenv("KDZOO_WHO", "ada@line3")
    assert run(capsys, "zoo", "promote", NAME, 2).out == f"champion of {NAME} is release 2\n"
    refused = run(capsys, "zoo", "promote", NAME, 3, "--why", "try it")
    assert refused.status == 1 and "champion 2 stays (0.9000)" in refused.err and "--force" in refused.err
    forced = json.loads(run(capsys, "zoo", "promote", NAME, 3, "--force", "--why", "[b]try[/b] it", "--json").out)
    assert (forced["release"], forced["previous"], forced["who"], forced["why"]) == (3, 2, "ada@line3", "[b]try[/b] it")
    back = run(capsys, "zoo", "rollback", NAME, "--who", "bo", "--why", "misses scratches")
    assert (back.status, back.out) == (0, f"champion of {NAME} is release 2\n")

    moves = json.loads(run(capsys, "zoo", "history", NAME, "--json").out)
    assert [(move["number"], move["action"], move["release"]) for move in moves] == [
        (1, "set", 1),
        (2, "promote", 2),
        (3, "promote", 3),
        (4, "rollback", 2),
    ]
    shown = run(capsys, "zoo", "history", NAME).out
    assert "misses scratches" in shown and "[b]try[/b] it" in shown and "bo" in shown
    assert "rollback" not in run(capsys, "zoo", "history", NAME, "--alias", "staging").out


def test_aliases_are_set_listed_shown_and_deleted(capsys):
    assert run(capsys, "zoo", "alias", NAME, "staging", 3, "--why", "on trial").status == 0
    listed = json.loads(run(capsys, "zoo", "alias", NAME, "--json").out)
    assert [(alias["alias"], alias["release"]) for alias in listed] == [("champion", 1), ("staging", 3)]
    assert "on trial" in run(capsys, "zoo", "alias", NAME).out
    assert run(capsys, "zoo", "alias", NAME, "staging").out == f"staging of {NAME} is release 3\n"
    assert run(capsys, "zoo", "alias", NAME, "staging", "--delete").out == f"staging of {NAME} is deleted\n"
    assert run(capsys, "zoo", "alias", NAME, "staging").status == 1
    assert [
        move["action"] for move in json.loads(run(capsys, "zoo", "history", NAME, "--alias", "staging", "--json").out)
    ] == [
        "set",
        "delete",
    ]


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["promote", NAME, "7", "--force"], 1, "no release 7"),
        (["promote", "aand/parts/scrw", "1"], 1, "did you mean aand/parts/screw"),
        (["promote", "aand/parts", "1"], 2, "METHOD/DATASET/CATEGORY".lower()),
        (["promote", NAME, "2", "--alias", "../x"], 2, "not a valid name"),
        (["promote", NAME, "2", "--why", "two\nlines"], 1, "not one line"),
        (["rollback", NAME], 1, "no release before"),
        (["rollback", NAME, "--alias", "staging"], 1, "staging"),
        (["rollback", "aand/parts/nut"], 1, "did you mean"),
        (["alias", NAME, "champion", "--delete"], 1, "--force"),
        (["alias", NAME, "--delete"], 2, "--delete"),
        (["alias", NAME, "--why", "x"], 2, "--why"),
        (["alias", NAME, "CON", "1"], 2, "not a valid name"),
        (["alias", "aand/parts/nut"], 1, "did you mean"),
        (["history", "aand/parts/nut"], 1, "did you mean"),
        (["history", "../../etc"], 2, "not a valid name"),
    ],
)
def test_what_cannot_be_says_why(capsys, arguments, status, said):
    ran = run(capsys, "zoo", *arguments)
    assert (ran.status, ran.out) == (status, "")
    assert said in ran.err.lower().replace("\n", " ") or said in ran.err
