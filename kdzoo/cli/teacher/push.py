"""`kdzoo teacher push`: a teacher into the zoo."""

from __future__ import annotations

import click

from kdzoo.cli.options import json_option, zoo_option
from kdzoo.cli.progress import Bar
from kdzoo.cli.say import say, say_json
from kdzoo.cli.teacher.opening import open_teacher_zoo


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
    target = open_teacher_zoo(settings, zoo)
    with Bar(f"Pushing {name}") as bar:
        card, new = push_teacher(name, settings, target, progress=bar)
    if as_json:
        say_json({**card.document(), "zoo": target.uri, "new": new})
    else:
        say(f"'{card.name}' is in {target.uri}, sha256 {card.sha256}" + ("" if new else ", as before"))
