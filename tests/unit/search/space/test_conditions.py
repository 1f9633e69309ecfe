"""Knobs that matter under a condition alone: how it is written, what is tried, what is refused."""

import json
import random

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kdzoo.errors import SearchSpaceError
from kdzoo.methods.aand.config import AANDConfig
from kdzoo.search.space.condition import Condition
from kdzoo.search.space.dimension import Dimension
from kdzoo.search.space.space import SpaceFile
from kdzoo.search.study.studies import CategoryStudies

HEAD = "schema: kdzoo-space/1\nmethod: aand\n"
WEIGHT = "  hkd_weight: {type: float, low: 0, high: 2, step: 0.5}\n"
TOP_K = "{type: int, low: 1, high: 256, log: true, when: {hkd_weight: {above: 0}}}"


@pytest.fixture
def write(tmp_path):
    def write(text, method="aand"):
        file = tmp_path / "space.yaml"
        file.write_text(text)
        return SpaceFile(method, file)

    return write


def when(condition, other=WEIGHT):
    return f"{HEAD}space:\n{other}  margin: {{type: float, low: 0, high: 1, when: {condition}}}\n"


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        (when("3"), 5, "'when' of 'margin' must be a mapping"),
        (when("{}"), 5, "'when' of 'margin' must be a mapping"),
        (when("{hkd_weigth: 1}"), 5, "did you mean 'hkd_weight'?"),
        (when("{hkd_weight: {above: 0, belwo: 1}}"), 5, "did you mean 'below'?"),
        (when("{hkd_weight: {}}"), 5, "the condition on 'hkd_weight' is empty"),
        (when("{hkd_weight: {above: much}}"), 5, "'above' of 'hkd_weight' must be a number, got 'much'"),
        (when("{hkd_weight: {above: 1, below: 1}}"), 5, "nothing is above 1 and below 1"),
        (when("{hkd_weight: []}"), 5, "no value of 'hkd_weight' is given"),
        (when("{hkd_weight: [[1]]}"), 5, "must be a plain value"),
        (when("{hkd_weight: -1}"), 5, "hkd_weight = -1.0 is out of range"),
        (when("{hkd_weight: off}"), 5, "hkd_weight"),
        (when("{hkd_weight: 0.3}"), 5, "never hkd_weight = 0.3"),
        (when("{hkd_weight: 2.5}"), 5, "'hkd_weight' is float 0 to 2, step 0.5, never hkd_weight = 2.5"),
        (when("{hkd_weight: {above: 2}}"), 5, "'margin' would never be tried"),
        (when("{hkd_weight: {above: 1, below: 1.5}}"), 5, "never hkd_weight > 1 and < 1.5"),
        (when("{width: 2}", "  width: {type: categorical, choices: [0.5, 1]}\n"), 5, "'width' is one of 0.5, 1, never"),
        (when("{temperature: 0.5}", "  temperature: {type: float, low: 0.1, high: 1}\n"), 5, "never temperature = 0.5"),
        (when("{margin: {above: 0}}"), 5, "the conditions go in a circle: margin -> margin"),
        (
            HEAD + "space:\n"
            "  margin: {type: float, low: 0, high: 1, when: {temperature: {above: 0.2}}}\n"
            "  temperature: {type: float, low: 0.1, high: 1, when: {hkd_weight: {above: 0}}}\n"
            "  hkd_weight: {type: float, low: 0, high: 2, when: {margin: {above: 0.1}}}\n",
            4,
            "margin -> temperature -> hkd_weight -> margin",
        ),
        (
            f"{HEAD}space:\n{WEIGHT}  hkd_top_k: {TOP_K}\noverrides:\n  demo:\n    space:\n"
            "      hkd_weight: {type: categorical, choices: [0]}\n",
            5,
            "'hkd_top_k' would never be tried",
        ),
    ],
)
def test_every_wrong_condition_is_named_with_file_and_line(write, text, line, problem):
    with pytest.raises(SearchSpaceError) as caught:
        write(text)
    assert caught.value.message.startswith(f"space.yaml:{line}: ")
    assert problem in f"{caught.value.message} {caught.value.hint}"


@pytest.mark.parametrize(
    ("condition", "yes", "no"),
    [
        (Condition(key="a", values=(2, 4)), [2, 4.0], [1, 3, None, "2"]),
        (Condition(key="a", values=(0.3,)), [0.1 + 0.2], [0.31]),
        (Condition(key="a", values=("mean",)), ["mean"], ["max", 0]),
        (Condition(key="a", above=0), [1e-9, 5], [0, -1, "1", None, True]),
        (Condition(key="a", below=0.5), [0, 0.49], [0.5]),
        (Condition(key="a", above=0, below=1), [0.5], [0, 1]),
    ],
)
def test_when_a_condition_holds(condition, yes, no):
    assert [condition.holds(value) for value in yes] == [True] * len(yes)
    assert [condition.holds(value) for value in no] == [False] * len(no)


def test_how_a_condition_reads():
    assert str(Condition(key="a", values=(2,))) == "a = 2"
    assert str(Condition(key="a", values=(2, 4))) == "a one of 2, 4"
    assert str(Condition(key="a", above=0, below=1.5)) == "a > 0 and < 1.5"


NUMBERS = st.floats(-4, 4).map(lambda value: round(value, 2))


@given(
    kind=st.sampled_from(["float", "stepped", "int", "categorical"]),
    ends=st.tuples(NUMBERS, NUMBERS).map(sorted),
    step=st.sampled_from([0.25, 1, 3]),
    bounds=st.tuples(st.none() | NUMBERS, st.none() | NUMBERS).filter(any),
)
def test_a_value_that_meets_a_condition_is_found_wherever_there_is_one(kind, ends, step, bounds):
    low, high = ends
    condition = Condition(key="a", above=bounds[0], below=bounds[1])
    if kind == "float":
        dimension, values = (
            Dimension(kind="float", low=low, high=high),
            [min(high, low + (high - low) * i / 997) for i in range(998)],  # the sum can round past high
        )
    elif kind == "categorical":
        dimension, values = Dimension(kind="categorical", choices=(low, high)), [low, high]
    else:
        step = step if kind == "stepped" else int(max(step, 1))
        low = low if kind == "stepped" else int(low)
        values = [low + i * step for i in range(40) if low + i * step <= max(high, low)]
        dimension = Dimension(kind="int" if kind == "int" else "float", low=low, high=values[-1], step=step)
    found = dimension.meeting(condition)
    assert all(condition.holds(value) and dimension.closest(value) == pytest.approx(value) for value in found)
    assert found or not any(condition.holds(value) for value in values)


CHAIN = f"""{HEAD}space:
  hkd_top_k: {{type: int, low: 1, high: 9, when: {{hkd_weight: {{above: 0.5}}}}}}
  margin: {{type: float, low: 0, high: 1, when: {{hkd_top_k: {{above: 5}}, width: 2.0}}}}
  hkd_weight: {{type: categorical, choices: [0.0, 1.0]}}
  width: {{type: categorical, choices: [1.0, 2.0]}}
"""


def test_what_a_condition_names_comes_first_and_the_rest_stays_in_order(write):
    space = write(CHAIN).space("demo", "weave")
    assert list(space.dimensions) == ["hkd_weight", "hkd_top_k", "width", "margin"]


def test_only_knobs_that_matter_have_a_value(write):
    space = write(CHAIN).space("demo", "weave")
    assert space.start() == {"hkd_weight": 1.0, "hkd_top_k": 9, "width": 1.0}
    assert space.assignment({"width": 2.0}) == {"hkd_weight": 1.0, "hkd_top_k": 9, "width": 2.0, "margin": 0.3}
    assert space.assignment({"hkd_top_k": 5, "width": 2.0}) == {"hkd_weight": 1.0, "hkd_top_k": 5, "width": 2.0}
    # What stands under a knob that does not matter does not either, though that knob's default would let it.
    assert AANDConfig().hkd_top_k > 5
    assert space.assignment({"hkd_weight": 0.0, "width": 2.0}) == {"hkd_weight": 0.0, "width": 2.0}


def test_a_condition_on_a_fixed_knob_holds_or_takes_the_knob_out(write):
    file = write(CHAIN)
    assert set(file.space("a", "b", changes={"hkd_weight": 0}).dimensions) == {"width"}
    with_gate = file.space("a", "b", changes={"hkd_weight": 1, "width": "2.0"})
    assert set(with_gate.dimensions) == {"hkd_top_k", "margin"}
    assert [condition.key for condition in with_gate.dimensions["margin"].when] == ["hkd_top_k"]
    assert with_gate.dimensions["hkd_top_k"].when == ()


def test_without_amplification_no_knob_of_the_gate_is_searched():
    space = SpaceFile("aand").space("mvtec", "bottle", changes={"amplify_epochs": 0})
    assert set(space.dimensions) == {
        "distil_learning_rate", "hkd_weight", "hkd_top_k", "level_scale", "map_levels", "top_t"
    }  # fmt: skip
    assert "push_margin" not in SpaceFile("adps").space("mvtec", "bottle", changes={"push_weight": 0}).dimensions


def test_values_that_disagree_only_where_a_condition_keeps_them_apart_are_accepted(write):
    """blend_low may pass blend_high's default only where blend_high is not at its default."""
    apart = (
        "  blend_high: {type: categorical, choices: [0.5, 0.8]}\n"
        "  blend_low: {type: float, low: 0, high: 0.8, when: {blend_high: 0.8}}\n"
    )
    assert write(f"{HEAD}space:\n{apart}").space("demo", "weave").dimensions
    with pytest.raises(SearchSpaceError, match=r"blend_low = 0\.8 is above blend_high = 0\.5"):
        write(f"{HEAD}space:\n{apart.replace('blend_high: 0.8', 'blend_high: [0.5, 0.8]')}")
    # And what no start reaches is judged all the same.
    hidden = "  hkd_weight: {type: float, low: 1, high: 2}\n  blend_low: {type: float, low: 0, high: 0.9, when: %s}\n"
    with pytest.raises(SearchSpaceError, match=r"blend_low = 0\.9 is above blend_high = 0\.8"):
        write(f"{HEAD}space:\n{hidden % '{hkd_weight: {above: 1.5}}'}")


def test_a_study_asks_for_the_knobs_that_matter_and_no_others(write, tmp_path):
    space = write(CHAIN).space("demo", "weave")
    studies = CategoryStudies({"weave": space}, storage=tmp_path / "studies.db", trials=16, seed=0)
    asked = []
    for _ in range(24):
        suggestion = studies.ask("weave")
        asked.append(dict(suggestion.values))
        assert space.config(suggestion.values).as_dict().items() >= suggestion.values.items()
        studies.tell("weave", suggestion.number, objective=suggestion.values.get("margin", 0.0), stopped=False)
    studies.close()
    assert asked[0] == space.start()
    for values in asked:
        gate = values["hkd_weight"] > 0.5
        assert ("hkd_top_k" in values) is gate
        assert ("margin" in values) is (gate and values["hkd_top_k"] > 5 and values["width"] == 2.0)
    assert {len(values) for values in asked} == {2, 3, 4}
    stored = optuna.load_study(study_name="weave", storage=f"sqlite:///{tmp_path / 'studies.db'}")
    assert [trial.params for trial in stored.trials] == asked


FIELDS = ("margin", "temperature", "focal_alpha", "mask_threshold", "anomaly_probability")


@st.composite
def conditional_spaces(draw):
    """Space files whose knobs stand under some of the knobs drawn before them, written in any order."""
    space = {}
    for key in FIELDS:
        described = {"type": "float", "low": 0.25, "high": 0.75, "step": 0.25}
        for other in draw(st.lists(st.sampled_from(sorted(space)), unique=True, max_size=2)) if space else ():
            wanted = draw(st.sampled_from([0.25, [0.25, 0.75], {"above": 0.25}, {"below": 0.5}]))
            described.setdefault("when", {})[other] = wanted
        space[key] = described
    written = {key: space[key] for key in draw(st.permutations(FIELDS))}
    return {"schema": "kdzoo-space/1", "method": "aand", "space": written}


def truly_matters(space, key, drawn):
    """What the words say, asked of the file as it stands."""
    for other, wanted in space[key].get("when", {}).items():
        value = drawn[other]
        if isinstance(wanted, dict):
            held = value > wanted["above"] if "above" in wanted else value < wanted["below"]
        else:
            held = value in (wanted if isinstance(wanted, list) else [wanted])
        if not held or not truly_matters(space, other, drawn):
            return False
    return True


@settings(max_examples=40, deadline=None)
@given(described=conditional_spaces(), seed=st.integers(0, 2**31))
def test_of_any_draw_the_knobs_that_matter_are_kept(tmp_path_factory, described, seed):
    file = tmp_path_factory.mktemp("space") / "space.yaml"
    file.write_text(json.dumps(described))
    space = SpaceFile("aand", file).space("demo", "weave")
    order = list(space.dimensions)
    assert set(order) == set(FIELDS)
    assert all(order.index(each.key) < order.index(key) for key in order for each in space.dimensions[key].when)
    chance = random.Random(seed)
    for _ in range(10):
        drawn = {key: chance.choice([0.25, 0.5, 0.75]) for key in FIELDS}
        expected = {key: value for key, value in drawn.items() if truly_matters(described["space"], key, drawn)}
        assert space.assignment(drawn) == expected
