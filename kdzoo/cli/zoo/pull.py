"""`kdzoo zoo pull`: a release into the cache and into a folder."""

from __future__ import annotations

from pathlib import Path

import click

from kdzoo.cli.options import zoo_option
from kdzoo.cli.say import say
from kdzoo.cli.zoo.bringing import brought
from kdzoo.cli.zoo.signed import signatures_of
from kdzoo.cli.zoo.which_release import entry_argument, release_options


@click.command()
@entry_argument
@release_options
@click.option(
    "--out", "-o", type=click.Path(path_type=Path, file_okay=False), help="Also write the detector's files here."
)
@zoo_option
def pull(entry: str, release: int | None, digest: str | None, alias: str, out: Path | None, zoo: str | None) -> None:
    """Bring a release into the local cache, and with --out into a folder that `--from` reads.

    Manifest and signatures go into the folder, too, and are compared with what is in it whenever it is used.

    \b
    Example:
      kdzoo zoo pull aand/demo/weave --out weave
    """
    registry, manifest, files = brought(entry, release, digest, alias, zoo)
    if out is not None:
        from kdzoo.carried.folder import write_folder

        write_folder(manifest, files, signatures_of(registry, manifest), out)
    for role, path in files.items():
        say(f"{role:8} {manifest.blobs[role].size:>12,} bytes  {path}")
    if out is not None:
        say(f"detector {out}")
