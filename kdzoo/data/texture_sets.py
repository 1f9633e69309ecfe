"""Public collections of textures that synthetic anomalies can be filled with, by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from kdzoo.data.files import folders, printable
from kdzoo.data.registered import registered
from kdzoo.errors import DatasetError, DatasetNotFoundError
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
