"""`kdzoo teacher push` and `pull`: teachers to and from the zoo."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from kdzoo.cli.options import Bar, json_option, zoo_option

if TYPE_CHECKING:
    from kdzoo.settings import Settings
    from kdzoo.teacher_zoo import TeacherZoo


@click.command()
@click.argument("name")
@zoo_option
@json_option
def push(name: str, zoo: str | None, as_json: bool) -> None:
    """Put a teacher into the zoo, for machines that reach the zoo and no internet.

    NAME is a teacher of this machine, or a timm backbone, whose published weights are downloaded if need be. What is in
    a zoo never changes: a name that bears other weights there is refused.

    \b
    Examples:
      kdzoo teacher push wide_resnet50_2.tv_in1k --zoo s3://bucket/zoo
      kdzoo teacher push plant-resnet
    """
    from kdzoo.settings import Settings
    from kdzoo.teacher_zoo import push_teacher

    settings = Settings.from_environment()
    target = _teacher_zoo(settings, zoo)
    with Bar(f"Pushing {name}") as bar:
        card, new = push_teacher(name, settings, target, progress=bar)
    if as_json:
        click.echo(json.dumps({**card.document(), "zoo": target.uri, "new": new}))
    else:
        click.echo(f"'{card.name}' is in {target.uri}, sha256 {card.sha256}" + ("" if new else ", as before"))


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
    source, teachers = _teacher_zoo(settings, zoo), LocalTeachers.of(settings)
    with Bar(f"Pulling {name}") as bar:
        card = source.pull(name, teachers, replace=replace, progress=bar)
    if as_json:
        click.echo(json.dumps({**card.document(), "file": str(teachers.file(card))}))
    else:
        click.echo(f"'{card.name}' is a {card.architecture}, sha256 {card.sha256}")


def _teacher_zoo(settings: Settings, zoo: str | None) -> TeacherZoo:
    from kdzoo.teacher_zoo import TeacherZoo

    return TeacherZoo.of(settings, zoo, warn=lambda text: click.echo(f"Note: {text}", err=True))
