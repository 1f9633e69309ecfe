"""Releases in MLflow's model registry: a version a release, which points at the zoo and holds nothing of the model."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import yaml
from mlflow import MlflowClient

from kdzoo.errors import TrackingError
from kdzoo.tracking.model_names import ZOO, ZOO_ID, ModelNames
from kdzoo.tracking.notes import version_note
from kdzoo.tracking.pages import all_pages
from kdzoo.tracking.reference import LOADER_MODULE, MODEL_FOLDER, REFERENCE_FILE, ReleaseRef, zoo_mark
from kdzoo.tracking.run_files import keep_files

CHAMPION: Final = "champion"
_DIGEST, _MOVED = "kdzoo.manifest_sha256", "kdzoo.champion_moved_ms"
_FLAVORS: Final = {"python_function": {"loader_module": LOADER_MODULE, "data": REFERENCE_FILE}}


@dataclass(frozen=True, kw_only=True)
class Version:
    """A version of a registered model.

    Attributes:
        model: its registered model.
        number: as MLflow gave it, which need not be the release's.
        run_id: the run it came from.
        zoo: the zoo's address, as it says.
        made: whether it was made just now.
        renewed: whether it named the zoo at another address until now.
    """

    model: str
    number: str
    run_id: str
    zoo: str = ""
    made: bool = False
    renewed: bool = False


def version_tags(run_tags: Mapping[str, str]) -> dict[str, str]:
    """What a version says of the run that it came from, to filter by."""
    names = ("method", "dataset", "category", "protocol", "teacher", "objective", "sweep")
    return {name: run_tags[name] for name in (f"kdzoo.{name}" for name in names) if name in run_tags}


class ModelVersions:
    """Writes versions and the alias; whatever is told twice is there once.

    Args:
        client: MLflow's.
        ask: calls it, and turns what it raises into errors of ours.
    """

    def __init__(self, client: MlflowClient, ask: Callable[[Callable[[], Any]], Any]) -> None:
        self._client, self._ask = client, ask
        self.names = ModelNames(client, ask)
        """Which model is whose."""

    def of(self, name: str, zoo: str, zoo_id: str = "") -> dict[int, Version]:
        """The versions of a model whose releases are in a zoo, by release; none when there is no such model.

        Args:
            name: the model.
            zoo: the zoo's address, without credentials.
            zoo_id: its id, by which versions go that say one, whatever the address. Empty: not known.
        """
        search = partial(self._client.search_model_versions, f"name = '{name}'", max_results=1000)
        found = self._ask(lambda: list(all_pages(lambda token: search(page_token=token))))
        ours = [version for version in found if _is_of(version.tags, zoo, zoo_id)]
        return {int(version.tags["kdzoo.release"]): _version(version) for version in ours}

    def champion(self, name: str) -> str | None:
        """The number of the version that the alias of a model names."""
        found = self._ask(lambda: self._client.get_registered_model(name)).aliases.get(CHAMPION)
        return None if found is None else str(found)

    def ensure(self, ref: ReleaseRef, run_id: str, tags: Mapping[str, str]) -> Version:
        """The release's version, which is made if it is not there.

        Args:
            ref: the release.
            run_id: run of the category that it came from; holds the reference.
            tags: what else to filter versions by.

        Raises:
            RefusedError: MLflow's artifact store takes no reference.
            TrackingError: MLflow cannot be reached.
        """
        name = self.names.claim(ref)
        # First: a creation whose answer was lost has made a version all the same.
        query = f"name = '{name}' AND tags.`{_DIGEST}` = '{ref.manifest_sha256}'"
        found = self._ask(lambda: self._client.search_model_versions(query, max_results=10))
        if found:
            return self._renewed(min(found, key=lambda version: int(version.version)), ref)
        # A run of another zoo's keeps that one's reference as it is.
        folder = MODEL_FOLDER if name == ref.model_name else f"{MODEL_FOLDER}-{zoo_mark(ref.zoo_id or ref.zoo)}"
        self._log_reference(ref, run_id, folder)
        said = {**tags, "kdzoo.entry": ref.entry, ZOO: ref.zoo, "kdzoo.release": str(ref.release)}
        made = self._ask(
            lambda: self._client.create_model_version(
                name,
                f"runs:/{run_id}/{folder}",
                run_id,
                tags={**said, _DIGEST: ref.manifest_sha256, **({ZOO_ID: ref.zoo_id} if ref.zoo_id else {})},
                description=version_note(ref),
                await_creation_for=0,
            )
        )
        return dataclasses.replace(_version(made), made=True)

    def crown(self, version: Version, since_ms: int, *, later: bool) -> None:
        """Moves the alias of a version's model, and with it the tag ``kdzoo.champion`` from run to run.

        Args:
            version: of the release that is champion.
            since_ms: since when, milliseconds since 1970.
            later: only if nothing moved it later: a record may be sent long after it was written.
        """
        name = version.model
        model = self._ask(lambda: self._client.get_registered_model(name))
        if later and int(model.tags.get(_MOVED, "0")) > since_ms:
            return
        before = model.aliases.get(CHAMPION)
        if before is not None and str(before) != version.number:
            self._tag_run(self._run_of(name, str(before)), name, "false")
        self._ask(lambda: self._client.set_registered_model_alias(name, CHAMPION, version.number))
        self._ask(lambda: self._client.set_registered_model_tag(name, _MOVED, str(since_ms)))
        self._tag_run(version.run_id, name, "true")

    def uncrown(self, name: str) -> None:
        """Takes the alias away from a model whose entry has no champion with a version."""
        before = self.champion(name)
        if before is not None:
            self._tag_run(self._run_of(name, before), name, "false")
            self._ask(lambda: self._client.delete_registered_model_alias(name, CHAMPION))

    def _run_of(self, name: str, version: str) -> str:
        return str(self._ask(lambda: self._client.get_model_version(name, version)).run_id)

    def _tag_run(self, run_id: str, name: str, champion: str) -> None:
        """Says of a run whether its release is champion, if the run is there still.

        A run is the zoo's that was first to show its release: in a copy of it nothing is said of the run.
        """
        shown = self._ask(lambda: self._client.search_model_versions(f"run_id = '{run_id}'", max_results=100))
        if shown and min(shown, key=lambda one: (one.creation_timestamp, one.name != name)).name != name:
            return
        try:
            self._ask(lambda: self._client.set_tag(run_id, "kdzoo.champion", champion))
        except TrackingError:
            self._ask(lambda: self._client.get_registered_model(name))  # MLflow is well, so the run was deleted

    def _renewed(self, found: Any, ref: ReleaseRef) -> Version:
        """A version that is there, with the zoo's address as it is now: the zoo was moved since."""
        version = _version(found)
        if version.zoo == ref.zoo:
            return version
        run, _, folder = str(found.source).removeprefix("runs:/").partition("/")
        if run and folder:
            self._log_reference(ref, run, folder)
        self._ask(
            lambda: self._client.update_model_version(version.model, version.number, description=version_note(ref))
        )
        self._ask(lambda: self._client.set_model_version_tag(version.model, version.number, ZOO, ref.zoo))
        return dataclasses.replace(version, zoo=ref.zoo, renewed=True)

    def _log_reference(self, ref: ReleaseRef, run_id: str, folder: str) -> None:
        described = {"artifact_path": folder, "flavors": _FLAVORS, "run_id": run_id}
        files = {REFERENCE_FILE: ref.to_bytes(), "MLmodel": yaml.safe_dump(described).encode()}
        keep_files(self._client, self._ask, run_id, files, folder)


def _is_of(tags: Mapping[str, str], zoo: str, zoo_id: str) -> bool:
    """Whether a version's release is in a zoo."""
    said = tags.get(ZOO_ID)
    return said == zoo_id if said and zoo_id else tags.get(ZOO) == zoo


def _version(found: Any) -> Version:
    zoo = str(found.tags.get(ZOO, ""))
    return Version(model=str(found.name), number=str(found.version), run_id=str(found.run_id), zoo=zoo)
