"""The layouts that data sets are read in, by name. Adding one is a module with two functions and a line here."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Literal, Protocol

from kdzoo.data.layouts import elpv, ksdd2, mvtec, mvtec3d, table, visa
from kdzoo.data.samples import CategoryIndex

Layout = Literal["mvtec", "visa", "mvtec3d", "ksdd2", "elpv", "table"]


class Reader(Protocol):
    """Reads a data set where it lies: nothing is copied, renamed or written."""

    def categories(self, root: Path) -> dict[str, Path]:
        """The categories in a data set's folder: each folder's own name to where it is, ordered by name.

        Raises:
            DatasetNotFoundError: there is no folder ``root``.
            DatasetError: it cannot be listed, or a name in it is not UTF-8.
        """
        ...

    def read_category(self, dataset: str, category: str, root: Path) -> CategoryIndex:
        """The samples of one category, ordered by id.

        Args:
            dataset: the data set's name, for the index.
            category: the category's name, for the index.
            root: the category's folder, as `categories` gives it.

        Raises:
            DatasetNotFoundError: ``root`` holds no such category.
            DatasetError: what is there is not in the layout; names the file or folder.
        """
        ...


READERS: Mapping[Layout, Reader] = MappingProxyType(
    {"mvtec": mvtec, "visa": visa, "mvtec3d": mvtec3d, "ksdd2": ksdd2, "elpv": elpv, "table": table}
)
"""The reader of each layout."""
