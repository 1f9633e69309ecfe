"""`kdzoo data download`: a data set fetched from its publisher, checked, and put where kdzoo looks for it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kdzoo.cli.options import json_option
from kdzoo.errors import DatasetNotFoundError, UsageError

if TYPE_CHECKING:
    from kdzoo.data.catalog import Dataset
    from kdzoo.data.download.install import Installed
    from kdzoo.data.download.place import Place
    from kdzoo.settings import Settings

_MOST_LINES = 40


@click.command()
@click.argument("name")
@click.option(
    "--root", type=click.Path(path_type=Path, file_okay=False), help="Put it in DIR/NAME; default KDZOO_DATA/NAME."
)
@click.option("--yes", "-y", is_flag=True, help="Do not ask: the licence is read and accepted.")
@click.option("--keep-archive", is_flag=True, help="Keep the archive after unpacking.")
@json_option
def download(name: str, root: Path | None, yes: bool, keep_archive: bool, as_json: bool) -> None:
    """Download the data set NAME, check it and unpack it: mvtec, visa, mvtec3d, ksdd2, dtd.

    A run that was interrupted goes on where it was. Behind a firewall, put the archive into the folder that the
    messages name, or set KDZOO_DATA_MIRROR to a server that has it.

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
        click.echo(f"Note: '{name}' stands for {named} until: kdzoo data add {name} --remove", err=True)
    result = {
        "dataset": place.archive.name,
        "root": str(installed.root),
        "downloaded": installed.fresh,
        "licence": place.archive.licence,
        "licence_files": [str(path) for path in installed.licence_files],
        "archive": None if installed.archive is None else str(installed.archive),
    }
    click.echo(json.dumps(result) if as_json else str(installed.root))


def bring(place: Place, *, offline: bool, ask: bool, keep_archive: bool = False) -> Installed:
    """Downloads and unpacks a data set unless it is there; says on stderr what happens.

    Args:
        place: what goes where.
        offline: do not reach for the network.
        ask: let a person agree to the licence first.
        keep_archive: keep the archive.

    Raises:
        UsageError: nobody is there to be asked.
        click.Abort: the person does not agree.
    """
    from kdzoo.cli.data.download_view import DownloadView
    from kdzoo.data.download.install import install

    known = place.archive
    if not place.is_there():
        _tell(place)
        if ask and not (offline and not place.file.is_file()):
            _confirm(place)
    with DownloadView() as view:
        installed = install(place, view, offline=offline, keep_archive=keep_archive)
    if not installed.fresh:
        click.echo(f"{known.title} is there already: {installed.root}", err=True)
        return installed
    for path in installed.licence_files:
        _show_licence(path)
    click.echo(f"{known.title} is in {installed.root}", err=True)
    if installed.archive is not None:
        click.echo(f"The archive is kept: {installed.archive}", err=True)
    if not place.default:
        click.echo(f"Let kdzoo find it: kdzoo data add {known.name} {installed.root}", err=True)
    return installed


def open_or_download(name: str, settings: Settings, *, download: bool) -> Dataset:
    """Opens a data set by name or path; with ``download`` one that is not there is downloaded first.

    Raises:
        KdzooError: as `kdzoo.data.catalog.open_dataset` and `bring`.
    """
    from kdzoo.cli.options import open_dataset_with_progress
    from kdzoo.data.download.archives import ARCHIVES
    from kdzoo.data.download.place import find_place
    from kdzoo.data.registered import registered

    # A name that was given to a folder stands for that folder, even where it is gone.
    if not download or name not in ARCHIVES or name in registered(settings):
        return open_dataset_with_progress(name, settings)
    try:
        return open_dataset_with_progress(name, settings)
    except DatasetNotFoundError as error:
        click.echo(f"{error}: downloading it", err=True)
    bring(find_place(name, settings), offline=settings.offline, ask=False)
    return open_dataset_with_progress(name, settings)


def _tell(place: Place) -> None:
    from kdzoo.data.files import printable

    known = place.archive
    size = "" if known.about_bytes is None else f", about {known.about_bytes / 1e6:.0f} MB"
    weak = " (tells damage; no protection against forgery)" if known.digest_kind == "md5" else ""
    click.echo(f"{known.title}{size}", err=True)
    for label, text in (
        ("licence", known.licence),
        ("from", place.url),
        ("to", printable(place.root)),
        (known.digest_kind, known.digest + weak),
    ):
        click.echo(f"  {label:8} {text}", err=True)


def _confirm(place: Place) -> None:
    if not sys.stdin.isatty():
        raise UsageError(
            f"nobody can be asked whether the licence of {place.archive.title} is accepted",
            hint=f"read it, then: {place.command} --yes",
        )
    click.confirm("Download it under this licence?", abort=True, err=True)


def _show_licence(path: Path) -> None:
    """The beginning of a licence that came in the archive; it may hold anything, so only what a terminal can take."""
    from kdzoo.data.files import printable

    with path.open("rb") as file:
        lines = file.read(64 * 1024).decode("utf-8", "replace").splitlines()
    click.echo(f"\nThe archive's own {printable(path.name)}:", err=True)
    for line in lines[:_MOST_LINES]:
        click.echo(f"  {printable(line.expandtabs())}", err=True)
    if len(lines) > _MOST_LINES:
        click.echo(f"  … goes on in {printable(path)}", err=True)
    click.echo("", err=True)
