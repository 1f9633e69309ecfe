"""Configurations: types, ranges, unknown keys, and strings as typed on a command line."""

import dataclasses
import pickle
from dataclasses import dataclass
from typing import Literal

import pytest
from helpers.bank import BankConfig
from helpers.methods import LEARNING
from hypothesis import given
from hypothesis import strategies as st

from kdzoo.config import Config, knob, parse_value
from kdzoo.errors import ConfigError, KdzooError
from kdzoo.methods.registry import METHODS
from kdzoo.training.spec import RunOptions


@dataclass(frozen=True, kw_only=True)
class Oven(Config):
    """One field of each kind."""

    heat: float = knob(1.5, "degrees", above=0.0, high=300.0)
    trays: int = knob(2, "how many", low=1, high=8)
    fan: bool = knob(False, "turns")
    mode: Literal["bake", "grill"] = knob("bake", "what it does")
    label: str = knob("main", "its name")
    shelves: tuple[int, ...] = knob((1, 2), "heights", low=0, high=9)
    box: tuple[float, float] = knob((1.0, 2.0), "sides")
    timer: int | None = knob(None, "minutes", low=1)


def test_defaults_are_valid_and_plain():
    assert Oven().as_dict() == {
        "heat": 1.5, "trays": 2, "fan": False, "mode": "bake", "label": "main",
        "shelves": [1, 2], "box": [1.0, 2.0], "timer": None,
    }  # fmt: skip


def test_a_mapping_makes_the_same_configuration_again():
    oven = Oven(heat=3, trays=4, shelves=(0, 9), timer=5)
    assert Oven.from_mapping(oven.as_dict()) == oven
    assert isinstance(oven.heat, float)


def test_it_is_frozen_and_survives_pickling():
    oven = Oven(trays=3)
    with pytest.raises(dataclasses.FrozenInstanceError):
        oven.trays = 4
    assert pickle.loads(pickle.dumps(oven)) == oven


def test_replace_checks_like_construction():
    assert Oven().replace(trays=8).trays == 8
    with pytest.raises(ConfigError, match="trays = 9 is out of range"):
        Oven().replace(trays=9)


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("heat", "2.5e1", 25.0),
        ("heat", " 7 ", 7.0),
        ("trays", "3", 3),
        ("trays", 3.0, 3),
        ("fan", "yes", True),
        ("fan", "0", False),
        ("mode", "grill", "grill"),
        ("shelves", "[1, 5]", (1, 5)),
        ("shelves", "4,", (4,)),
        ("shelves", [3], (3,)),
        ("box", "1,2.5", (1.0, 2.5)),
        ("timer", "none", None),
        ("timer", "12", 12),
    ],
)
def test_strings_as_typed(key, text, value):
    made = getattr(Oven.from_mapping({key: text}), key)
    assert made == value
    assert type(made) is type(value)


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("heat", "warm", "Oven.heat: expected a number, got 'warm'"),
        ("heat", "nan", "Oven.heat: expected a finite number"),
        ("heat", float("inf"), "expected a finite number"),
        ("heat", 10**400, "expected a number that fits a float"),
        ("heat", True, "expected a number, got True"),
        ("trays", 2.5, "Oven.trays: expected a whole number, got 2.5"),
        ("trays", "2.5", "expected a whole number, got '2.5'"),
        ("trays", True, "expected a whole number"),
        ("trays", None, "expected a whole number, got None"),
        ("fan", "maybe", "Oven.fan: expected bool, got 'maybe'"),
        ("fan", 1, "expected bool, got 1"),
        ("mode", "gril", r"one of bake, grill \(nearest: grill\)"),
        ("label", 5, "Oven.label: expected str, got 5"),
        ("shelves", 3, "Oven.shelves: expected a list"),
        ("shelves", [1, "x"], "Oven.shelves: expected a whole number, got 'x'"),
        ("box", [1.0], "Oven.box: expected 2 values"),
        ("timer", "soon", "Oven.timer: expected a whole number"),
    ],
)
def test_wrong_types_name_key_and_value(key, value, said):
    with pytest.raises(ConfigError, match=said):
        Oven.from_mapping({key: value})


@pytest.mark.parametrize(
    ("key", "value", "allowed"),
    [
        ("heat", 0.0, "allowed: > 0, <= 300"),
        ("heat", 300.1, "allowed: > 0, <= 300"),
        ("trays", 0, "allowed: >= 1, <= 8"),
        ("shelves", (1, 10), "allowed: >= 0, <= 9"),
        ("timer", 0, "allowed: >= 1"),
    ],
)
def test_out_of_range_says_what_is_allowed(key, value, allowed):
    with pytest.raises(ConfigError, match=f"^{key} = ") as caught:
        Oven(**{key: value})
    assert caught.value.hint == allowed


def test_the_ends_of_a_range_are_allowed():
    assert Oven(heat=300.0, trays=1, shelves=(0, 9)).trays == 1


def test_a_range_is_written_without_exponents():
    with pytest.raises(ConfigError) as caught:
        RunOptions(seed=2**32)
    assert caught.value.hint == "allowed: >= 0, <= 4294967295"


def test_an_unknown_key_names_the_nearest_and_the_file():
    with pytest.raises(ConfigError, match=r"space\.yaml: unknown key 'tray'; did you mean 'trays'\?") as caught:
        Oven.from_mapping({"tray": 1}, where="space.yaml")
    assert "heat, trays, fan" in caught.value.hint


def test_an_unknown_key_far_from_all_names_none():
    with pytest.raises(ConfigError, match=r"^unknown key 'zzz'$"):
        Oven.from_mapping({"zzz": 1})


def test_what_a_field_says_of_itself():
    assert Oven.bounds("heat") == (None, 300.0, 0.0)
    assert Oven.field_type("timer") == int | None


@pytest.mark.parametrize("entry", METHODS.values(), ids=lambda entry: entry.name)
def test_every_methods_published_values_are_valid_and_documented(entry):
    config = entry.config()
    assert entry.config.from_mapping({key: str(value) for key, value in config.as_dict().items()}) == config
    assert all(field.metadata["help"] for field in dataclasses.fields(config))


@pytest.mark.parametrize("name", LEARNING)
@pytest.mark.parametrize("total", [1, 2, 3, 7, 100])
def test_epochs_split_over_the_stages_add_up(name, total):
    split = METHODS[name].config().epoch_split(total)
    assert sum(split.values()) == max(total, len(split))
    assert min(split.values()) >= 1


def test_a_long_first_stage_leaves_an_epoch_to_the_next_and_an_empty_stage_stays_empty():
    aand = METHODS["aand"].config
    assert aand(amplify_epochs=1000, distil_epochs=1).epoch_split(5) == {"amplify_epochs": 4, "distil_epochs": 1}
    assert aand(amplify_epochs=100, distil_epochs=100).epoch_split(10) == {"amplify_epochs": 5, "distil_epochs": 5}
    assert aand(amplify_epochs=0).epoch_split(7) == {"amplify_epochs": 0, "distil_epochs": 7}


def test_a_method_that_looks_once_has_no_epochs_to_split():
    config = BankConfig()
    assert (config.epoch_keys(), config.total_epochs(), config.last_epochs()) == ((), 1, (None, 1))
    assert config.epoch_split(7) == {}
    assert METHODS["aand"].config(distil_epochs=9).last_epochs() == ("distil_epochs", 9)


def test_blend_bounds_must_be_in_order():
    with pytest.raises(ConfigError, match="blend_low"):
        METHODS["aand"].config(blend_low=0.9, blend_high=0.1)


@pytest.mark.parametrize(("size", "near"), [(100, "96"), (65, "64"), (250, "256")])
def test_image_size_is_a_multiple_of_32(size, near):
    with pytest.raises(ConfigError, match=f"image size {size}") as caught:
        RunOptions(image_size=size)
    assert near in caught.value.hint


def test_an_unknown_objective_names_the_nearest():
    with pytest.raises(KdzooError, match="did you mean 'image_auroc'"):
        RunOptions(objective="image_auc")


@given(st.text(), st.sampled_from([int, float, bool, str, int | None, tuple[int, ...], Literal["a", "b"]]))
def test_any_string_is_parsed_without_an_error(text, kind):
    parse_value(text, kind)


plain = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)


@given(st.dictionaries(st.sampled_from([*Oven.__dataclass_fields__, "other"]), plain | st.lists(plain, max_size=3)))
def test_any_values_make_a_configuration_or_a_config_error(values):
    try:
        made = Oven.from_mapping(values)
    except ConfigError:
        return
    assert 0 < made.heat <= 300
    assert 1 <= made.trays <= 8
