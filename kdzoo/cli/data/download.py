"""`kdzoo data download`: a data set fetched from its publisher, checked, and put where kdzoo looks for it."""

from __future__ import annotations

from pathlib import Path

import click

from kdzoo.cli.downloads import bring
from kdzoo.cli.notes import tell_note
from kdzoo.cli.options import json_option
from kdzoo.cli.say import say_result


@click.command()
@click.argument("name")
@click.option(
    "--root", type=click.Path(path_type=Path, file_okay=False), help="Put it in DIR/NAME; default KDZOO_DATA/NAME."
)
@click.option("--yes", "-y", is_flag=True, help="Do not ask: the licence is read and accepted.")
@click.option("--keep-archive", is_flag=True, help="Keep the archive after unpacking.")
@json_option
def download(name: str, root: Path | None, yes: bool, keep_archive: bool, as_json: bool) -> None:
    """Download the data set NAME, check it and unpack it: mvtec, visa, mvtec3d, ksdd2, elpv, dtd.

    A run that was interrupted goes on where it was. Behind a firewall, put the archive into the folder that the
    messages name, or set KDZOO_DATA_MIRROR to a server that has it. elpv comes from the Python index, by pip.

    \b
    Examples:
      kdzoo data download visa
      kdzoo data download mvtec --yes
      kdzoo data download dtd --root /mnt/big
      KDZOO_DATA_MIRROR=https://files.example.com/datasets kdzoo data download ksdd2
    """
    from kdzoo.data.download.place import find_place
    from kdzoo.data.registered import registered
    from kdzoo.settings import Settings

    settings = Settings.from_environment()
    place = find_place(name, settings, root)
    installed = bring(place, offline=settings.offline, ask=not yes, keep_archive=keep_archive)
    named = registered(settings).get(name)
    if named is not None and named != installed.root:
        tell_note(f"'{name}' stands for {named} until: kdzoo data add {name} --remove")
    result = {
        "dataset": place.archive.name,
        "root": str(installed.root),
        "downloaded": installed.fresh,
        "licence": place.archive.licence,
        "licence_files": [str(path) for path in installed.licence_files],
        "archive": None if installed.archive is None else str(installed.archive),
    }
    say_result(result, lambda _: [str(installed.root)], as_json=as_json)
