"""Publishing beside the training: one thread of the driver, so that a slow upload holds no scheduling up."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Mapping
from queue import Empty, SimpleQueue
from typing import Any

from kdzoo.champions import CHAMPION, crown
from kdzoo.search.workers.finished import Finished
from kdzoo.tracking.reference import ReleaseRef
from kdzoo.zoo import WEIGHTS, Published, led, publish
from zoo_registry import EntryName, Registry
from zoo_registry.addresses import without_credentials
from zoo_registry.errors import EntryNotFoundError, ManifestInvalidError, ReleaseNotFoundError

Publish = Callable[[str, Finished], Published]
Told = tuple[str, Finished, Published | Exception]


class Publisher:
    """Hands measured categories to a function, one after the other, in a thread that ends with the process.

    Args:
        publish: puts a measured category into the zoo.
    """

    def __init__(self, publish: Publish) -> None:
        self._publish = publish
        self._given: SimpleQueue[tuple[str, Finished]] = SimpleQueue()
        self._done: SimpleQueue[Told] = SimpleQueue()
        self._pending = 0
        self._thread: threading.Thread | None = None

    def submit(self, category: str, finished: Finished) -> None:
        """Has a category published; returns at once."""
        if self._thread is None:
            # A daemon: a second Ctrl-C must not wait for an upload.
            self._thread = threading.Thread(target=self._work, name="kdzoo-publishing", daemon=True)
            self._thread.start()
        self._pending += 1
        self._given.put((category, finished))

    def collect(self, *, wait: bool = False) -> list[Told]:
        """What was published by now, each with what came of it or with the error that was raised.

        Args:
            wait: until one more is done, if any is under way.
        """
        found: list[Told] = []
        while self._pending:
            try:
                found.append(self._done.get(block=wait and not found))
            except Empty:
                break
            self._pending -= 1
        return found

    @property
    def busy(self) -> bool:
        """Whether anything was submitted that has not been collected."""
        return self._pending > 0

    def _work(self) -> None:
        while True:
            category, finished = self._given.get()
            try:
                result: Published | Exception = self._publish(category, finished)
            except Exception as error:
                # Whoever collects decides: a thread that ended here would leave the sweep waiting for ever.
                result = error
            self._done.put((category, finished, result))


def reference(published: Published | None) -> ReleaseRef | None:
    """What MLflow's model registry is told of a release; None where there is none to tell of."""
    if published is None or published.release is None or not published.manifest_sha256:
        return None
    return ReleaseRef(
        zoo=without_credentials(published.zoo),
        entry=published.entry,
        release=published.release,
        manifest_sha256=published.manifest_sha256,
        zoo_id=published.zoo_id,
    )


def publish_once(
    registry: Registry,
    entry: EntryName,
    document: dict[str, Any],
    files: Mapping[str, bytes],
    *,
    look: bool,
    who: str | None = None,
    hold: str = "",
) -> Published:
    """Publishes a sweep's detector, unless this sweep's release of the same weights is there already.

    Args:
        registry: the zoo.
        entry: method, data set and category.
        document: of the detector; its ``sweep`` names the sweep.
        files: role to bytes.
        who: who moves the champion, for its log; default this process's ``user@host``.
        hold: why it is not to become champion; empty where it may.
        look: whether an earlier driver may have published it and died before it could say so.

    Raises:
        RegistryError: the zoo cannot be read or written.
    """
    release = _published(registry, entry, document, files) if look else None
    if release is None:
        return publish(registry, entry, document, files, who=who, hold=hold)
    note = "published before the sweep was interrupted"
    try:
        if registry.read_alias(entry, CHAMPION).release == release:
            there = Published(release=release, promoted=True, note=note)
            return led(registry, registry.resolve(entry, release), there, who=who)
    except (EntryNotFoundError, ReleaseNotFoundError):
        note += ", which kept it from becoming champion then"
    if hold:
        return Published(release=release, promoted=False, note=f"{note}; {hold}")
    verdict = crown(registry, entry, document, release, who=who)
    published = Published(release=release, promoted=verdict.wins, note=f"{note}; {verdict.note}")
    return led(registry, registry.resolve(entry, release), published, who=who) if verdict.wins else published


def _published(
    registry: Registry, entry: EntryName, document: Mapping[str, Any], files: Mapping[str, bytes]
) -> int | None:
    """The release of the same weights by the same sweep, if there is one."""
    digest = hashlib.sha256(files[WEIGHTS]).hexdigest()
    for release in reversed(registry.releases(entry)):
        try:
            manifest = registry.resolve(entry, release)
        except (ReleaseNotFoundError, ManifestInvalidError):
            continue  # deleted meanwhile, or damaged: not one that can be gone on with
        same = WEIGHTS in manifest.blobs and manifest.blobs[WEIGHTS].sha256 == digest
        if same and manifest.document.get("sweep") == document["sweep"]:
            return release
    return None
