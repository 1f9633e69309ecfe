"""`kdzoo teacher remove`: a name of weights on this machine is forgotten."""

from __future__ import annotations

import click

from kdzoo.cli.options import json_option
from kdzoo.cli.say import say_result


@click.command()
@click.argument("name")
@json_option
def remove(name: str, as_json: bool) -> None:
    """Forget a teacher of this machine. Detectors that were trained with it keep their own copy.

    \b
    Example:
      kdzoo teacher remove plant-resnet
    """
    from kdzoo.errors import UsageError
    from kdzoo.settings import Settings
    from kdzoo.teachers.local import LocalTeachers
    from kdzoo.teachers.shipping import SHIPPED_NAMES

    if name in SHIPPED_NAMES:
        raise UsageError(f"'{name}' ships with kdzoo and cannot be removed")
    LocalTeachers.of(Settings.from_environment()).remove(name)
    said = f"'{name}' is no longer a teacher of this machine"
    say_result({"removed": name}, lambda _: [said], as_json=as_json)
