"""`kdzoo teacher list`: every teacher whose weights are within reach."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from kdzoo.cli.notes import tell_note
from kdzoo.cli.options import json_option, zoo_option
from kdzoo.cli.say import say_json, tell
from kdzoo.cli.teacher.opening import open_teacher_zoo

if TYPE_CHECKING:
    from kdzoo.settings import Settings
    from kdzoo.teachers.card import TeacherCard

_SHOWN_DIGITS = 12


@click.command("list")
@zoo_option
@json_option
def list_teachers(zoo: str | None, as_json: bool) -> None:
    """List the teachers that ship with kdzoo, those of this machine, in packages, in the hub's cache and in the zoo.

    Those in a package have a line of their own until they are fetched, which their first use does.

    \b
    Examples:
      kdzoo teacher
      kdzoo teacher list --zoo s3://bucket/zoo --json
    """
    from kdzoo.settings import Settings

    settings = Settings.from_environment()
    rows = [*_shipped(), *_local(settings), *_packaged(settings), *_hub_cache(), *_zoo(settings, zoo)]
    if as_json:
        say_json(rows)
        return
    from kdzoo.cli.tables import Page, PlainTable

    table = PlainTable(None, ("name", "source", "architecture", "bytes", "sha256"), numbers=("bytes",))
    for row in rows:
        size = "–" if row["bytes"] is None else f"{row['bytes']:,}"
        table.add_row(row["name"], row["source"], row["architecture"], size, (row["sha256"] or "–")[:_SHOWN_DIGITS])
    Page().table(table)
    tell("Any other timm backbone is downloaded at its first use: --teacher wide_resnet50_2.tv_in1k")


def _shipped() -> Iterator[dict[str, Any]]:
    from kdzoo.errors import TeacherError
    from kdzoo.teachers.shipping import SHIPPED_NAMES, shipped_card, shipped_file

    for name in SHIPPED_NAMES:
        try:
            card, size = shipped_card(name), shipped_file(name).stat().st_size
        except (TeacherError, OSError) as error:
            _tell(name, error)
            continue
        yield _row(card, "shipped", size)


def _local(settings: Settings) -> Iterator[dict[str, Any]]:
    from kdzoo.errors import TeacherError
    from kdzoo.teachers.local import LocalTeachers

    teachers = LocalTeachers.of(settings)
    for name in teachers.names():
        try:
            card = teachers.card(name)
        except TeacherError as error:
            _tell(name, error)
            continue
        if card is not None:
            yield _row(card, "local", card.size)


def _packaged(settings: Settings) -> Iterator[dict[str, Any]]:
    """Those in packages, unless a teacher of this machine bears the name."""
    from kdzoo.teachers.local import LocalTeachers
    from kdzoo.teachers.package_file import installed_file
    from kdzoo.teachers.packaged import PACKAGED

    local = set(LocalTeachers.of(settings).names())
    for name, wanted in PACKAGED.items():
        if name not in local:
            yield {
                "name": name,
                "source": "package index" if installed_file(wanted) is None else "installed package",
                "architecture": wanted.architecture,
                "bytes": None,
                "sha256": None,
            }


def _hub_cache() -> Iterator[dict[str, Any]]:
    from kdzoo.teachers.hub_cache import cached_weights

    for cached in cached_weights():
        yield {
            "name": cached.name,
            "source": "hub cache",
            "architecture": cached.name,
            "bytes": cached.size,
            "sha256": cached.sha256,
        }


def _zoo(settings: Settings, zoo: str | None) -> Iterator[dict[str, Any]]:
    """Those of the zoo; one that is out of reach leaves the rest of the list as it is."""
    from kdzoo.errors import TeacherError
    from zoo_registry import RegistryError

    source = open_teacher_zoo(settings, zoo)
    try:
        names = source.names()
    except RegistryError as error:
        _tell("the zoo's teachers are left out", error)
        return
    for name in names:
        try:
            card = source.card(name)
        except (TeacherError, RegistryError) as error:
            _tell(name, error)
            continue
        if card is not None:
            yield _row(card, "zoo", card.size)


def _row(card: TeacherCard, source: str, size: int | None) -> dict[str, Any]:
    return {
        "name": card.name,
        "source": source,
        "architecture": card.architecture,
        "bytes": size,
        "sha256": card.sha256,
    }


def _tell(what: str, error: Exception) -> None:
    tell_note(f"{what}: {error}")
