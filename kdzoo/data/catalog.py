"""The data sets kdzoo knows by name, and a person's own folders."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from kdzoo.data import mvtec_layout
from kdzoo.data.files import printable, slug
from kdzoo.data.samples import CategoryIndex
from kdzoo.data.splits import Protocol
from kdzoo.errors import DatasetError, DatasetNotFoundError, UnknownNameError, UsageError
from kdzoo.settings import Settings

Layout = Literal["mvtec"]

_MVTEC = (
    *("bottle", "cable", "capsule", "carpet", "grid", "hazelnut", "leather", "metal_nut", "pill", "screw"),
    *("tile", "toothbrush", "transistor", "wood", "zipper"),
)


@dataclass(frozen=True, kw_only=True)
class DatasetInfo:
    """What is known of a data set before it is opened.

    Attributes:
        name: as in ``<method>/<dataset>/<category>``.
        title: for people.
        categories: all categories it has, ordered; None when that is whatever lies in its folder.
        licence: of the images, empty when unknown.
        homepage: where it comes from, empty when unknown.
        default_protocol: the selection protocol when none is asked for.
        default_teacher: the teacher's name when none is asked for.
        default_image_size: side that images are resized to, pixels.
        layout: how its folders are laid out.
        default_trials: of a sweep, a category, when no number is asked for.
    """

    name: str
    title: str
    categories: tuple[str, ...] | None
    licence: str
    homepage: str
    default_protocol: Protocol
    default_teacher: str
    default_image_size: int
    layout: Layout
    default_trials: int = 16


CATALOG: Mapping[str, DatasetInfo] = MappingProxyType(
    {
        "demo": DatasetInfo(
            name="demo",
            title="Demo: products drawn by formula",
            categories=None,
            licence="Apache-2.0",
            homepage="",
            default_protocol="holdout",
            default_teacher="random-resnet18",
            default_image_size=128,
            layout="mvtec",
            default_trials=3,
        ),
        "mvtec": DatasetInfo(
            name="mvtec",
            title="MVTec AD",
            categories=_MVTEC,
            licence="CC BY-NC-SA 4.0",
            homepage="https://www.mvtec.com/company/research/datasets/mvtec-ad",
            default_protocol="holdout",
            default_teacher="wide_resnet50_2",
            default_image_size=256,
            layout="mvtec",
        ),
    }
)
"""The data sets known by name."""


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """A data set that lies on this machine.

    Attributes:
        info: what is known of it.
        root: its folder; never written to.
    """

    info: DatasetInfo
    root: Path

    @property
    def name(self) -> str:
        """The data set's name."""
        return self.info.name

    def categories(self) -> tuple[str, ...]:
        """Names of the categories that are there, ordered.

        Raises:
            DatasetError: two folders make the same name, or a folder's name makes none.
        """
        return tuple(self._folders())

    def missing(self) -> tuple[str, ...]:
        """Names of the categories that the data set should have, but that are not there."""
        there = self._folders()
        return tuple(name for name in self.info.categories or () if name not in there)

    def category(self, name: str) -> CategoryIndex:
        """The samples of one category; opens no image.

        Raises:
            UnknownNameError: the data set has no such category.
            DatasetNotFoundError: the data set has it, but it is not on this machine.
            DatasetError: its folder is not in the layout.
        """
        there = self._folders()
        if name in there:
            return mvtec_layout.read_category(self.name, name, there[name])
        if name in self.missing():
            raise DatasetNotFoundError(
                f"{self.name}/{name} is not there: no {printable(self.root / name / 'train' / 'good')}",
                hint=f"unpack it there; categories that are there: {', '.join(there) or '(none)'}",
            )
        raise UnknownNameError("category", name, there)

    def _folders(self) -> dict[str, Path]:
        """The folder of each category that is there, by the category's name."""
        if mvtec_layout.is_category(self.root):
            return {self.name: self.root}
        known = self.info.categories
        found: dict[str, Path] = {}
        for folder in sorted(mvtec_layout.categories(self.root)):
            name = folder if known is not None else slug(folder)
            if known is not None and folder not in known:
                continue
            if not name:
                raise DatasetError(
                    f"no category name can be made of the folder {printable(self.root / folder)}",
                    hint="rename it; names are made of a-z, 0-9, '.', '_' and '-'",
                )
            if name in found:
                raise DatasetError(
                    f"the folders {printable(found[name])} and {printable(self.root / folder)} would both be the "
                    f"category '{name}'",
                    hint="rename one",
                )
            found[name] = self.root / folder
        return dict(sorted(found.items()))


def open_dataset(
    name_or_path: str, settings: Settings, *, progress: Callable[[int, int], None] | None = None
) -> Dataset:
    """Opens a data set by its name in the catalog, or a person's own folder.

    An own folder holds one folder a category, or is itself one; it is used in place, and named after its last part.
    A folder elsewhere that bears a catalog name is that data set, if all its categories are that data set's.

    Args:
        name_or_path: a name of `CATALOG`, looked for in ``settings.data``; or a path, which contains a separator,
            begins with ``.`` or ``~``, or names a folder that exists.
        settings: where data sets are.
        progress: called with (done, in all) while the demo data set is made at its first use.

    Raises:
        UnknownNameError: neither a known name nor a folder.
        DatasetNotFoundError: the data set is not there; says where it was looked for.
        DatasetError: the folder holds no category.
        UsageError: no name can be made of the folder's, or it is the catalog name of another data set.
    """
    info = CATALOG.get(name_or_path)
    if info is not None:
        return _open_known(info, settings, progress)
    if not _is_path(name_or_path):
        raise UnknownNameError("data set", name_or_path, CATALOG)
    # Not resolved: a link's own name is the one that the person chose.
    root = Path(os.path.abspath(Path(name_or_path).expanduser()))  # noqa: PTH100
    if not root.is_dir():
        if root.exists():
            raise DatasetError(f"{printable(root)} is a file, not a data set's folder", hint="unpack it first")
        raise DatasetNotFoundError(f"there is no folder {printable(root)}", hint=f"known names: {', '.join(CATALOG)}")
    name = slug(root.name)
    if not name:
        raise UsageError(
            f"no data set name can be made of the folder {printable(root)}",
            hint="rename it; names are made of a-z, 0-9, '.', '_' and '-'",
        )
    namesake = CATALOG.get(name)
    if namesake is None:
        return _open_own(name, root)
    if _same_folder(root, settings.data / name):
        return _open_known(namesake, settings, progress)
    return _open_namesake(namesake, root)


def _open_known(info: DatasetInfo, settings: Settings, progress: Callable[[int, int], None] | None) -> Dataset:
    root = settings.data / info.name
    if info.name == "demo":
        from kdzoo.data.demo import ensure_demo

        root = ensure_demo(root, progress)
    dataset = Dataset(info=info, root=root)
    if not root.is_dir() or not dataset.categories():
        state = "holds none of its categories" if root.is_dir() else "is not there"
        raise DatasetNotFoundError(
            f"the data set '{info.name}' was looked for in {printable(root)}, which {state}",
            hint=f"get it from {info.homepage} and unpack it so that {printable(root)}/<category>/train/good exists; "
            "set KDZOO_DATA if it lies elsewhere, or give its folder: --dataset PATH",
        )
    return dataset


def _open_own(name: str, root: Path) -> Dataset:
    dataset = Dataset(info=_own_info(name, root, "synthetic"), root=root)
    folders = dataset._folders()
    if not folders:
        raise DatasetError(
            f"{printable(root)} holds no category: no folder in it has train/good",
            hint="put normal images in <category>/train/good, test images in <category>/test/<good or defect>, "
            "masks in <category>/ground_truth/<defect>",
        )
    if all(mvtec_layout.can_hold_out(folder) for folder in folders.values()):
        return Dataset(info=_own_info(name, root, "holdout"), root=root)
    return dataset


def _own_info(name: str, root: Path, protocol: Protocol) -> DatasetInfo:
    return DatasetInfo(
        name=name,
        title=printable(root.name),
        categories=None,
        licence="",
        homepage="",
        default_protocol=protocol,
        default_teacher="wide_resnet50_2",
        default_image_size=256,
        layout="mvtec",
    )


def _open_namesake(info: DatasetInfo, root: Path) -> Dataset:
    """A folder elsewhere that bears a catalog name: that data set, unless its categories say otherwise."""
    there = [] if mvtec_layout.is_category(root) else mvtec_layout.categories(root)
    if info.categories is not None and there and set(there) <= set(info.categories):
        return Dataset(info=info, root=root)
    raise UsageError(
        f"{printable(root)} would be called '{info.name}', which is the name of another data set ({info.title})",
        hint="rename the folder, so that their models are not taken for each other",
    )


def _is_path(text: str) -> bool:
    return os.sep in text or "/" in text or text.startswith((".", "~")) or Path(text).is_dir()


def _same_folder(one: Path, other: Path) -> bool:
    return one.exists() and other.exists() and one.samefile(other)
