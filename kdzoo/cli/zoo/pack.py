"""`kdzoo zoo pack`: a release, or a detector's folder, as a single file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from kdzoo.cli.options import existing_folder, zoo_option
from kdzoo.cli.say import say
from kdzoo.cli.zoo.bringing import brought
from kdzoo.cli.zoo.signed import signatures_of
from kdzoo.cli.zoo.which_release import release_options

if TYPE_CHECKING:
    from kdzoo.carried.members import Packable


@click.command()
@click.argument("entry", nargs=-1, metavar="[[METHOD] DATASET/CATEGORY]")
@click.option("--from", "folder", type=click.Path(path_type=Path), help="A detector's folder in place of a release.")
@click.option("--out", "-o", type=click.Path(path_type=Path, dir_okay=False), required=True, help="The file to make.")
@release_options
@zoo_option
def pack(
    entry: tuple[str, ...], folder: Path | None, out: Path, release: int | None, digest: str | None, alias: str,
    zoo: str | None,
) -> None:  # fmt: skip
    """Make one file of a release, or of a detector's folder, for a USB stick; `--from FILE` reads it anywhere.

    Manifest and signatures go into it, too. The same release and signatures give the same bytes.

    \b
    Examples:
      kdzoo zoo pack aand demo/weave --out weave.kdzoo
      kdzoo zoo pack --from weave --out weave.kdzoo
    """
    from kdzoo.carried.members import of_folder
    from kdzoo.carried.packing import pack as write

    if bool(entry) == (folder is not None):
        raise click.UsageError("give METHOD and DATASET/CATEGORY, or --from FOLDER")
    if folder is not None:
        if (release, digest, zoo) != (None, None, None) or alias != "champion":
            raise click.UsageError("--from names the detector already; leave --release, --digest, --alias, --zoo out")
        made = of_folder(existing_folder(folder, "detector folder"))
    else:
        made = _of_release("/".join(entry), release, digest, alias, zoo)
    write(made.members, out, digests=made.digests)
    say(f"{made.title} in {out}, {out.stat().st_size:,} bytes")


def _of_release(entry: str, release: int | None, digest: str | None, alias: str, zoo: str | None) -> Packable:
    from kdzoo.carried.members import of_release
    from kdzoo.category_entry import full_entry

    registry, manifest, files = brought(full_entry(entry), release, digest, alias, zoo)
    return of_release(manifest, files, signatures_of(registry, manifest))
