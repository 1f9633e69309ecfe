"""Errors: their kinds, what they say, and their way to another process."""

import copy
import inspect
import pickle

import pytest

from kdzoo import errors
from kdzoo.errors import KdzooError, UnknownNameError, nearest

KINDS = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, KdzooError)]


def make(kind):
    if kind is UnknownNameError:
        return kind("method", "randd", ["rd", "rand", "aand"])
    return kind("the pan is hot", hint="wait")


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_survives_pickling_and_copying(kind):
    error = make(kind)
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
        assert type(again) is kind
        assert (str(again), again.message, again.hint) == (str(error), error.message, error.hint)
        assert again.__dict__ == error.__dict__


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_says_its_message_alone(kind):
    error = make(kind)
    assert str(error) == error.message
    assert error.hint


@pytest.mark.parametrize(
    ("kind", "builtin"),
    [
        (errors.ConfigError, ValueError),
        (errors.UnknownNameError, LookupError),
        (errors.DatasetNotFoundError, FileNotFoundError),
        (errors.ImageError, ValueError),
        (errors.NonFiniteLossError, ArithmeticError),
        (errors.CheckpointError, ValueError),
        (errors.StorageError, OSError),
        (errors.MissingDependencyError, ImportError),
    ],
)
def test_a_program_can_catch_the_builtin_kind(kind, builtin):
    with pytest.raises(builtin):
        raise make(kind)


def test_a_note_and_a_cause_stay_with_the_error():
    error = make(errors.StorageError)
    error.add_note("twice")
    assert pickle.loads(pickle.dumps(error)).__notes__ == ["twice"]


def test_an_unknown_name_says_the_nearest_and_all_valid_ones():
    error = make(UnknownNameError)
    assert str(error) == "unknown method 'randd'; did you mean 'rand'?"
    assert error.hint == "valid method names: aand, rand, rd"
    assert (error.kind, error.name, error.valid) == ("method", "randd", ["aand", "rand", "rd"])


def test_an_unknown_name_among_none():
    error = UnknownNameError("category", "x", [])
    assert str(error) == "unknown category 'x'"
    assert error.hint == "valid category names: (none)"


@pytest.mark.parametrize(("name", "near"), [("botle", "bottle"), ("capsle", "capsule"), ("zzz", None), ("", None)])
def test_nearest(name, near):
    assert nearest(name, ["bottle", "capsule"]) == near
