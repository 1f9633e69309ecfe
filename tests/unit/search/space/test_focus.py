"""What a sweep searches unless all knobs are asked for, and names in a space file that are of nothing."""

import json
from dataclasses import replace

import pytest
from helpers.command import run
from helpers.layouts import make_dataset

from kdzoo.data.catalog import CATALOG
from kdzoo.errors import SearchSpaceError
from kdzoo.methods.registry import METHODS
from kdzoo.search.space.odd import space_notes
from kdzoo.search.space.space import SpaceFile

HEAD = "schema: kdzoo-space/1\nmethod: rd\n"


@pytest.fixture
def write(tmp_path):
    def write(text, method="rd", **given):
        file = tmp_path / "space.yaml"
        file.write_text(text)
        return SpaceFile(method, file, **given)

    return write


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dataset", [*CATALOG, "lids"])
def test_four_or_five_knobs_are_searched_unless_all_are_asked_for(method, dataset):
    first, all_of_them = (SpaceFile(method, full=full).space(dataset, "any") for full in (False, True))
    assert 4 <= len(first.dimensions) <= 5
    # Conditions on knobs that are not searched are settled, and gone.
    ranges = [{key: replace(each, when=()) for key, each in found.dimensions.items()} for found in (first, all_of_them)]
    assert ranges[0].items() <= ranges[1].items()
    assert first.defaults == all_of_them.defaults
    assert first.config(first.start()) == all_of_them.config(all_of_them.start()), (
        "the first trial is the published one"
    )


@pytest.mark.parametrize("method", ["aand", "adps"])
def test_the_demo_and_own_data_train_the_first_stage_once_and_share_it(method):
    """Of an own set's student there are two, which train a first stage each."""
    untouched = {
        "aand": {"distil_learning_rate", "hkd_top_k", "hkd_weight", "level_scale"},
        "adps": {"segment_learning_rate", "wmb_gain", "wmb_weight", "l1_weight", "top_t"},
    }
    for dataset in ("demo", "lids", "elpv"):
        searched = set(SpaceFile(method, full=False).space(dataset, "any").dimensions)
        assert searched - {"student"} <= untouched[method]


def test_a_file_without_a_focus_is_searched_whole(write):
    text = HEAD + "space:\n  width: {type: categorical, choices: [0.5, 1.0]}\n"
    assert set(write(text, full=False).space("demo", "weave").dimensions) == {"width"}


def test_an_override_has_a_focus_of_its_own(write):
    text = (
        HEAD + "focus: [width]\nspace:\n  width: {type: categorical, choices: [0.5, 1.0]}\n"
        "  smoothing_sigma: {type: float, low: 2, high: 6}\noverrides:\n  demo: {focus: [smoothing_sigma]}\n"
    )
    file = write(text, full=False)
    assert set(file.space("mvtec", "bottle").dimensions) == {"width"}
    assert set(file.space("demo", "weave").dimensions) == {"smoothing_sigma"}


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        ("focus: []\n", 3, "must be a list of knobs"),
        ("focus: width\n", 3, "must be a list of knobs"),
        ("focus: [widht]\n", 3, "unknown key 'widht'; did you mean 'width'?"),
        ("focus: [[width]]\n", 3, "unknown key '['width']'"),
        ("overrides:\n  demo: {focus: [widht]}\n", 4, "did you mean 'width'?"),
        ("overrides:\n  demo: {}\n", 4, "the override 'demo' is empty"),
        ("overrides:\n  demo:\n", 4, "the override 'demo' is empty"),
        ("overrides:\n  demo: {defaults: {}}\n", 4, "the override 'demo' is empty"),
    ],
)
def test_mistakes_are_named_with_file_and_line(write, text, line, problem):
    with pytest.raises(SearchSpaceError) as caught:
        write(HEAD + text)
    assert caught.value.message.startswith(f"space.yaml:{line}: ") and problem in caught.value.message


def overriding(name):
    return HEAD + f"overrides:\n  {name}: {{defaults: {{width: 0.5}}}}\n"


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("mvtek", "override of an unknown data set 'mvtek'; did you mean 'mvtec'?"),
        ("bolts/m4", "override of an unknown data set 'bolts'"),
        ("parts/botle", "unknown category 'parts/botle'; did you mean 'parts/bottle'?"),
    ],
)
def test_an_override_of_nothing_is_refused_by_name(write, name, problem):
    with pytest.raises(SearchSpaceError) as caught:
        write(overriding(name)).check_names("parts", ("bottle", "cable"))
    assert caught.value.message.startswith("space.yaml:4: ") and problem in caught.value.message


@pytest.mark.parametrize("name", ["own", "mvtec/bottle", "parts", "parts/cable", "lids/any"])
def test_an_override_of_something_is_not(write, name):
    write(overriding(name)).check_names("parts", ("bottle", "cable"), ["lids"])


def test_a_sweep_and_its_space_are_told_alike(capsys, tmp_path):
    make_dataset(tmp_path / "parts", ("bottle",))
    file = tmp_path / "space.yaml"
    file.write_text(overriding("mvtek"))
    ran = run(capsys, "sweep", "rd", "-d", tmp_path / "parts", "--teacher", "random-resnet18", "--space", file)
    assert ran.status != 0 and "did you mean 'mvtec'?" in ran.err
    first = json.loads(run(capsys, "space", "show", "aand", "--json").out)["knobs"]
    whole = json.loads(run(capsys, "space", "show", "aand", "--space", "full", "--json").out)["knobs"]
    searched = [sum(knob["searched"] is not None for knob in knobs) for knobs in (first, whole)]
    assert searched == [5, len(SpaceFile("aand").space("", "").dimensions)]


@pytest.mark.parametrize(
    ("described", "said"),
    [
        (
            "smoothing_sigma: {type: float, low: 2, high: 6, step: 5}",
            "2 is its only value: its step of 5 leaves no other",
        ),
        ("smoothing_sigma: {type: float, low: 2, high: 2}", "2 is its only value: its ends are the same"),
        ("width: {type: categorical, choices: [0.5]}", "'width' is searched, but has one choice, 0.5"),
        ("epochs: {type: int, low: 50, high: 200}", "'epochs' is searched: trials are stopped early by comparing them"),
    ],
)
def test_what_its_author_may_not_have_meant_is_said(write, capsys, tmp_path, described, said):
    space = write(f"{HEAD}space:\n  {described}\n").space("demo", "weave")
    (note,) = space_notes({"a": space, "b": space})
    assert said in note
    ran = run(capsys, "space", "show", "rd", "--space", tmp_path / "space.yaml")
    assert ran.status == 0 and said in " ".join(ran.err.split())


def test_shipped_spaces_are_not_odd():
    for method in METHODS:
        for full in (True, False):
            file = SpaceFile(method, full=full)
            for dataset in (*CATALOG, "lids"):
                assert space_notes({"any": file.space(dataset, "any")}) == []
