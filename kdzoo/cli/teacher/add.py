"""`kdzoo teacher add`: a name for weights on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from kdzoo.cli.options import json_option
from kdzoo.cli.say import say, say_json


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--name", help="What to write after --teacher; default that of the card beside the file.")
@click.option("--architecture", metavar="NAME", help="timm's name of the backbone; default the card's.")
@click.option("--mean", metavar="R,G,B", help="Channel means that the weights were trained with; default timm's.")
@click.option("--std", metavar="R,G,B", help="Channel standard deviations likewise.")
@click.option("--licence", metavar="TEXT", help="Of the weights; default the card's, else unknown.")
@click.option("--replace", is_flag=True, help="Take the name from other weights.")
@json_option
def add(
    file: Path, name: str | None, architecture: str | None, mean: str | None, std: str | None, licence: str | None,
    replace: bool, as_json: bool,
) -> None:  # fmt: skip
    """Give the weights in FILE a name, so that --teacher NAME finds them in every command.

    FILE is a .safetensors, .pth or .pt state dict of a timm backbone, or of torchvision's resnets, densenets,
    convnexts, efficientnets b0 to b7 and mobilenets v3; a .pth or .pt file may have any names if its tensors stand in
    the order of timm's layers. What a backbone needs of it is kept in the cache; FILE itself
    is not needed any more. `kdzoo teacher pretrain` leaves a card beside its weights, which says the rest.

    \b
    Examples:
      kdzoo teacher add resnet18.pth --name plant-resnet --architecture resnet18
      kdzoo teacher add runs/plant/plant-tiny.safetensors
    """
    from kdzoo.settings import Settings
    from kdzoo.teachers.adding import add_teacher
    from kdzoo.teachers.local import LocalTeachers

    card, new = add_teacher(
        file,
        LocalTeachers.of(Settings.from_environment()),
        name=name,
        architecture=architecture,
        mean=_three(mean, "--mean"),
        std=_three(std, "--std"),
        licence=licence,
        replace=replace,
    )
    if as_json:
        say_json({**card.document(), "new": new})
        return
    say(f"'{card.name}' is a {card.architecture}, sha256 {card.sha256}" + ("" if new else ", as before"))
    say(f"Next: kdzoo sweep aand --dataset demo --teacher {card.name}")


def _three(text: str | None, option: str) -> tuple[float, ...] | None:
    """Three numbers.

    Raises:
        UsageError: it is something else.
    """
    from kdzoo.errors import UsageError

    if text is None:
        return None
    try:
        values: Any = tuple(float(part) for part in text.split(","))
    except ValueError:
        values = ()
    if len(values) != 3:
        raise UsageError(f"{option} '{text}' is not three numbers", hint=f"for example {option} 0.485,0.456,0.406")
    return tuple(values)
