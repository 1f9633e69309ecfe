"""`kdzoo teacher pull`: a teacher of the zoo to this machine."""

from __future__ import annotations

import click

from kdzoo.cli.options import json_option, zoo_option
from kdzoo.cli.progress import Bar
from kdzoo.cli.say import say, say_json
from kdzoo.cli.teacher.opening import open_teacher_zoo


@click.command()
@click.argument("name")
@click.option("--replace", is_flag=True, help="Take the name from other weights on this machine.")
@zoo_option
@json_option
def pull(name: str, replace: bool, zoo: str | None, as_json: bool) -> None:
    """Bring a teacher of the zoo to this machine, for --teacher NAME.

    \b
    Examples:
      kdzoo teacher pull wide_resnet50_2.tv_in1k --zoo s3://bucket/zoo
      kdzoo teacher pull plant-resnet --replace
    """
    from kdzoo.settings import Settings
    from kdzoo.teachers.local import LocalTeachers

    settings = Settings.from_environment()
    source, teachers = open_teacher_zoo(settings, zoo), LocalTeachers.of(settings)
    with Bar(f"Pulling {name}") as bar:
        card = source.pull(name, teachers, replace=replace, progress=bar)
    if as_json:
        say_json({**card.document(), "file": str(teachers.file(card))})
    else:
        say(f"'{card.name}' is a {card.architecture}, sha256 {card.sha256}")
