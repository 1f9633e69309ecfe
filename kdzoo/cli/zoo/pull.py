"""`kdzoo zoo pull`: a release into the cache and into a folder."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kdzoo.cli.options import zoo_option
from kdzoo.cli.say import say
from kdzoo.cli.zoo.which_release import entry_argument, release_options
from kdzoo.cli.zoos import open_zoo

if TYPE_CHECKING:
    from zoo_registry import Manifest


@click.command()
@entry_argument
@release_options
@click.option(
    "--out", "-o", type=click.Path(path_type=Path, file_okay=False), help="Also write the detector's files here."
)
@zoo_option
def pull(entry: str, release: int | None, alias: str, out: Path | None, zoo: str | None) -> None:
    """Bring a release into the local cache, and with --out into a folder that `--from` reads.

    \b
    Example:
      kdzoo zoo pull aand/demo/weave --out weave
    """
    from kdzoo.settings import Settings
    from kdzoo.trust import require_signature

    registry = open_zoo(zoo)
    manifest = registry.resolve(entry, release, alias)
    require_signature(Settings.from_environment(), registry, manifest)
    total = sum(blob.size for blob in manifest.blobs.values())
    with click.progressbar(length=total, label="Pulling", file=sys.stderr) as bar:
        files = {role: registry.fetch(manifest, role, progress=bar.update) for role in manifest.blobs}
    if out is not None:
        _write(manifest, files, out)
    for role, path in files.items():
        say(f"{role:8} {manifest.blobs[role].size:>12,} bytes  {path}")
    if out is not None:
        say(f"detector {out}")


def _write(manifest: Manifest, files: dict[str, Path], out: Path) -> None:
    """The release as a detector's folder, whole or not at all."""
    from kdzoo.detector import DOCUMENT_FILE, TEACHER_FILE, WEIGHTS_FILE
    from kdzoo.storage import folder_written, write_new
    from kdzoo.zoo import PICTURE, TEACHER, WEIGHTS
    from zoo_registry.store.files import copy, open_regular

    names = {WEIGHTS: WEIGHTS_FILE, TEACHER: TEACHER_FILE, PICTURE: "cases.png"}
    with folder_written(out, may_replace=frozenset({*names.values(), DOCUMENT_FILE})) as folder:
        for role, path in files.items():
            if role in names:
                with open_regular(path) as source:
                    copy(source, folder / names[role])
        write_new(folder / DOCUMENT_FILE, json.dumps(dict(manifest.document), indent=2).encode())
