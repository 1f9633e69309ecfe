"""`kdzoo cache verify`: whether pulled blobs are still what they were."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from kdzoo.cli.options import json_option
from kdzoo.cli.progress import Bar
from kdzoo.cli.say import say, say_json, tell

if TYPE_CHECKING:
    from zoo_registry.cache.listing import CachedFile


@click.command()
@click.option("--remove", is_flag=True, help="Delete damaged blobs; the next load fetches them again.")
@json_option
def verify(remove: bool, as_json: bool) -> None:
    """Read every pulled blob and compare its sha256 with its name; exit status 1 if a damaged one remains.

    Loading does the same for the blobs it uses.

    \b
    Examples:
      kdzoo cache verify
      kdzoo cache verify --remove
    """
    from kdzoo.settings import Settings
    from zoo_registry.cache.listing import cached_files, remove_file

    root = Settings.from_environment().cache / "zoo"
    blobs = [file for file in cached_files(root) if file.kind == "blob"]
    damaged = sorted(_damaged(blobs), key=lambda pair: pair[0].path)
    if remove:
        for file, _ in damaged:
            remove_file(root, file)
    if as_json:
        told = [
            {"path": str(file.path), "what": file.what, "damage": damage, "removed": remove} for file, damage in damaged
        ]
        say_json({"blobs": len(blobs), "bytes": sum(file.size for file in blobs), "damaged": told})
    else:
        for file, damage in damaged:
            say(f"{'removed' if remove else 'damaged'} {file.what}: {file.path} {damage}")
        say(f"{len(blobs) - len(damaged)} of {len(blobs)} blobs in {root} are whole")
    if damaged and not remove:
        tell("Delete them with: kdzoo cache verify --remove")
        sys.exit(1)


def _damaged(blobs: list[CachedFile]) -> list[tuple[CachedFile, str]]:
    """The blobs that are not what their name says, with what is wrong."""
    from zoo_registry.cache.blobs import damage

    total, done, found = sum(file.size for file in blobs), 0, []
    with Bar("Reading") as bar:
        for file in blobs:
            wrong = damage(file)
            if wrong is not None:
                found.append((file, wrong))
            done += file.size
            bar(done, max(total, 1))
    return found
