"""The champion of a category over all methods: which release of which method it repeats, and when that changes.

A category has an entry of its own, ``best/demo/weave``. Whenever a release becomes its method's champion by being
published, it is compared with the category's champion by the same rule as within a method; where it wins, it is
published there, too: the same document and blobs under a number of that entry, with an alias, a log and signatures as
any entry has them. So the zoo holds no byte of weights twice, and a copy of the entry alone is whole.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kdzoo.category_entry import Origin, origin_of, over_methods
from kdzoo.champions import CHAMPION, crown, judge, promote, weights_of
from kdzoo.comparing import beats
from zoo_registry import EntryName, Manifest, Registry
from zoo_registry.errors import RegistryError

Files = Callable[[], Mapping[str, Path]]


@dataclass(frozen=True, kw_only=True)
class Standing:
    """How a release of a method stands among all methods of its category.

    Attributes:
        entry: the category's, such as ``best/demo/weave``.
        leads: whether the category's champion is that release now.
        release: the number that it has there; None where it was not published there.
        note: one line that says why.
    """

    entry: EntryName
    leads: bool
    release: int | None
    note: str


def lead(
    registry: Registry,
    manifest: Manifest,
    *,
    files: Files | None = None,
    who: str | None = None,
    force: bool = False,
    why: str = "",
) -> Standing:
    """Has a method's release lead its category, if it beats the champion there.

    Where the category has no champion yet, the champions of all its methods are compared with the release, and the
    best of those that can be leads.

    Args:
        registry: the zoo.
        manifest: the method's release.
        files: gives role to file, where they are at hand; default from the zoo.
        who: who moves the alias, for its log.
        force: also if it is no better, or cannot be compared.
        why: one line for the log; default what the comparison said.

    Raises:
        RegistryError: the category's entry cannot be read, or not be published to.
        ConflictError: others moved the alias every time.
    """
    entry, origin = over_methods(manifest.entry), Origin(entry=manifest.entry, release=manifest.release)
    present = leader(registry, entry)
    if present is not None and origin_of(present.document) == origin:
        return Standing(entry=entry, leads=True, release=present.release, note=f"leads as release {present.release}")
    if force:
        release = _repeat(registry, entry, manifest, files)
        promote(registry, entry, release, force=True, who=who, why=why)
        return Standing(entry=entry, leads=True, release=release, note=why or "by force")
    if present is None and (rival := _best_rival(registry, manifest)) is not None:
        said = lead(registry, rival, who=who) if _is_first(registry, entry, rival) else None
        if said is not None:
            note = f"{rival.entry.method} release {rival.release} leads"
            return Standing(entry=entry, leads=False, release=None, note=note)
    verdict = judge(registry, entry, manifest.document, weights=weights_of(manifest))
    if not verdict.wins:
        return Standing(entry=entry, leads=False, release=None, note=_named(verdict.note, present))
    release = _repeat(registry, entry, manifest, files)
    verdict = crown(registry, entry, manifest.document, release, who=who, weights=weights_of(manifest))
    return Standing(entry=entry, leads=verdict.wins, release=release, note=_named(verdict.note, present))


def leader(registry: Registry, entry: EntryName) -> Manifest | None:
    """What the champion of a category's entry points at; None where there is none that can be read."""
    try:
        return registry.resolve(entry, registry.read_alias(entry, CHAMPION).release)
    except RegistryError:
        return None


def repeats(registry: Registry, origin: Origin) -> list[int]:
    """The releases of a category's entry that repeat a method's release.

    Raises:
        RegistryError: the zoo cannot be read.
    """
    entry = over_methods(origin.entry)
    found = (registry.resolve(entry, number, trust_cache=True) for number in registry.releases(entry))
    return [manifest.release for manifest in found if origin_of(manifest.document) == origin]


def _repeat(registry: Registry, entry: EntryName, manifest: Manifest, files: Files | None) -> int:
    """Publishes a method's release under the category's entry; no alias is moved."""
    origin = Origin(entry=manifest.entry, release=manifest.release)
    paths = {role: registry.fetch(manifest, role) for role in manifest.blobs} if files is None else files()
    document = {**manifest.document, "origin": origin.as_document()}
    types = {role: ref.media_type for role, ref in manifest.blobs.items()}
    return registry.publish(entry, document, paths, alias=None, message=manifest.message, media_types=types).release


def _is_first(registry: Registry, entry: EntryName, rival: Manifest) -> bool:
    """Whether a rival would be the first champion: not where an alias was taken away, or is not trusted."""
    return judge(registry, entry, rival.document).wins


def _best_rival(registry: Registry, manifest: Manifest) -> Manifest | None:
    """The best champion of the category's other methods that beats a release."""
    best = manifest
    own = over_methods(manifest.entry)
    for entry in registry.list_entries():
        if over_methods(entry) != own or entry in (own, manifest.entry):
            continue
        champion = leader(registry, entry)
        if champion is None or champion.release in registry.withdrawn.of(entry):
            continue
        if beats(champion.document, best.document):
            best = champion
    return None if best is manifest else best


def _named(note: str, present: Manifest | None) -> str:
    """A verdict's words, with the method whose release the champion repeats."""
    note = note.replace("zoo promote --force", "zoo promote --over-methods --force")
    origin = None if present is None else origin_of(present.document)
    if origin is None or present is None:
        return note
    return note.replace(f"champion {present.release}", f"champion {present.release} ({origin.entry.method})", 1)


def standing_of(document: Mapping[str, Any]) -> str:
    """Which release a category's document repeats, in words; empty where it repeats none."""
    origin = origin_of(document)
    return "" if origin is None else f"{origin.entry.method} release {origin.release}"
