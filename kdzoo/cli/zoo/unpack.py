"""`kdzoo zoo unpack`: a packed detector as a folder."""

from __future__ import annotations

from pathlib import Path

import click

from kdzoo.cli.say import say


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--out", "-o", type=click.Path(path_type=Path, file_okay=False), required=True, help="The folder to make."
)
def unpack(file: Path, out: Path) -> None:
    """Make a detector's folder of the file that `kdzoo zoo pack` made, and check that all in it belongs together.

    \b
    Example:
      kdzoo zoo unpack weave.kdzoo --out weave
    """
    from kdzoo.carried.members import unpack_whole
    from kdzoo.detector_files import MEMBERS
    from kdzoo.storage import folder_written

    with folder_written(out, may_replace=MEMBERS) as folder:
        unpack_whole(file, folder)
    say(f"detector {out}")
