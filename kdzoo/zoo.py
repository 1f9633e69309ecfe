"""Detectors in and out of the zoo: publish, promote if better, load by name."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kdzoo.errors import UsageError
from kdzoo.settings import Settings
from zoo_registry import EntryName, Registry, RegistryError
from zoo_registry.errors import ConflictError, EntryNotFoundError, ManifestInvalidError, ReleaseNotFoundError

if TYPE_CHECKING:
    import torch

    from kdzoo.detector import Detector
    from zoo_registry import Alias, Manifest

CHAMPION = "champion"
_MOVES = 20
"""How often to try anew when other publishers keep moving the champion."""
WEIGHTS, TEACHER, PICTURE = "weights", "teacher", "cases"
_MEDIA = {
    WEIGHTS: "application/vnd.safetensors",
    TEACHER: "application/vnd.safetensors",
    PICTURE: "image/png",
}


@dataclass(frozen=True, kw_only=True)
class Published:
    """What publishing did.

    Attributes:
        release: the new release's number; None when the champion stayed and nothing was published.
        promoted: whether `champion` now points at it.
        note: one line that says why.
    """

    release: int | None
    promoted: bool
    note: str


def open_registry(settings: Settings, zoo: str | None = None, *, warn: Callable[[str], None] | None = None) -> Registry:
    """Opens the zoo.

    Args:
        settings: where the default zoo and the cache are.
        zoo: a folder or ``s3://bucket/prefix``; default the settings' own.
        warn: told when something other than what was asked for is used.
    """
    return Registry.open(zoo or settings.zoo, cache=settings.cache / "zoo", offline=settings.offline, on_warning=warn)


def publish(registry: Registry, entry: EntryName, document: dict[str, Any], files: Mapping[str, bytes]) -> Published:
    """Publishes a detector if it beats the champion.

    A champion is beaten by a better objective under the same protocol and split, on the same data at the same input
    size. One that cannot be compared stays champion, and the new release stands beside it. Whoever publishes at the
    same time, the better of two comparable releases ends as champion.

    Args:
        registry: the zoo.
        entry: method, data set and category.
        document: of the detector.
        files: role to bytes: weights, teacher, and a picture of cases.

    Returns:
        What was done; also when the release stands and only the alias could not be moved, which the note then says.

    Raises:
        RegistryError: the release could not be published.
    """
    verdict = _verdict(registry, entry, document)
    if verdict.loses:
        return Published(release=None, promoted=False, note=verdict.note)
    with tempfile.TemporaryDirectory(prefix="kdzoo-publish-") as folder:
        paths = {}
        for role, data in files.items():
            paths[role] = Path(folder) / role
            paths[role].write_bytes(data)
        media = {role: _MEDIA[role] for role in paths}
        release = registry.publish(entry, document, paths, alias=None, media_types=media).release
    try:
        return _promote(registry, entry, document, release)
    except RegistryError as error:
        # The release stands: raised, this would read as if nothing had been published.
        note = f"published, but {CHAMPION} was not moved: {error}"
        return Published(release=release, promoted=False, note=note)


def load(
    method: str,
    name: str,
    *,
    zoo: str | None = None,
    release: int | None = None,
    alias: str = CHAMPION,
    device: str | torch.device | None = None,
    threshold: float | None = None,
    false_positive_rate: float | None = None,
) -> Detector:
    """Loads a detector from the zoo.

    Args:
        method: such as ``"aand"``.
        name: ``"dataset/category"``, such as ``"demo/weave"``.
        zoo: a folder or ``s3://bucket/prefix``; default ``KDZOO_ZOO``, else the folder under kdzoo's home.
        release: a release's number; default the one that ``alias`` points at.
        alias: used when no release is given.
        device: where to predict; default a GPU if there is one.
        threshold: decide by this score instead of the calibrated one.
        false_positive_rate: decide by another share of normal images that may alarm.

    Raises:
        NameInvalidError, EntryNotFoundError, ReleaseNotFoundError: there is no such detector.
        BlobCorruptError: the zoo's bytes are not those of the manifest.
        CheckpointError: the detector does not fit this kdzoo.
    """
    registry = open_registry(Settings.from_environment(), zoo)
    manifest = registry.resolve(entry_name(method, name), release, alias)
    detector = from_manifest(registry, manifest, device=device)
    if threshold is not None or false_positive_rate is not None:
        detector.set_threshold(threshold, false_positive_rate=false_positive_rate)
    return detector


def from_manifest(registry: Registry, manifest: Manifest, *, device: str | torch.device | None = None) -> Detector:
    """The detector of a resolved release; its blobs are verified on their way in."""
    from kdzoo.detector import Detector

    weights, teacher = registry.fetch(manifest, WEIGHTS), registry.fetch(manifest, TEACHER)
    return Detector.from_files(dict(manifest.document), weights, teacher, device=device)


def entry_name(method: str, name: str) -> EntryName:
    """The zoo's entry of a method and ``dataset/category``.

    Raises:
        UsageError: the name is not of that form.
        NameInvalidError: a part is no valid name.
    """
    dataset, slash, category = name.partition("/")
    if not slash or "/" in category:
        raise UsageError(f"'{name}' is not of the form DATASET/CATEGORY", hint="for example: demo/weave")
    return EntryName(method=method, dataset=dataset, category=category)


@dataclass(frozen=True, kw_only=True)
class _Verdict:
    """How a document stands against the champion.

    Attributes:
        against: the alias that was read; None when there is none.
        wins: whether the alias is to be moved.
        loses: whether it was compared and is no better, so that there is nothing to publish.
        note: one line that says why.
    """

    against: Alias | None
    wins: bool
    loses: bool
    note: str


def _promote(registry: Registry, entry: EntryName, document: dict[str, Any], release: int) -> Published:
    """Points `champion` at a release if that still beats whichever champion there is by now.

    Raises:
        RegistryError: the alias cannot be read or moved.
    """
    for _ in range(_MOVES):
        verdict = _verdict(registry, entry, document)
        if not verdict.wins:
            return Published(release=release, promoted=False, note=verdict.note)
        try:
            registry.set_alias(entry, CHAMPION, release, expected=verdict.against)
        except ConflictError:
            continue  # another publisher was faster: its champion is the one to beat now
        return Published(release=release, promoted=True, note=verdict.note)
    raise ConflictError(f"others moved it {_MOVES} times meanwhile", hint="set the alias to the release")


def _verdict(registry: Registry, entry: EntryName, document: dict[str, Any]) -> _Verdict:
    """Compares a document with the champion of this moment."""
    alias = None
    try:
        alias = registry.read_alias(entry, CHAMPION)
        champion = registry.resolve(entry, alias.release)
    except (EntryNotFoundError, ReleaseNotFoundError):
        note = f"champion {alias.release} is no longer there" if alias else "first champion"
        return _Verdict(against=alias, wins=True, loses=False, note=note)
    except ManifestInvalidError as error:
        note = f"not compared with the champion, which cannot be read: {error}"
        return _Verdict(against=alias, wins=False, loses=False, note=note)
    number, ours, theirs = champion.release, _comparable(document), _comparable(champion.document)
    if ours is None or theirs is None or ours[0] != theirs[0]:
        differs = "another protocol, split, objective, input size or data"
        note = f"not compared with champion {number}: {differs}; `kdzoo zoo promote` moves it"
        return _Verdict(against=alias, wins=False, loses=False, note=note)
    wins = ours[1] > theirs[1]
    note = f"beats champion {number} ({theirs[1]:.4f})" if wins else f"champion {number} stays ({theirs[1]:.4f})"
    return _Verdict(against=alias, wins=wins, loses=not wins, note=note)


def _comparable(document: Mapping[str, Any]) -> tuple[tuple[Any, ...], float] | None:
    """What two documents must share to be compared, and the value they are compared by; None when one does not say."""
    try:
        objective = document["objective"]
        data, size = document["dataset"]["fingerprint"], document["input"]["size"]
        shared = (document["protocol"], document["split"]["digest"], objective["name"], data, size)
        value = objective["value"]
    except (KeyError, TypeError):
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return shared, float(value)
