"""Which command a group runs where none of its own is named."""

import click
import pytest

from kdzoo.cli.groups import DefaultGroup
from kdzoo.errors import UnknownNameError


def said(words, **given):
    """What a group of the commands `list` and `show` runs, with the words that are left for it."""
    group = DefaultGroup("things", **given)
    for name in ("list", "show"):
        command = click.Command(name, params=[click.Argument(["words"], nargs=-1)], callback=told(name))
        command.params.append(click.Option(["--loud"], is_flag=True))
        group.add_command(command)
    return group.main(words, prog_name="things", standalone_mode=False)


def told(name):
    return lambda words, loud: (name, *words, *(["loud"] if loud else []))


@pytest.mark.parametrize(
    ("words", "ran"), [([], ("list",)), (["--loud"], ("list", "loud")), (["--", "show"], ("list", "show"))]
)
def test_the_default_runs_where_nothing_is_named(words, ran):
    assert said(words, default="list") == ran


def test_a_named_command_runs():
    assert said(["show", "a"], default="list", takes_words="list") == ("show", "a")


@pytest.mark.parametrize("word", ["a", "", "lst"])
def test_an_unknown_word_goes_to_the_command_that_takes_words(word):
    assert said([word, "--loud"], default="list", takes_words="show") == ("show", word, "loud")


def test_an_unknown_word_is_an_error_that_says_the_nearest_elsewhere():
    with pytest.raises(UnknownNameError, match="unknown thing 'lst'; did you mean 'list'"):
        said(["lst"], default="list", called="thing")


@pytest.mark.parametrize("given", [{"default": "list"}, {"takes_words": "list"}, {}])
def test_help_is_the_groups_own(capsys, given):
    said(["--help"], **given)
    assert "things [OPTIONS] COMMAND [ARGS]..." in capsys.readouterr().out


def test_without_a_default_nothing_named_shows_help():
    with pytest.raises(click.UsageError) as ended:
        said([], takes_words="list")
    assert "things [OPTIONS] COMMAND [ARGS]..." in ended.value.format_message()
