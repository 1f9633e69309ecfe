"""The champion of a category over all methods: which release of which method it repeats, and when that changes.

A category has an entry of its own, ``best/demo/weave``. Whenever a release becomes its method's champion by being
published, it is compared with the category's champion by the same rule as within a method; where it wins, it is
published there, too: the same document and blobs under a number of that entry, with an alias, a log and signatures as
any entry has them. So the zoo holds no byte of weights twice, and a copy of the entry alone is whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kdzoo.category_entry import Origin, check_withdrawn, origin_of, over_methods
from kdzoo.champions import CHAMPION, crown, judge, promote, weights_of
from kdzoo.comparing import beats
from zoo_registry import EntryName, Manifest, Registry
from zoo_registry.errors import EntryNotFoundError, RegistryError, SignatureError, WithdrawnError

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

    Where the category has no champion that can be loaded, the champions of all its methods are compared with the
    release, and the best of those that can be leads.

    What is repeated is signed by this process's key as its own releases are, so that only what may be used as it stands
    is repeated, also by force: not withdrawn, and signed as is demanded here, or else by that key.

    Args:
        registry: the zoo.
        manifest: the method's release.
        files: gives role to file, where they are at hand; default from the zoo.
        who: who moves the alias, for its log.
        force: also if it is no better, or cannot be compared.
        why: one line for the log; default what the comparison said.

    Raises:
        SignatureError: the release is not signed as it must be.
        WithdrawnError: it was withdrawn.
        RegistryError: the category's entry cannot be read, or not be published to.
        ConflictError: others moved the alias every time.
    """
    _check_source(registry, manifest)
    entry = over_methods(manifest.entry)
    present = leader(registry, entry)
    refused = None if present is None else _why_refused(registry, present)
    if present is not None and refused is None and _is_repeated(manifest, present):
        return Standing(entry=entry, leads=True, release=present.release, note=f"leads as release {present.release}")
    if force:
        release = _repeat(registry, entry, manifest, files)
        promote(registry, entry, release, force=True, who=who, why=why)
        return Standing(entry=entry, leads=True, release=release, note=why or "by force")
    if present is not None and isinstance(refused, SignatureError):
        note = f"not compared with champion {present.release}: {refused}; `kdzoo zoo promote --force` moves it"
        return Standing(entry=entry, leads=False, release=None, note=_named(note, present))
    left_out: list[str] = []
    if present is None or refused is not None:
        rival = _best_rival(registry, manifest, left_out)
        if rival is not None and _contend(registry, rival, present, None, who).leads:
            note = f"{rival.entry.method} release {rival.release} leads"
            return Standing(entry=entry, leads=False, release=None, note=note)
    standing = _contend(registry, manifest, present, files, who)
    return replace(standing, note="; ".join((standing.note, *left_out)))


def leader(registry: Registry, entry: EntryName) -> Manifest | None:
    """What the champion of an entry points at; None where there is none that may be followed, or be read."""
    try:
        return registry.resolve(entry, alias=CHAMPION)
    except RegistryError:
        return None


def none_leads(registry: Registry, category: EntryName) -> EntryNotFoundError | None:
    """The error for a category that nothing leads, as in a zoo of an earlier version: how to have something lead.

    Args:
        registry: the zoo.
        category: its entry, which there is not.

    Returns:
        None where no method has a champion there either.
    """
    best = None
    for champion in _champions(registry, category):
        if best is None or beats(champion.document, best.document):
            best = champion
    if best is None:
        return None
    return EntryNotFoundError(
        f"no release leads {category.dataset}/{category.category} over all methods yet in {registry.uri}",
        hint=f"to have the best of its methods lead: kdzoo zoo promote {best.entry} {best.release} --over-methods",
    )


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
    paths = {role: registry.fetch(manifest, role) for role in manifest.blobs} if files is None else files()
    types = {role: ref.media_type for role, ref in manifest.blobs.items()}
    made = registry.publish(entry, _document(manifest), paths, alias=None, message=manifest.message, media_types=types)
    return made.release


def _contend(
    registry: Registry, manifest: Manifest, present: Manifest | None, files: Files | None, who: str | None
) -> Standing:
    """Repeats a method's release, and makes it champion, if it beats the category's champion of now."""
    entry, weights = over_methods(manifest.entry), weights_of(manifest)
    verdict = judge(registry, entry, manifest.document, weights=weights)
    if not verdict.wins:
        return Standing(entry=entry, leads=False, release=None, note=_named(verdict.note, present))
    release = _repeat(registry, entry, manifest, files)
    verdict = crown(registry, entry, manifest.document, release, who=who, weights=weights)
    return Standing(entry=entry, leads=verdict.wins, release=release, note=_named(verdict.note, present))


def _check_source(registry: Registry, manifest: Manifest) -> None:
    """Refuses a release that is not to be repeated; raises what `lead` does."""
    registry.signatures.check_repeated(manifest)
    registry.withdrawn.check(manifest.entry, manifest.release)


def _why_refused(registry: Registry, present: Manifest) -> RegistryError | None:
    """Why whoever follows the category's champion is refused it; None where nobody is."""
    try:
        registry.signatures.check_demand(present)
        check_withdrawn(registry, present)
    except (SignatureError, WithdrawnError) as error:
        return error
    return None


def _is_repeated(manifest: Manifest, present: Manifest) -> bool:
    """Whether the category's champion is a release indeed, of which its document may say what it likes."""
    return dict(present.document) == _document(manifest) and present.blobs == manifest.blobs


def _document(manifest: Manifest) -> dict[str, Any]:
    """What the document says of a release that is repeated."""
    origin = Origin(entry=manifest.entry, release=manifest.release)
    return {**manifest.document, "origin": origin.as_document()}


def _best_rival(registry: Registry, manifest: Manifest, left_out: list[str]) -> Manifest | None:
    """The best champion of the category's other methods that beats a release.

    Args:
        registry: the zoo.
        manifest: the release.
        left_out: gets a line on each that beats it, and is not signed as it must be.
    """
    best = manifest
    for champion in _champions(registry, over_methods(manifest.entry)):
        if champion.entry == manifest.entry or not beats(champion.document, best.document):
            continue
        try:
            _check_source(registry, champion)
        except WithdrawnError:
            continue
        except RegistryError as error:
            left_out.append(f"{champion.entry.method} is left out: {error}")
            continue
        best = champion
    return None if best is manifest else best


def _champions(registry: Registry, category: EntryName) -> Iterator[Manifest]:
    """The champions of a category's methods, of those that have one that may be followed."""
    for entry in registry.list_entries():
        if over_methods(entry) == category and entry != category and (found := leader(registry, entry)) is not None:
            yield found


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
