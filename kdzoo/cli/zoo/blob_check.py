"""Reads a release's files in its zoo, with a bar, before anybody vouches for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kdzoo.cli.zoo.step_bars import StepBars
from kdzoo.cli.zoos import open_store_of

if TYPE_CHECKING:
    from zoo_registry import Manifest


def read_blobs(manifest: Manifest, zoo: str | None) -> None:
    """Compares the bytes of a release's files in the zoo with their digests.

    Args:
        manifest: of the release.
        zoo: where it is from; None for that of the settings.

    Raises:
        RegistryError: a file is missing or another, or cannot be read.
    """
    from zoo_registry.upkeep.copying import check_blob

    store, total, done = open_store_of(zoo), sum(ref.size for ref in manifest.blobs.values()), 0
    with StepBars() as bars:

        def count(size: int) -> None:
            nonlocal done
            done += size
            bars("Reading files", done, total)

        for _, ref in sorted(manifest.blobs.items()):
            check_blob(store, ref, progress=count)
