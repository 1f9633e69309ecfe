"""Public collections of textures that synthetic anomalies can be filled with, by name."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Self

from kdzoo.data.files import folders, images_below, printable
from kdzoo.data.registered import registered
from kdzoo.errors import ConfigError, DatasetError, DatasetNotFoundError
from kdzoo.settings import Settings


@dataclass(frozen=True, kw_only=True, slots=True)
class TextureSet:
    """What is known of a collection of textures.

    Attributes:
        name: as typed by people.
        title: for people.
        licence: of the images.
        homepage: where it comes from.
        images: folder of the images below the collection's own.
        folders: how many folders of images it should have.
    """

    name: str
    title: str
    licence: str
    homepage: str
    images: str
    folders: int


TEXTURE_SETS: Mapping[str, TextureSet] = MappingProxyType(
    {
        "dtd": TextureSet(
            name="dtd",
            title="Describable Textures Dataset",
            licence="research use",
            homepage="https://www.robots.ox.ac.uk/~vgg/data/dtd/",
            images="images",
            folders=47,
        )
    }
)
"""The collections known by name. Source of ``dtd``: Cimpoi et al., "Describing Textures in the Wild", CVPR 2014."""

_OWN = "folder"


@dataclass(frozen=True, kw_only=True, slots=True)
class TextureChoice:
    """The photographs that a trial's anomalies are filled with, written ``dtd:FOLDER`` or ``folder:FOLDER``.

    Attributes:
        name: of a collection, or ``folder`` for a person's own.
        folder: of the photographs on this machine; of a published document's choice only its name.
    """

    name: str
    folder: Path

    @classmethod
    def parse(cls, text: str) -> Self:
        """Reads a choice; looks at no file.

        Raises:
            ConfigError: it names no collection, or no folder.
        """
        name, _, folder = text.partition(":")
        if name not in (_OWN, *TEXTURE_SETS) or not folder or "\0" in folder:
            known = ", ".join(f"{each}:FOLDER" for each in (_OWN, *TEXTURE_SETS))
            raise ConfigError(f"the textures {text!r} name no folder of photographs", hint=f"one of: {known}")
        return cls(name=name, folder=Path(folder))

    def __str__(self) -> str:
        return f"{self.name}:{self.folder}"

    @property
    def label(self) -> str:
        """The choice without the folder's place on this machine: what a published document says."""
        return f"{self.name}:{self.folder.name}"

    def files(self) -> list[Path]:
        """The photographs.

        Raises:
            DatasetNotFoundError: the folder is not there, or holds none.
            DatasetError: a folder cannot be listed.
        """
        found = images_below(self.folder) if self.folder.is_dir() else []
        if not found:
            raise DatasetNotFoundError(
                f"no textures in {printable(self.folder)}",
                hint="give a folder of photographs, or leave --textures out to have them made by formula",
            )
        return found

    def digest(self) -> str:
        """sha256 in hex over names and bytes of the photographs, which are read once in a process.

        Raises:
            DatasetNotFoundError: the folder is not there, or holds none.
            DatasetError: one cannot be read.
        """
        try:
            states = [(path, path.stat()) for path in self.files()]
            listed = tuple((path, state.st_size, state.st_mtime_ns) for path, state in states)
            return _digest(self.folder, listed)
        except OSError as error:
            if isinstance(error, DatasetError):
                raise
            raise DatasetError(f"cannot read {printable(error.filename or self.folder)}: {error.strerror}") from error


@lru_cache(maxsize=8)
def _digest(folder: Path, listed: tuple[tuple[Path, int, int], ...]) -> str:
    digest = hashlib.sha256()
    for path, _, _ in listed:
        own = hashlib.sha256(path.read_bytes()).hexdigest()
        digest.update(f"{path.relative_to(folder).as_posix()}\0{own}\n".encode())
    return digest.hexdigest()


def choose_textures(name_or_path: str, settings: Settings) -> TextureChoice:
    """What ``--textures`` asks for, its folder absolute and looked at.

    Args:
        name_or_path: as `find_textures` takes it.
        settings: where data sets are.

    Raises:
        DatasetNotFoundError: the collection or the folder is not there, or holds no photograph.
        DatasetError: the collection's folder is not laid out as it should be.
    """
    folder = find_textures(name_or_path, settings).absolute()
    chosen = TextureChoice(name=name_or_path if name_or_path in TEXTURE_SETS else _OWN, folder=folder)
    chosen.files()
    return chosen


def find_textures(name_or_path: str, settings: Settings) -> Path:
    """The folder of photographs that a name or a path stands for.

    Args:
        name_or_path: a name of `TEXTURE_SETS`, looked for where `kdzoo data add` says or in ``settings.data``; or a
            folder.
        settings: where data sets are.

    Raises:
        DatasetNotFoundError: the collection or the folder is not there.
        DatasetError: the collection's folder is not laid out as it should be.
    """
    known = TEXTURE_SETS.get(name_or_path)
    if known is not None:
        return texture_images(known, registered(settings).get(known.name, settings.data / known.name))
    folder = Path(name_or_path).expanduser()
    if folder.is_dir():
        return folder
    raise DatasetNotFoundError(
        f"no textures in {printable(folder)}: there is no such folder",
        hint=f"give a folder of photographs, or one of: {', '.join(TEXTURE_SETS)}",
    )


def texture_images(known: TextureSet, root: Path) -> Path:
    """The folder of a collection's images.

    Args:
        known: the collection.
        root: its own folder, or already the folder of its images.

    Raises:
        DatasetNotFoundError: there is no ``root``.
        DatasetError: it does not hold the collection's folders.
    """
    if not root.is_dir():
        raise DatasetNotFoundError(
            f"the textures '{known.name}' were looked for in {printable(root)}, which is not there",
            hint=f"get them: kdzoo data download {known.name}; or, if they lie elsewhere: kdzoo data add "
            f"{known.name} PATH",
        )
    images = root / known.images if (root / known.images).is_dir() else root
    count = len(folders(images))
    if count < known.folders:
        raise DatasetError(
            f"{printable(images)} holds {count} folders of textures; {known.title} has {known.folders}",
            hint=f"get it again: kdzoo data download {known.name}; a folder of your own is given by its path",
        )
    return images
