"""The entry of a category over all methods, ``best/demo/weave``: what it is called, and where its releases come from.

Its releases are those of methods again, with the same blobs: `kdzoo.over_methods` says when there is a new one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from kdzoo.methods.registry import BEST, method_names
from zoo_registry import EntryName, Manifest, Registry
from zoo_registry.errors import NameInvalidError, WithdrawnError

_LARGEST: Final = 999_999


@dataclass(frozen=True, kw_only=True)
class Origin:
    """The release of a method that a category's release repeats.

    Attributes:
        entry: whose.
        release: its number.
    """

    entry: EntryName
    release: int

    def as_document(self) -> dict[str, Any]:
        """What the document says of it."""
        return {"entry": str(self.entry), "release": self.release}


def over_methods(entry: EntryName) -> EntryName:
    """The entry of a category over all methods, of the entry of one."""
    return EntryName(method=BEST, dataset=entry.dataset, category=entry.category)


def origin_of(document: Mapping[str, Any]) -> Origin | None:
    """Which method's release a document says that it repeats; None where it does not, or not in earnest."""
    said = document.get("origin")
    if not isinstance(said, Mapping):
        return None
    number = said.get("release")
    if isinstance(number, bool) or not isinstance(number, int) or not 1 <= number <= _LARGEST:
        return None
    try:
        return Origin(entry=EntryName.parse(said.get("entry", "")), release=number)
    except NameInvalidError:
        return None


def check_withdrawn(registry: Registry, manifest: Manifest, *, trust_cache: bool = False) -> None:
    """Refuses a release that was withdrawn; a category's is no better than the method's release that it repeats.

    Args:
        registry: where it is from.
        manifest: the release.
        trust_cache: as in `WithdrawnReleases.of`.

    Raises:
        WithdrawnError: it was.
        RegistryError: what is withdrawn cannot be read.
    """
    entry, origin = manifest.entry, origin_of(manifest.document)
    try:
        registry.withdrawn.check(entry, manifest.release, trust_cache=trust_cache)
        if origin is not None:
            registry.withdrawn.check(origin.entry, origin.release, trust_cache=trust_cache)
    except WithdrawnError as error:
        if entry.method != BEST:
            raise
        raise WithdrawnError(error.message, hint=f"to have another release lead: {promote_command(entry)}") from error


def promote_command(category: EntryName) -> str:
    """How a release of any method is made to lead a category."""
    return f"kdzoo zoo promote METHOD/{category.dataset}/{category.category} RELEASE --over-methods"


def full_entry(text: str) -> str:
    """``demo/weave`` as the entry over all methods; anything else as it is, also ``aand/demo``, which lacks a part."""
    first, _, rest = text.partition("/")
    return f"{BEST}/{text}" if rest and "/" not in rest and first not in method_names() else text
