"""What is kept of the command line: all of it but secrets, quoted, on one line."""

import click
import pytest
from click.testing import CliRunner

from kdzoo.cli.given import command_line
from kdzoo.cli.main import cli, main


def typed(*arguments):
    @click.group()
    def root():
        """Stands for kdzoo."""

    @root.command(context_settings={"ignore_unknown_options": True})
    @click.argument("rest", nargs=-1)
    def inner(rest):
        click.echo(command_line(), nl=False)

    given = ["inner", *arguments]
    return CliRunner().invoke(root, list(given), obj=given).output


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (["rd", "-d", "demo"], "kdzoo inner rd -d demo"),
        (["my parts", "it's"], """kdzoo inner 'my parts' 'it'"'"'s'"""),
        (["--zoo=http://kim:secret@host/z"], "kdzoo inner --zoo=http://host/z"),
        (["s3://KEY:sec/ret@bucket/zoo"], "kdzoo inner s3://bucket/zoo"),
        (["https://h/x?token=secret&a=1"], "kdzoo inner 'https://h/x?token=***&a=1'"),
        (["a\x1b[31m\nb"], r"kdzoo inner 'a\x1b[31m\nb'"),
    ],
)
def test_it_is_quoted_and_holds_no_secret(given, kept):
    assert typed(*given) == kept


def test_a_program_typed_nothing():
    assert command_line() == ""


def test_main_hands_on_what_was_typed(monkeypatch):
    seen = {}
    monkeypatch.setattr(type(cli), "main", lambda self, args, **more: seen.update(args=args, **more))
    with pytest.raises(SystemExit):
        main(["zoo", "--debug", "--json", "--", "--debug"])
    assert seen["obj"] == ["zoo", "--json", "--", "--debug"] == seen["args"]
