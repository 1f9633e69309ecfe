"""MLflow's model registry as an image of the zoo: its versions point at releases, its alias is where the zoo's is.

Sweeps tell MLflow of their releases through the journal. This reads the zoo instead, so it also brings up what was
moved by hand, or what MLflow missed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from kdzoo.addresses import sqlite_path
from kdzoo.champions import CHAMPION
from kdzoo.errors import TrackingError
from kdzoo.methods.registry import BEST
from kdzoo.settings import Settings
from kdzoo.tracking.reference import ReleaseRef, model_name
from kdzoo.tracking.sender import make_store
from kdzoo.zoo import manifest_digest
from zoo_registry import Alias, EntryName, Registry, RegistryError
from zoo_registry.addresses import without_credentials
from zoo_registry.errors import ManifestInvalidError, SignatureError, StaleError, WithdrawnError

if TYPE_CHECKING:
    from kdzoo.tracking.model_versions import Version
    from kdzoo.tracking.store import MlflowStore


@dataclass(kw_only=True)
class Mirrored:
    """What was done.

    Attributes:
        versions: how many versions were made.
        renewed: how many named the zoo at another address until now.
        moved: entries whose alias was set, moved or taken away.
        strange: releases that came from no run of this MLflow, and so have no version, as ``entry:release``.
        apart: models of this zoo that have its id in their names, since the plain ones are another zoo's.
        damaged: why releases could not be read, by the same name, and champions not followed, as ``entry@champion``.
    """

    versions: int = 0
    renewed: int = 0
    moved: list[str] = field(default_factory=list)
    strange: list[str] = field(default_factory=list)
    apart: list[str] = field(default_factory=list)
    damaged: dict[str, str] = field(default_factory=dict)


def mirror(settings: Settings, registry: Registry, entries: Sequence[EntryName] | None = None) -> Mirrored:
    """Brings MLflow's model registry up to the zoo. Done again, it changes nothing.

    Args:
        settings: where MLflow is.
        registry: the zoo.
        entries: only these; default all.

    Raises:
        TrackingError: MLflow or its artifact store cannot be reached.
        RegistryError: the zoo cannot be read.
    """
    store, done = make_store(settings.mlflow_uri, settings.mlflow_artifacts), Mirrored()
    for entry in registry.list_entries() if entries is None else entries:
        if entry.method != BEST:  # whose releases are those of methods, each with its version
            _mirror_entry(store, registry, entry, done)
    return done


def follow_champion(settings: Settings, registry: Registry, entry: EntryName, warn: Callable[[str], None]) -> None:
    """After a champion was moved by hand: tells MLflow, if there is one; the zoo's move stands whatever it says.

    Args:
        settings: where MLflow is; a local file that was never made is left so.
        registry: the zoo.
        entry: whose champion was moved.
        warn: told why MLflow could not be.
    """
    path = sqlite_path(settings.mlflow_uri)
    if path is not None and not path.exists():
        return
    try:
        mirror(settings, registry, [entry])
    except (TrackingError, RegistryError) as error:
        warn(f"MLflow was not told of the move: {error}; `kdzoo mlflow sync` does so later")


def _mirror_entry(store: MlflowStore, registry: Registry, entry: EntryName, done: Mirrored) -> None:
    versions, zoo, zoo_id = store.versions, without_credentials(registry.uri), _zoo_id(registry)
    name = versions.names.find(str(entry), zoo, zoo_id)
    known = {} if name is None else versions.of(name, zoo, zoo_id)
    for release in registry.releases(entry):
        there = known.get(release)
        if (there is None or there.zoo != zoo) and (
            made := _make_version(store, registry, entry, release, done)
        ) is not None:
            known[release] = made
    if not known:
        return
    name = next(iter(known.values())).model
    champion = _champion(registry, entry, done)
    wanted = known.get(champion.release) if champion is not None else None
    if name != model_name(str(entry)):
        done.apart.append(name)
    if versions.champion(name) == (None if wanted is None else wanted.number):
        return
    done.moved.append(str(entry))
    if champion is None or wanted is None:
        versions.uncrown(name)
    else:
        since = datetime.fromisoformat(champion.updated)
        versions.crown(wanted, int(since.timestamp() * 1000), later=False)


def _champion(registry: Registry, entry: EntryName, done: Mirrored) -> Alias | None:
    """The champion, if those who follow it in the zoo would be given it."""
    if CHAMPION not in registry.aliases(entry):
        return None
    try:
        found = registry.follow_alias(entry, CHAMPION)
        registry.withdrawn.check(entry, found.release)
    except (SignatureError, StaleError, WithdrawnError) as error:
        done.damaged[f"{entry}@{CHAMPION}"] = str(error)
        return None
    return found


def _make_version(
    store: MlflowStore, registry: Registry, entry: EntryName, release: int, done: Mirrored
) -> Version | None:
    """A version of a release; None where the release is damaged, or its run is not in this MLflow."""
    try:
        manifest = registry.resolve(entry, release)
    except ManifestInvalidError as error:
        done.damaged[f"{entry}:{release}"] = str(error)
        return None
    run_id = _find_run(store, manifest.document.get("mlflow"))
    if run_id is None:
        done.strange.append(f"{entry}:{release}")
        return None
    ref = ReleaseRef(
        zoo=without_credentials(registry.uri),
        entry=str(entry),
        release=release,
        manifest_sha256=manifest_digest(manifest),
        zoo_id=_zoo_id(registry),
    )
    version = store.add_version(ref, run_id)
    done.versions += version.made
    done.renewed += version.renewed
    return version


def _zoo_id(registry: Registry) -> str:
    found = registry.identity()
    return "" if found is None else found.id


def _find_run(store: MlflowStore, tracked: object) -> str | None:
    """The run that a manifest names, if it names one: others may have written it."""
    named = tracked if isinstance(tracked, dict) else {}
    experiment, key = named.get("experiment"), named.get("run")
    if not isinstance(experiment, str) or not isinstance(key, str):
        return None
    return store.find_run(experiment, key)
