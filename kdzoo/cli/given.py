"""The command as it was typed, for what keeps it."""

from __future__ import annotations

import shlex

import click

from kdzoo.visible import visible
from zoo_registry.addresses import without_credentials


def command_line() -> str:
    """What was typed, quoted for a shell, without passwords in addresses; empty where no command was.

    What steers a terminal is an escape in it: it is kept to be read.
    """
    context = click.get_current_context(silent=True)
    given = None if context is None else context.find_root().obj
    if not isinstance(given, list):
        return ""
    return visible(shlex.join(["kdzoo", *map(without_credentials, given)]))
