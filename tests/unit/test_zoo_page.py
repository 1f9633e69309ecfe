"""docs/zoo.md: the commands, options and files that it names are there."""

import re
import shlex
from pathlib import Path

import click
import pytest

from kdzoo.cli.main import cli
from kdzoo.settings import Settings

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "zoo.md").read_text()
COMMANDS = sorted(set(re.findall(r"^kdzoo (.+?)(?:\s+#.*)?$", PAGE, re.MULTILINE)))


@pytest.mark.parametrize("line", COMMANDS)
def test_its_commands_can_be_given_so(line):
    words, command, context = shlex.split(line), cli, click.Context(cli, info_name="kdzoo")
    while isinstance(command, click.Group):
        name, found, words = command.resolve_command(context, words) if words else ("list", None, [])
        command = found or command.get_command(context, "list")
        context = click.Context(command, info_name=name, parent=context)
        if isinstance(command, click.Group) and not words:
            words = ["list"]
    command.parse_args(context, words)


def test_all_commands_of_the_group_are_on_it():
    group = cli.get_command(click.Context(cli), "zoo")
    missing = [
        name for name in group.list_commands(click.Context(group)) if name != "list" and f"zoo {name}" not in PAGE
    ]
    assert missing == []


def test_its_schemas_are_there():
    named = re.findall(r"zoo_registry/format/schemas/[a-z0-9-]+\.json", PAGE)
    assert sorted(named) == sorted(
        str(path.relative_to(ROOT)) for path in ROOT.glob("zoo_registry/format/schemas/*.json")
    )


def test_its_variables_are_read(monkeypatch):
    source = (ROOT / "kdzoo" / "settings.py").read_text()
    named = set(re.findall(r"KDZOO_[A-Z_]+", PAGE))
    assert named and all(f'"{name}"' in source for name in named)
    monkeypatch.setenv("KDZOO_SIGNING_KEY", "~/k")
    assert Settings.from_environment().signing_key == Path.home() / "k"
