"""All that commands print, but tables: results as lines or JSON on stdout, what else is to be known on stderr.

Names, messages and documents come from strangers. A line is plain text here: it never holds markup, and whatever would
steer a terminal or begin another line is shown as an escape.
"""

from __future__ import annotations

import io
import json
import logging
import re
import sys
from collections.abc import Callable, Iterable
from typing import Any

import click

from kdzoo.visible import visible
from zoo_registry.addresses import without_credentials

_COLOURS = re.compile(r"\x1b\[[0-9;:]*m")
_LINE_ENDS = re.compile(r"\r\n|\r|\n")


def say(*lines: str, alarm: str = "") -> None:
    """Prints a result on stdout, each text on a line of its own.

    Args:
        lines: the texts.
        alarm: words in front of the first one, in red where there are colours.
    """
    _print(lines, alarm, err=False)


def tell(*lines: str, alarm: str = "") -> None:
    """Prints on stderr what a person should know, as `say` does; passwords in addresses are taken out."""
    _print(map(without_credentials, lines), alarm, err=True)


def say_json(document: Any) -> None:
    """Prints a result for programs on stdout: one line of JSON, whose escapes are JSON's own."""
    click.echo(json.dumps(document))


def say_result(document: Any, lines: Callable[[Any], Iterable[str]], *, as_json: bool) -> None:
    """Prints a result for programs, or as ``lines`` has it for people."""
    if as_json:
        say_json(document)
    else:
        say(*lines(document))


def say_bytes(text: str) -> None:
    """Prints a document as it is, for programs that compare bytes; to a terminal what would steer it as escapes."""
    if sys.stdout.isatty():
        say(*text.removesuffix("\n").split("\n"))
    else:
        click.echo(text, nl=False)


def say_log(text: str) -> None:
    """Prints a part of what another program has printed: lines stay lines, colours go, all else is made visible.

    A carriage return, with which a progress bar writes over itself, ends the line: nothing is hidden by what follows.
    """
    plain = _LINE_ENDS.sub("\n", _COLOURS.sub("", text))
    click.echo("\n".join(visible(line.expandtabs()) for line in plain.split("\n")), nl=False)
    sys.stdout.flush()


def tell_error(message: str, hint: str) -> None:
    """Prints what is wrong and, if there is a hint, what to do next, on stderr."""
    # Lists in kdzoo's own messages begin their lines so; a name that does the same only gets a line further in.
    first, *more = message.split("\n  ")
    below = [f"  {line}" for line in (*more, *(hint.split("\n  ") if hint else ()))]
    tell(first, *below, alarm="Error: ")


def tell_usage(error: click.ClickException) -> None:
    """Prints on stderr how click words a mistake in the command line, with the command's usage."""
    said = io.StringIO()
    error.show(file=said)
    tell(*said.getvalue().rstrip("\n").expandtabs().split("\n"))


def only_text() -> None:
    """Makes this process print nothing that is not text: in log messages too, and whatever the terminal can write."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    if logging.lastResort is not None:
        logging.lastResort.setFormatter(_Visible())


class _Visible(logging.Formatter):
    """Messages of libraries, as `tell` would print them."""

    def format(self, record: logging.LogRecord) -> str:
        text = without_credentials(super().format(record))
        return "\n".join(visible(line.expandtabs()) for line in text.split("\n"))


def _print(lines: Iterable[str], alarm: str, *, err: bool) -> None:
    if alarm:
        click.secho(alarm, fg="red", bold=True, nl=False, err=err)
    for line in lines:
        click.echo(visible(line), err=err)
