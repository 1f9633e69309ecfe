"""The data set that a command names, opened: made or downloaded first where that is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kdzoo.cli.progress import Bar
from kdzoo.cli.say import tell
from kdzoo.errors import DatasetNotFoundError, UsageError

if TYPE_CHECKING:
    from kdzoo.data.catalog import Dataset
    from kdzoo.settings import Settings


def open_dataset_with_progress(name: str, settings: Settings) -> Dataset:
    """Opens a data set; the demo shows a bar while it is made."""
    from kdzoo.data.catalog import open_dataset

    if not name.strip():
        raise UsageError("--dataset is empty", hint="a data set's name such as demo, or a folder")
    with Bar("Making the demo data set") as bar:
        return open_dataset(name, settings, progress=bar)


def open_or_download(name: str, settings: Settings, *, download: bool) -> Dataset:
    """Opens a data set by name or path; with ``download`` one that is not there is downloaded first.

    Raises:
        KdzooError: as `kdzoo.data.catalog.open_dataset` and `kdzoo.cli.downloads.bring`.
    """
    from kdzoo.cli.downloads import bring
    from kdzoo.data.download.archives import ARCHIVES
    from kdzoo.data.download.place import find_place
    from kdzoo.data.registered import registered

    # A name that was given to a folder stands for that folder, even where it is gone.
    if not download or name not in ARCHIVES or name in registered(settings):
        return open_dataset_with_progress(name, settings)
    try:
        return open_dataset_with_progress(name, settings)
    except DatasetNotFoundError as error:
        tell(f"{error}: downloading it")
    bring(find_place(name, settings), offline=settings.offline, ask=False)
    return open_dataset_with_progress(name, settings)
