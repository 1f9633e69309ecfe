"""A data set brought from its publisher: what a person is told and asked on the way, on stderr."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kdzoo.cli.say import tell
from kdzoo.errors import UsageError

if TYPE_CHECKING:
    from kdzoo.data.download.install import Installed
    from kdzoo.data.download.place import Place

_MOST_LINES = 40


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
    from kdzoo.cli.download_view import DownloadView
    from kdzoo.data.download.install import install

    known = place.archive
    if not place.is_there():
        _tell(place)
        if ask and not (offline and not place.file.is_file()):
            _confirm(place)
    with DownloadView() as view:
        installed = install(place, view, offline=offline, keep_archive=keep_archive)
    if not installed.fresh:
        tell(f"{known.title} is there already: {installed.root}")
        return installed
    for path in installed.licence_files:
        _show_licence(path)
    tell(f"{known.title} is in {installed.root}")
    if installed.archive is not None:
        tell(f"The archive is kept: {installed.archive}")
    if not place.default:
        tell(f"Let kdzoo find it: kdzoo data add {known.name} {installed.root}")
    return installed


def _tell(place: Place) -> None:
    from kdzoo.data.files import printable

    known = place.archive
    size = "" if known.about_bytes is None else f", about {known.about_bytes / 1e6:.0f} MB"
    weak = " (tells damage; no protection against forgery)" if known.digest_kind == "md5" else ""
    tell(f"{known.title}{size}")
    for label, text in (
        ("licence", known.licence),
        ("from", place.origin),
        ("to", printable(place.root)),
        (known.digest_kind, known.digest + weak),
    ):
        tell(f"  {label:8} {text}")


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
    tell("", f"The archive's own {printable(path.name)}:")
    for line in lines[:_MOST_LINES]:
        tell(f"  {printable(line.expandtabs())}")
    if len(lines) > _MOST_LINES:
        tell(f"  … goes on in {printable(path)}")
    tell("")
