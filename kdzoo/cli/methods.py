"""`kdzoo methods`: the methods and their knobs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from kdzoo.cli.options import json_option
from kdzoo.cli.say import say, say_json, say_result

if TYPE_CHECKING:
    from kdzoo.methods.registry import MethodEntry


@click.command()
@click.argument("method", required=False)
@json_option
def methods(method: str | None, as_json: bool) -> None:
    """List the methods; with METHOD, its knobs with published values and ranges.

    \b
    Examples:
      kdzoo methods
      kdzoo methods aand
    """
    from kdzoo.methods.registry import find_method, method_names

    if method is None:
        entries = [find_method(name) for name in method_names()]
        rows = [
            {"name": entry.name, "title": entry.title, "missing": list(entry.missing), "install": entry.install}
            for entry in entries
        ]
        width = max(8, *(len(entry.name) for entry in entries))
        lines = [f"{entry.name:{width}} {entry.title}{_how_to_get(entry)}" for entry in entries]
        say_result(rows, lambda _: lines, as_json=as_json)
        return
    entry = find_method(method)
    knobs = [_knob(entry.config, key) for key in entry.config.__dataclass_fields__]
    if as_json:
        say_json(knobs)
        return
    say(entry.title + _how_to_get(entry))
    width = max(len(knob["key"]) for knob in knobs)
    for knob in knobs:
        say(f"  {knob['key']:{width}}  {knob['default']!s:<8} {knob['range']:<16} {knob['help']}")


def _how_to_get(entry: MethodEntry) -> str:
    """What to install for a method that cannot be used as it is."""
    return f" (not installed: pip install '{entry.install or ' '.join(entry.missing)}')" if entry.missing else ""


def _knob(config: Any, key: str) -> dict[str, Any]:
    field = config.__dataclass_fields__[key]
    low, high, above = config.bounds(key)
    bounds = f"{'(' if above is not None else '['}{above if above is not None else low}, {high}]"
    return {"key": key, "default": field.default, "range": bounds, "help": field.metadata["help"]}
