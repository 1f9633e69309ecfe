"""Detectors in and out of the zoo: publish, promote if better, load by name."""

from __future__ import annotations

import dataclasses
import hashlib
import logging
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kdzoo.blob_cache import open_cache
from kdzoo.champions import CHAMPION, crown, judge
from kdzoo.errors import CheckpointError, StorageError, UsageError
from kdzoo.methods.registry import BEST
from kdzoo.over_methods import lead, none_leads
from kdzoo.settings import Settings
from kdzoo.storage import write_new
from kdzoo.trust import check_release, demand_signatures, sign_what_is_published
from zoo_registry import EntryName, Registry, RegistryError, open_store
from zoo_registry.errors import EntryNotFoundError

if TYPE_CHECKING:
    import torch

    from kdzoo.detector import Detector
    from zoo_registry import Manifest

_log = logging.getLogger(__name__)
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
        zoo, zoo_id, entry, manifest_sha256: where the release is, and its manifest's digest, once `located`; else "".
        leads: whether it leads its category over all methods now.
        over_methods: one line that says why, or why not; empty where that was not asked.
    """

    release: int | None
    promoted: bool
    note: str
    zoo: str = ""
    entry: str = ""
    manifest_sha256: str = ""
    zoo_id: str = ""
    leads: bool = False
    over_methods: str = ""

    def located(self, registry: Registry, entry: EntryName) -> Published:
        """With what a reference to the release needs; as it is when there is none, or it cannot be read back."""
        if self.release is None:
            return self
        try:
            digest, found = manifest_digest(registry.resolve(entry, self.release)), registry.identity()
        except RegistryError as error:
            _log.warning("release %d of %s will not be in MLflow's model registry: %s", self.release, entry, error)
            return self
        zoo_id = "" if found is None else found.id
        return dataclasses.replace(self, zoo=registry.uri, zoo_id=zoo_id, entry=str(entry), manifest_sha256=digest)


def open_registry(
    settings: Settings,
    zoo: str | None = None,
    *,
    warn: Callable[[str], None] | None = None,
    ask: Callable[[], str | None] | None = None,
) -> Registry:
    """Opens the zoo.

    Args:
        settings: where the default zoo and the cache are, how much the cache may hold, whether this is offline, and
            which key signs what is published, and which keys must have signed what an alias points at.
        zoo: a folder or ``s3://bucket/prefix``; default the settings' own.
        warn: told when something other than what was asked for is used.
        ask: asks a person for the passphrase of the key when it is needed and not set.
    """
    store, cache = open_store(zoo or settings.zoo, notes=settings.cache / "zoo"), open_cache(settings, warn=warn)
    registry = Registry(store, cache, offline=settings.offline, on_warning=warn)
    sign_what_is_published(settings, registry.signatures, ask=ask)
    demand_signatures(settings, registry)
    return registry


def publish(
    registry: Registry,
    entry: EntryName,
    document: dict[str, Any],
    files: Mapping[str, bytes],
    *,
    who: str | None = None,
    hold: str = "",
) -> Published:
    """Publishes a detector if it beats the champion.

    A champion is beaten by a better objective under the same protocol and split, on the same data at the same input
    size and way of resizing, where the images that both have judged tell the two apart. One that cannot be compared, or
    told apart, stays champion, and the new release stands beside it. Whoever publishes at the same time, of two
    comparable releases that are told apart the better one ends as champion. A release that becomes champion is compared
    over all methods of its category as well, by the same rule (`kdzoo.over_methods`).

    Args:
        registry: the zoo.
        entry: method, data set and category.
        document: of the detector.
        files: role to bytes: weights, teacher, and a picture of cases.
        who: who moves the champion, for its log; default this process's ``user@host``.
        hold: why it is to stand beside the champion whatever the comparison says; empty where it is not.

    Returns:
        What was done; also when the release stands and only the alias could not be moved, which the note then says.

    Raises:
        RegistryError: the release could not be published.
        CheckpointError: the document names other weights.
    """
    from kdzoo.training.document import with_weights

    if WEIGHTS in files:
        document = with_weights(document, hashlib.sha256(files[WEIGHTS]).hexdigest())
    verdict = judge(registry, entry, document)
    if verdict.loses:
        return Published(release=None, promoted=False, note=verdict.note)
    with tempfile.TemporaryDirectory(prefix="kdzoo-publish-") as folder:
        paths = {}
        for role, data in files.items():
            paths[role] = Path(folder) / role
            write_new(paths[role], data)
        media = {role: _MEDIA[role] for role in paths}
        manifest = registry.publish(entry, document, paths, alias=None, media_types=media).manifest
        if hold:
            return Published(release=manifest.release, promoted=False, note=hold)
        try:
            verdict = crown(registry, entry, document, manifest.release, who=who)
        except RegistryError as error:
            # The release stands: raised, this would read as if nothing had been published.
            note = f"published, but {CHAMPION} was not moved: {error}"
            return Published(release=manifest.release, promoted=False, note=note)
        published = Published(release=manifest.release, promoted=verdict.wins, note=verdict.note)
        return led(registry, manifest, published, files=paths, who=who) if verdict.wins else published


def led(
    registry: Registry,
    manifest: Manifest,
    published: Published,
    *,
    files: Mapping[str, Path] | None = None,
    who: str | None = None,
) -> Published:
    """What publishing did, with how a release that became its method's champion stands over all methods.

    Args:
        registry: the zoo.
        manifest: the method's release.
        published: what was done so far.
        files: role to file, where they are at hand; default from the zoo.
        who: who moves the alias, for its log.
    """
    try:
        standing = lead(registry, manifest, files=None if files is None else lambda: files, who=who)
    except RegistryError as error:
        return dataclasses.replace(published, over_methods=f"not compared over all methods: {error}")
    return dataclasses.replace(published, leads=standing.leads, over_methods=standing.note)


def load(
    method: str,
    name: str | None = None,
    *,
    zoo: str | None = None,
    release: int | None = None,
    digest: str | None = None,
    alias: str = CHAMPION,
    device: str | torch.device | None = None,
    threshold: float | None = None,
    false_positive_rate: float | None = None,
    min_area: int = 0,
    border: int = 0,
    roi: str | Path | None = None,
) -> Detector:
    """Loads a detector from the zoo: the best of a method, or with ``load("demo/weave")`` of all methods.

    What was loaded before is in the cache: only the alias, its manifest and what was withdrawn are asked for again, and
    with ``release`` only the last, once a day. Offline (``KDZOO_OFFLINE=1``) the alias is where it was when last seen,
    which a warning says.

    Args:
        method: such as ``"aand"``; or ``"dataset/category"`` alone: the category's best over all methods, by the
            releases and aliases of the entry ``best/dataset/category``.
        name: ``"dataset/category"``, such as ``"demo/weave"``.
        zoo: a folder or ``s3://bucket/prefix``; default ``KDZOO_ZOO``, else the folder under kdzoo's home.
        release: a release's number, 1 or more; default the one that ``alias`` points at.
        digest: ``"sha256:..."`` of the release's manifest, as `kdzoo zoo show` gives it: nothing else is loaded.
            Without ``release`` the release that has it is looked for.
        alias: used when neither is given.
        device: where to predict; default a GPU if there is one.
        threshold: decide by this score instead of the calibrated one.
        false_positive_rate: decide by another share of normal images that may alarm.
        min_area: regions of fewer pixels of the image do not count; see `Detector.set_regions`.
        border: pixels along each edge of an image that cannot alarm.
        roi: a file with the region of interest, outside of which nothing is scored; default the release's own.

    Raises:
        ConfigError: ``min_area`` or ``border`` is negative, or ``roi`` holds no region of interest.
        ManifestInvalidError: the release is not the one of ``digest``, or its manifest is damaged.
        UsageError: ``name`` is not of that form, or ``release`` is no whole number.
        NameInvalidError, EntryNotFoundError, ReleaseNotFoundError: there is no such detector.
        SignatureError: ``KDZOO_REQUIRE_SIGNATURE`` names public keys, and none of them has signed the release, or the
            alias where that was signed before or must be.
        WithdrawnError: the release was withdrawn.
        StaleError: ``alias`` is older than it was when last seen here, or was to be followed until a time that is over.
        BlobCorruptError: the zoo's bytes are not those of the manifest.
        CheckpointError: the detector does not fit this kdzoo.
    """
    from kdzoo.regions import RegionRule

    entry, rule = entry_name(method, name), RegionRule(min_area=min_area, border=border)
    if release is not None and (isinstance(release, bool) or not isinstance(release, int)):
        raise UsageError(f"release {release!r} is not a whole number", hint=f"kdzoo zoo show {entry} says which it has")
    settings = Settings.from_environment()
    registry = open_registry(settings, zoo)
    try:
        manifest = registry.resolve(entry, release, alias, trust_cache=release is not None, digest=digest)
    except EntryNotFoundError as error:
        told = none_leads(registry, entry) if entry.method == BEST else None
        if told is None:
            raise
        raise told from error
    check_release(settings, registry, manifest, trust_cache=release is not None)
    detector = from_manifest(registry, manifest, device=device)
    if threshold is not None or false_positive_rate is not None:
        detector.set_threshold(threshold, false_positive_rate=false_positive_rate)
    if roi is not None:
        detector.set_roi(roi)
    return detector.set_regions(min_area=rule.min_area, border=rule.border)


def from_manifest(registry: Registry, manifest: Manifest, *, device: str | torch.device | None = None) -> Detector:
    """The detector of a resolved release; its blobs are verified on their way in."""
    from kdzoo.detector import Detector
    from kdzoo.training.document import parse_document
    from kdzoo.training.without_init import WithoutRandomInit

    document = dict(manifest.document)
    plan = parse_document(document)
    named = {WEIGHTS: plan.weights_sha256, TEACHER: plan.teacher_sha256}
    # The detector compares digests with the document's itself: where they are the blobs', a file is read once.
    compared = {role for role, ref in manifest.blobs.items() if named.get(role) == ref.sha256}

    def opened(unread: set[str]) -> Detector:
        weights, teacher = (registry.fetch(manifest, role, verify=role not in unread) for role in (WEIGHTS, TEACHER))
        with WithoutRandomInit():
            return Detector.from_files(document, weights, teacher, device=device)

    if compared:
        try:
            return opened(compared)
        except (CheckpointError, StorageError):  # damaged, or taken out of the cache meanwhile
            _log.debug("the files of %s are read again, and fetched if they are damaged", manifest.entry)
    return opened(set())


def manifest_digest(manifest: Manifest) -> str:
    """The sha256 of a manifest's bytes, which name the digests of all its blobs."""
    return hashlib.sha256(manifest.signed_bytes).hexdigest()


def entry_name(method: str, name: str | None) -> EntryName:
    """The zoo's entry of a method and ``dataset/category``; without a method, of the category over all methods.

    Args:
        method: the method, or ``dataset/category`` where there is no ``name``.
        name: ``dataset/category``.

    Raises:
        UsageError: the name is not of that form, or not text.
        NameInvalidError: a part is no valid name.
    """
    if name is None:
        method, name = BEST, method
    dataset, slash, category = name.partition("/") if isinstance(name, str) else ("", "", "")
    if not slash or "/" in category:
        raise UsageError(f"{name!r} is not of the form DATASET/CATEGORY", hint="for example: demo/weave")
    return EntryName(method=method, dataset=dataset, category=category)
