"""A release brought into the cache, under a bar."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kdzoo.cli.zoos import open_zoo

if TYPE_CHECKING:
    from zoo_registry import Manifest, Registry


def brought(
    entry: str, release: int | None, digest: str | None, alias: str, zoo: str | None
) -> tuple[Registry, Manifest, dict[str, Path]]:
    """The zoo, the manifest of a release, and the files of its blobs by role.

    Raises:
        SignatureError: a signature is required, and none of a trusted key holds.
        WithdrawnError: it was withdrawn.
        RegistryError: there is no such release, or it cannot be fetched.
    """
    from kdzoo.settings import Settings
    from kdzoo.trust import check_release

    registry = open_zoo(zoo)
    manifest = registry.resolve(entry, release, alias, digest=digest)
    check_release(Settings.from_environment(), registry, manifest)
    total = sum(blob.size for blob in manifest.blobs.values())
    with click.progressbar(length=total, label="Pulling", file=sys.stderr) as bar:
        files = {role: registry.fetch(manifest, role, progress=bar.update) for role in manifest.blobs}
    return registry, manifest, files
