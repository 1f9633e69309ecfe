"""The passphrase of a key, asked of a person."""

from __future__ import annotations

import sys

import click


def ask_passphrase() -> str | None:
    """What a person types, which is not shown; None where there is none to ask."""
    if not sys.stdin.isatty():
        return None
    return str(click.prompt("Passphrase of the key", hide_input=True, err=True))
