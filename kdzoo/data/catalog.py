"""Data sets opened by name or by folder: the known ones, and a person's own."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from kdzoo.data.files import few, images_below, is_hidden, printable, slug, unspelt
from kdzoo.data.known_datasets import CATALOG, EVERYWHERE, DatasetInfo, ExpectedCounts
from kdzoo.data.layouts import mvtec, table
from kdzoo.data.layouts.pairing import one_spelling
from kdzoo.data.layouts.registry import READERS
from kdzoo.data.registered import registered
from kdzoo.data.samples import CategoryIndex
from kdzoo.data.texture_sets import TEXTURE_SETS
from kdzoo.errors import DatasetError, DatasetNotFoundError, UnknownNameError, UsageError
from kdzoo.settings import Settings

__all__ = ["CATALOG", "Dataset", "DatasetInfo", "ExpectedCounts", "open_dataset", "open_folder"]

_RENAME = "rename it; names are made of a-z, 0-9, '.', '_' and '-'"


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """A data set that lies on this machine.

    Attributes:
        info: what is known of it.
        root: its folder; never written to.
        notes: what a person should know of it, such as why its default protocol is not ``holdout``.
    """

    info: DatasetInfo
    root: Path
    notes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The data set's name."""
        return self.info.name

    def categories(self) -> tuple[str, ...]:
        """Names of the categories that are there, ordered; without those that must be asked for by name.

        Raises:
            DatasetError: two folders make the same name, or a folder's name makes none.
        """
        return tuple(name for name in self._folders() if name not in self.info.on_request)

    def missing(self) -> tuple[str, ...]:
        """Names of the categories that the data set should have, but that are not there."""
        there = self._folders()
        return tuple(name for name in self.info.categories or () if name not in there)

    def category_name(self, text: str) -> str:
        """The name of a category that is there, which a person may also call by its folder's own name.

        Args:
            text: such as ``metal-nut``, or ``Metal Nut`` where the folder is called so.

        Raises:
            UnknownNameError: the data set has no such category.
            DatasetNotFoundError: the data set has it, but it is not on this machine.
        """
        there = self._folders()
        if text in there:
            return text
        called = [name for name, folder in there.items() if one_spelling(folder.name) == one_spelling(text)]
        if len(called) == 1:
            return called[0]
        if text in self.missing():
            raise DatasetNotFoundError(
                f"{self.name}/{text} is not there: {printable(self.root)} holds no such category",
                hint=f"unpack it there; categories that are there: {', '.join(there) or '(none)'}",
            )
        raise UnknownNameError("category", text, there)

    def category(self, name: str) -> CategoryIndex:
        """The samples of one category; opens no image, except where only masks say which images are defective.

        Args:
            name: as `category_name` takes it.

        Raises:
            UnknownNameError: the data set has no such category.
            DatasetNotFoundError: the data set has it, but it is not on this machine.
            DatasetError: its folder is not in the layout.
        """
        chosen = self.category_name(name)
        return READERS[self.info.layout].read_category(self.name, chosen, self._folders()[chosen])

    def folder(self, name: str) -> Path:
        """Where a category that is there lies; its layout may still be broken.

        Raises:
            UnknownNameError: the data set has no such category.
            DatasetNotFoundError: the data set has it, but it is not on this machine.
        """
        return self._folders()[self.category_name(name)]

    def left_out(self) -> tuple[str, ...]:
        """Notes on the folders beside the categories that hold images, and are none.

        Of a person's own folders alone: what belongs to a known data set is known.

        Raises:
            DatasetError: a folder cannot be listed.
        """
        if self.info.categories is not None or self.info.layout != "mvtec" or mvtec.is_category(self.root):
            return ()
        used = set(self._folders().values())
        found = []
        for folder in sorted(path for path in self.root.iterdir() if path.is_dir() and path not in used):
            images = [] if is_hidden(folder.name) else images_below(folder)
            if images:
                what = f"{len(images)} image" + ("s" if len(images) > 1 else "")
                found.append(
                    f"the folder {printable(folder.name)} is left out, with {what}: it is no category, which holds "
                    "train/good"
                )
        return few(found, "folders that are no category")

    def _folders(self) -> dict[str, Path]:
        """The folder of each category that is there, by the category's name, ordered."""
        there = READERS[self.info.layout].categories(self.root)
        if self.info.categories is not None:
            return {name: there[name] for name in sorted(self.info.all_categories) if name in there}
        if mvtec.is_category(self.root):
            return {self.name: self.root}
        found: dict[str, Path] = {}
        spelt = Counter(slug(folder.name) for folder in there.values())
        for folder in there.values():
            name = slug(folder.name) or unspelt(folder.name)
            if spelt[name] > 1 and not folder.name.isascii():
                name = f"{name[:50]}-{unspelt(folder.name)}"  # what sets it apart is in letters that a name lacks
            if name in found:
                raise DatasetError(
                    f"the folders {printable(found[name])} and {printable(folder)} would both be the category '{name}'",
                    hint="rename one",
                )
            found[name] = folder
        return dict(sorted(found.items()))


def open_dataset(
    name_or_path: str, settings: Settings, *, progress: Callable[[int, int], None] | None = None
) -> Dataset:
    """Opens a data set by a name, known or registered, or a person's own folder.

    An own folder holds one folder a category, or is itself one; it is used in place, and named after its last part.
    A folder elsewhere that bears a catalog name is that data set, if all its categories are that data set's.

    Args:
        name_or_path: a name of `CATALOG`, looked for where `kdzoo data add` says, else in ``settings.data``; a name
            given to a folder by `kdzoo data add`; or a path, which contains a separator, begins with ``.`` or ``~``,
            or names a folder that exists.
        settings: where data sets are.
        progress: called with (done, in all) while the demo data set is made at its first use.

    Raises:
        UnknownNameError: neither a known name nor a folder.
        DatasetNotFoundError: the data set is not there; says where it was looked for.
        DatasetError: the folder holds no category, or the file of registered folders is damaged.
        UsageError: no name can be made of the folder's, or it is the name of another data set.
    """
    if name_or_path == "demo":
        return _open_demo(settings, progress)
    own = registered(settings)
    if name_or_path in own:
        return _open_registered(name_or_path, own[name_or_path])
    info = CATALOG.get(name_or_path)
    if info is not None:
        return _open_known(info, settings.data / info.name)
    if name_or_path in TEXTURE_SETS:
        raise UsageError(
            f"'{name_or_path}' is a set of textures, not a data set with categories",
            hint=f"use it to fill synthetic anomalies, such as: kdzoo data preview --textures {name_or_path}",
        )
    if not _is_path(name_or_path):
        raise UnknownNameError("data set", name_or_path, [*CATALOG, *own])
    root = absolute_folder(name_or_path, hint=f"known names: {', '.join([*CATALOG, *own])}")
    name = slug(root.name)
    if not name:
        raise UsageError(f"no data set name can be made of the folder {printable(root)}", hint=_RENAME)
    if name in own and not _same_folder(root, own[name]):
        raise UsageError(
            f"{printable(root)} would be called '{name}', which is the name of {printable(own[name])}",
            hint=f"register it under another name: kdzoo data add NAME {printable(root)}",
        )
    if name == "demo" and _same_folder(root, settings.data / name):
        return _open_demo(settings, progress)
    return open_folder(name, root)


def absolute_folder(text: str, *, hint: str) -> Path:
    """The folder of a path that a person typed.

    Not resolved: a link's own name is the one that the person chose.

    Args:
        text: the path; ``~`` is the home folder.
        hint: what to do where there is nothing.

    Raises:
        DatasetError: it is a file.
        DatasetNotFoundError: there is nothing.
        UsageError: ``~NAME`` of a user who is not known.
    """
    try:
        root = Path(os.path.abspath(Path(text).expanduser()))  # noqa: PTH100
    except RuntimeError as error:
        raise UsageError(f"there is no home folder for '{printable(text)}'", hint="give the whole path") from error
    if root.is_dir():
        return root
    if root.exists():
        raise DatasetError(
            f"{printable(root)} is a file, not a data set's folder",
            hint="unpack it first; or, if it is a table: kdzoo data add NAME TABLE --root DIR",
        )
    raise DatasetNotFoundError(f"there is no folder {printable(root)}", hint=hint)


def open_folder(name: str, root: Path) -> Dataset:
    """Opens a folder under a name: a known data set's, or one for a person's own folder.

    Args:
        name: of the catalog, or any other valid name.
        root: a folder that exists, absolute.

    Raises:
        DatasetError: the folder holds no category, or is laid out like a known data set of another name.
        UsageError: it is not the data set that the name stands for.
    """
    info = CATALOG.get(name)
    if info is None:
        return _open_own(name, root)
    dataset = Dataset(info=info, root=root)
    there = READERS[info.layout].categories(root)
    if info.categories is None or not there or not set(there) <= set(info.all_categories):
        raise UsageError(
            f"{printable(root)} would be called '{name}', which is the name of another data set ({info.title})"
            + _nested(info, root),
            hint="choose another name, rename the folder, or give the one that holds the categories: the models of two "
            "data sets must not be taken for each other",
        )
    return dataset


def _open_demo(settings: Settings, progress: Callable[[int, int], None] | None) -> Dataset:
    from kdzoo.data.demo import ensure_demo

    return Dataset(info=CATALOG["demo"], root=ensure_demo(settings.data / "demo", progress))


def _open_registered(name: str, root: Path) -> Dataset:
    if name in TEXTURE_SETS:
        raise UsageError(f"'{name}' is a set of textures, not a data set with categories", hint="see --textures")
    if not root.is_dir():
        raise DatasetNotFoundError(
            f"the data set '{name}' is registered in {printable(root)}, which is not there",
            hint=f"if it was moved: kdzoo data add {name} PATH; if it is gone: kdzoo data add {name} --remove",
        )
    return open_folder(name, root)


def _open_known(info: DatasetInfo, root: Path) -> Dataset:
    dataset = Dataset(info=info, root=root)
    if not root.is_dir() or not dataset.categories():
        state = "holds none of its categories" + _nested(info, root) if root.is_dir() else "is not there"
        raise DatasetNotFoundError(
            f"the data set '{info.name}' was looked for in {printable(root)}, which {state}",
            hint=f"get it: kdzoo data download {info.name}; or, if it lies elsewhere: kdzoo data add {info.name} PATH "
            f"(from {info.homepage})",
        )
    return dataset


def _open_own(name: str, root: Path) -> Dataset:
    for known in CATALOG.values():
        alike = known.layout != "mvtec" and READERS[known.layout].categories(root)
        if alike and set(alike) <= set(known.all_categories):
            raise DatasetError(
                f"{printable(root)} is laid out like {known.title}, not like a folder of your own",
                hint=f"kdzoo data add {known.name} {printable(root)}, and then --dataset {known.name}",
            )
    if table.categories(root):
        return _open_table(name, root)
    dataset = Dataset(info=_own_info(name, root), root=root)
    folders = dataset._folders()
    if not folders:
        raise DatasetError(
            f"{printable(root)} holds no category: no folder in it has train/good",
            hint="put normal images in <category>/train/good, test images in <category>/test/<good or defect>, "
            "masks in <category>/ground_truth/<defect>",
        )
    without = [category for category, folder in folders.items() if not mvtec.can_hold_out(folder)]
    if not without:
        return Dataset(info=_own_info(name, root, holdout=True), root=root)
    return Dataset(info=dataset.info, root=root, notes=(_falls_back(name, without),))


def _open_table(name: str, root: Path) -> Dataset:
    """A table that `kdzoo data add` took up; only what it says is looked at, and whether its files are there."""
    info = replace(_own_info(name, root), layout="table", categories=tuple(table.categories(root)), title=name)
    dataset = Dataset(info=info, root=root)
    without = [category for category in dataset.categories() if not _can_hold_out(dataset.category(category))]
    if without:
        return replace(dataset, notes=(_falls_back(name, without),))
    return replace(dataset, info=replace(info, default_protocol="holdout"))


def _can_hold_out(index: CategoryIndex) -> bool:
    """As `kdzoo.data.layouts.mvtec.can_hold_out`, of samples: validation images select in place of half of test."""
    normal, defective = (index.count("validation", label) > 0 for label in (0, 1))
    needed = (1 if normal or defective else 2, 1 if defective else 2)
    return all(index.count("test", label) >= needed[label] for label in (0, 1))


def _falls_back(name: str, without: Sequence[str]) -> str:
    listed = ", ".join(without[:5]) + (f" and {len(without) - 5} more" if len(without) > 5 else "")
    return (
        f"the default protocol of '{name}' falls back to synthetic: holdout needs two normal and two defective test "
        f"images, which are not in {listed}"
    )


def _own_info(name: str, root: Path, *, holdout: bool = False) -> DatasetInfo:
    return DatasetInfo(
        name=name,
        title=printable(root.name),
        categories=None,
        licence="",
        homepage="",
        default_protocol="holdout" if holdout else "synthetic",
        default_teacher=EVERYWHERE,
        layout="mvtec",
    )


def _nested(info: DatasetInfo, root: Path) -> str:
    """A remark if the data set lies one folder deeper, as some programs unpack it."""
    for folder in sorted(root.iterdir()) if info.categories is not None else ():
        if folder.is_dir() and set(READERS[info.layout].categories(folder)) & set(info.categories or ()):
            return f"; {printable(folder)} holds them"
    return ""


def _is_path(text: str) -> bool:
    return os.sep in text or "/" in text or text.startswith((".", "~")) or Path(text).is_dir()


def _same_folder(one: Path, other: Path) -> bool:
    return one.exists() and other.exists() and one.samefile(other)
