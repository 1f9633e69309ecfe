"""`kdzoo teacher show`: the card of a teacher."""

from __future__ import annotations

from typing import Any

import click

from kdzoo.cli.options import json_option, zoo_option
from kdzoo.cli.say import say_result
from kdzoo.cli.teacher.opening import open_teacher_zoo


@click.command()
@click.argument("name")
@zoo_option
@json_option
def show(name: str, zoo: str | None, as_json: bool) -> None:
    """Show what is known of a teacher: backbone, levels, input transform, licence, where its weights come from.

    Weights that are on this machine are read whole and compared with their digest.

    \b
    Examples:
      kdzoo teacher show kdzoo-tiny
      kdzoo teacher show efficientnet_b4
    """
    from kdzoo.settings import Settings

    found = _described(name, Settings.from_environment(), zoo)
    say_result(found, _lines, as_json=as_json)


def _described(name: str, settings: Any, zoo: str | None) -> dict[str, Any]:
    """Source, levels and card of a teacher, or of what the hub publishes of a backbone.

    Raises:
        UnknownNameError: there is no such teacher here, in the zoo or in timm.
        TeacherError: its weights are damaged.
    """
    from kdzoo.errors import UnknownNameError
    from kdzoo.teachers.backbone import build_teacher
    from kdzoo.teachers.local import LocalTeachers
    from kdzoo.teachers.names import TeacherName, parse_teacher
    from kdzoo.teachers.weights import read_carded_file

    parsed = parse_teacher(name, teachers=LocalTeachers.of(settings))
    card, source = parsed.card, parsed.source
    try:
        teacher = build_teacher(parsed)
    except UnknownNameError:
        card = open_teacher_zoo(settings, zoo).card(name)
        if card is None:
            raise
        source = "zoo"
        teacher = build_teacher(TeacherName(architecture=card.architecture, source="local", card=card))
    if card is not None and parsed.file is not None:
        read_carded_file(parsed.file, card)
    levels = {"channels": list(teacher.shape.channels), "reductions": list(teacher.shape.reductions)}
    where = {} if parsed.file is None else {"file": str(parsed.file)}
    if card is not None:
        return {"source": source, **where, "levels": levels, **card.document()}
    return {"source": source, **where, "levels": levels, **_published(teacher)}


def _published(teacher: Any) -> dict[str, Any]:
    """What timm, or the list of packages, says of a backbone whose weights have no card."""
    import timm

    config = timm.get_pretrained_cfg(teacher.name.architecture)
    facts = {
        "name": teacher.name.label,
        "architecture": teacher.name.architecture,
        "mean": list(teacher.mean),
        "std": list(teacher.std),
    }
    if teacher.name.packaged is not None:
        wanted = teacher.name.packaged
        return {**facts, "licence": wanted.licence, **wanted.details(), "next": f"kdzoo teacher fetch {wanted.name}"}
    if teacher.name.source != "hub":
        return facts
    return {
        **facts,
        "licence": getattr(config, "license", None) or "unknown",
        "hub": getattr(config, "hf_hub_id", None),
    }


def _lines(found: dict[str, Any]) -> list[str]:
    lines = []
    for key, value in found.items():
        if isinstance(value, dict):
            lines.append(key)
            lines += [f"  {name:22} {_short(item)}" for name, item in value.items()]
        else:
            lines.append(f"{key:24} {_short(value)}")
    return lines


def _short(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else "–" if value is None else str(value)
