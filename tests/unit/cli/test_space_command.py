"""`kdzoo space show`: what is searched, what is fixed, and what an override changed."""

import json

import pytest
from helpers.command import run
from helpers.layouts import make_dataset

from kdzoo.methods.aand.config import AANDConfig
from kdzoo.methods.registry import METHODS

SPACE = """schema: kdzoo-space/1
method: aand
space:
  hkd_weight: {type: categorical, choices: [0.0, 1.0]}
  hkd_top_k: {type: int, low: 1, high: 256, log: true, when: {hkd_weight: {above: 0}}}
  margin: {type: float, low: 0.1, high: 0.9}
overrides:
  parts:
    defaults: {batch_size: 4}
  parts/bottle:
    space: {margin: null, temperature: {type: float, low: 0.1, high: 0.3}}
"""


@pytest.fixture
def shown(capsys, tmp_path):
    file = tmp_path / "space.yaml"
    file.write_text(SPACE)
    make_dataset(tmp_path / "parts", ("bottle", "cable"))

    def shown(*arguments):
        ran = run(capsys, "space", "show", "aand", "--space", file, *arguments)
        assert ran.status == 0, ran.err
        return ran.out

    return shown


def knobs(text):
    return {knob["key"]: knob for knob in json.loads(text)["knobs"]}


def lines(text):
    """Each knob's line, split into words, the mark left out."""
    return {words[0]: words[1:] for line in text.splitlines() if (words := line.lstrip("* ").split())}


def test_searched_knobs_come_first_with_range_and_condition(shown):
    searched, fixed = shown().split("\nfixed\n")
    assert searched.startswith("aand, no overrides")
    assert lines(searched)["hkd_weight"] == ["1", "one", "of", "0.0,", "1.0"]
    assert lines(searched)["hkd_top_k"] == ["10", "int", "1", "to", "256,", "log", "when", "hkd_weight", ">", "0"]
    assert lines(fixed)["temperature"] == ["0.2"]
    assert "*" not in searched + fixed
    keys = set(lines(searched)) | set(lines(fixed))
    assert set(AANDConfig.__dataclass_fields__) <= keys


def test_what_an_override_changed_is_marked(shown, tmp_path):
    text = shown("--dataset", tmp_path / "parts", "--category", "bottle")
    assert text.startswith("aand on parts/bottle, overrides: parts, parts/bottle\n")
    marked = {line.split()[1] for line in text.splitlines() if line.startswith("* ")}
    assert marked >= {"batch_size", "margin", "temperature"}
    assert not marked & set(AANDConfig.__dataclass_fields__) - {"batch_size", "margin", "temperature"}
    searched, fixed = text.split("\nfixed\n")
    assert lines(searched)["temperature"] == ["0.2", "float", "0.1", "to", "0.3"]
    assert lines(fixed)["batch_size"] == ["4", "default", "16"]
    assert lines(fixed)["margin"] == ["0.3"]


def test_as_json(shown, tmp_path):
    text = shown("--dataset", tmp_path / "parts", "--category", "cable", "--json")
    result = json.loads(text)
    assert {key: result[key] for key in ("method", "dataset", "category", "overrides")} == {
        "method": "aand",
        "dataset": "parts",
        "category": "cable",
        "overrides": ["parts"],
    }
    found = knobs(text)
    assert list(found)[:3] == ["hkd_weight", "hkd_top_k", "margin"]
    assert found["batch_size"] == {
        "key": "batch_size",
        "default": 4,
        "published": 16,
        "searched": None,
        "changed": True,
    }
    top_k = found["hkd_top_k"]["searched"]
    assert (top_k["low"], top_k["high"], top_k["log"], top_k["when"]) == (1, 256, True, {"hkd_weight": {"above": 0}})


def test_a_fixed_knob_takes_those_under_it_along(shown):
    found = knobs(shown("--set", "hkd_weight=0", "--json"))
    assert [key for key, knob in found.items() if knob["searched"]] == ["margin"]
    assert {key for key, knob in found.items() if knob["changed"]} == {"hkd_weight", "hkd_top_k"}


@pytest.mark.parametrize("method", METHODS)
def test_every_method_has_a_space_for_a_data_set_that_is_not_here(capsys, method):
    ran = run(capsys, "space", method, "-d", "mvtec", "-c", "bottle", "--json")
    assert ran.status == 0
    assert any(knob["searched"] for knob in json.loads(ran.out)["knobs"])


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["space", "show", "aadn"], "did you mean 'aand'"),
        (["space", "aand", "-d", "mvtce"], "did you mean 'mvtec'"),
        (["space", "aand", "-d", "mvtec", "-c", "botle"], "did you mean 'bottle'"),
        (["space", "aand", "-c", "bottle"], "--category bottle needs its data set"),
        (["space", "aand", "--set", "margn=1"], "did you mean 'margin'"),
        (["space", "aand", "--set", "margin=7"], "out of range"),
        (["space"], "METHOD"),
    ],
)
def test_wrong_usage_is_named(capsys, arguments, named):
    ran = run(capsys, *arguments)
    assert ran.status == 2
    assert ran.out == ""
    assert named in ran.err
