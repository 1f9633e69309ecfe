"""Releases of models under names: manifests, blobs by digest, aliases, in a folder or on S3.

Knows bytes, digests and names, and nothing of what is in them. Names load on first use: importing this is cheap.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zoo_registry.cache.blobs import BlobCache
    from zoo_registry.errors import RegistryError
    from zoo_registry.format.alias import Alias
    from zoo_registry.format.document import Document
    from zoo_registry.format.manifest import BlobRef, Manifest
    from zoo_registry.format.names import EntryName, check_part, slug
    from zoo_registry.store.files import Progress
    from zoo_registry.store.open import open_store
    from zoo_registry.store.protocol import Store
    from zoo_registry.zoo.aliasing import WHATEVER
    from zoo_registry.zoo.registry import Registry, Release
    from zoo_registry.zoo.shelf import CardShelf

__version__ = "1"
"""The version of this interface, and the highest version of the files that it reads."""

__all__ = [
    "Alias",
    "BlobCache",
    "BlobRef",
    "CardShelf",
    "Document",
    "EntryName",
    "Manifest",
    "Progress",
    "Registry",
    "RegistryError",
    "Release",
    "Store",
    "WHATEVER",
    "check_part",
    "open_store",
    "slug",
]


def __getattr__(name: str) -> Any:
    homes = {
        "format.alias": ("Alias",),
        "zoo.aliasing": ("WHATEVER",),
        "cache.blobs": ("BlobCache",),
        "format.document": ("Document",),
        "errors": ("RegistryError",),
        "format.manifest": ("BlobRef", "Manifest"),
        "format.names": ("EntryName", "check_part", "slug"),
        "zoo.registry": ("Registry", "Release"),
        "zoo.shelf": ("CardShelf",),
        "store.files": ("Progress",),
        "store.open": ("open_store",),
        "store.protocol": ("Store",),
    }
    for home, names in homes.items():
        if name in names:
            return getattr(importlib.import_module(f"zoo_registry.{home}"), name)
    raise AttributeError(f"module 'zoo_registry' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted(__all__)
