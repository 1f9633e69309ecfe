"""Every data set kdzoo knows here: the catalog's, and the folders that a person gave a name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from kdzoo.data.catalog import CATALOG, Dataset, DatasetInfo, open_folder
from kdzoo.data.registered import registered
from kdzoo.data.texture_sets import TEXTURE_SETS, TextureSet, texture_images
from kdzoo.errors import KdzooError
from kdzoo.settings import Settings

State = Literal["there", "incomplete", "damaged", "missing"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Listed:
    """One data set of the list.

    Attributes:
        name: for ``--dataset``; of textures, for ``--textures``.
        title: for people.
        kind: ``data set`` or ``textures``.
        state: ``incomplete`` lacks categories or images, ``damaged`` cannot be read.
        root: where it lies, or where it was looked for.
        categories: how many are there; of textures, folders of photographs.
        expected_categories: how many there should be, None when that is not known.
        images: how many are there, None when they cannot be counted.
        expected_images: how many there should be, None when that is not known.
        licence: of the images, empty when unknown.
        trouble: why it cannot be read, else empty.
        next: a command that is of use next.
    """

    name: str
    title: str
    kind: Literal["data set", "textures"]
    state: State
    root: Path
    categories: int
    expected_categories: int | None
    images: int | None
    expected_images: int | None
    licence: str
    trouble: str
    next: str


def inventory(settings: Settings, progress: Callable[[int, int], None] | None = None) -> tuple[Listed, ...]:
    """Lists every known data set, then every named folder, then every known collection of textures.

    Nothing is made, fetched or decoded, except that KolektorSDD2's masks are read, which alone say what is defective.

    Args:
        settings: where data sets are.
        progress: called with (data sets done, data sets in all).

    Raises:
        DatasetError: the file of named folders is damaged.
        StorageError: it cannot be read.
    """
    own = registered(settings)
    names = [*CATALOG, *(name for name in own if name not in CATALOG and name not in TEXTURE_SETS)]
    rows: list[Listed] = []
    total = len(names) + len(TEXTURE_SETS)
    for name in names:
        rows.append(_dataset(name, own, settings))
        if progress is not None:
            progress(len(rows), total)
    for textures in TEXTURE_SETS.values():
        rows.append(_textures(textures, own.get(textures.name, settings.data / textures.name)))
        if progress is not None:
            progress(len(rows), total)
    return tuple(rows)


def _dataset(name: str, own: dict[str, Path], settings: Settings) -> Listed:
    info = CATALOG.get(name)
    named = name != "demo" and name in own
    root = own[name] if named else settings.data / name
    if not root.is_dir():
        return _row(name, info, root, "missing", next=_how_to_get(name, info, named))
    try:
        dataset = Dataset(info=info, root=root) if info is not None and not named else open_folder(name, root)
        categories = dataset.categories()
        if not categories:
            return _row(name, info, root, "missing", next=_how_to_get(name, info, named))
        images = sum(len(dataset.category(category).samples) for category in categories)
    except (KdzooError, OSError) as error:  # the others are still to be listed
        return _row(name, info, root, "damaged", trouble=str(error), next=f"kdzoo data verify {name}")
    wanted = _expected_images(info)
    whole = not dataset.missing() and wanted in (None, images)
    return _row(
        name, dataset.info, root, "there" if whole else "incomplete", categories=len(categories), images=images,
        next=f"kdzoo sweep aand --dataset {name}" if whole else f"kdzoo data verify {name}",
    )  # fmt: skip


def _row(
    name: str, info: DatasetInfo | None, root: Path, state: State, *, next: str, categories: int = 0,
    images: int | None = None, trouble: str = "",
) -> Listed:  # fmt: skip
    return Listed(
        name=name,
        title=info.title if info else root.name,
        kind="data set",
        state=state,
        root=root,
        categories=categories,
        expected_categories=len(info.categories) if info and info.categories is not None else None,
        images=images,
        expected_images=_expected_images(info),
        licence=info.licence if info else "",
        trouble=trouble,
        next=next,
    )


def _expected_images(info: DatasetInfo | None) -> int | None:
    counts = info.expected if info else None
    return None if counts is None else counts.train + counts.validation + counts.test


def _how_to_get(name: str, info: DatasetInfo | None, named: bool) -> str:
    if name == "demo":
        return "kdzoo data show demo --out demo.png"
    if named:
        return f"kdzoo data add {name} PATH"
    return f"kdzoo data download {name}"


def _textures(known: TextureSet, root: Path) -> Listed:
    state: State = "missing"
    trouble, count = "", 0
    follow = f"kdzoo data download {known.name}"
    if root.is_dir():
        try:
            count = sum(1 for folder in texture_images(known, root).iterdir() if folder.is_dir())
            state, follow = "there", f"kdzoo data preview -d demo -c weave -o sheet.png --textures {known.name}"
        except (KdzooError, OSError) as error:  # the row says so
            state, trouble = "damaged", str(error)
    return Listed(
        name=known.name,
        title=known.title,
        kind="textures",
        state=state,
        root=root,
        categories=count,
        expected_categories=known.folders,
        images=None,
        expected_images=None,
        licence=known.licence,
        trouble=trouble,
        next=follow,
    )
