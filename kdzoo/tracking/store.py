"""The one place that writes to MLflow: finds or makes the run of a record, and tells it what the record says."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import quote

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag
from mlflow.exceptions import MlflowException
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID

from kdzoo.addresses import file_address, sqlite_path
from kdzoo.errors import TrackingError
from kdzoo.tracking.database import prepare_database
from kdzoo.tracking.hints import is_web_page, no_mlflow, restore_command, what_to_do
from kdzoo.tracking.model_versions import ModelVersions, Version, version_tags
from kdzoo.tracking.notes import NOTE_TAG, experiment_note
from kdzoo.tracking.records import Record, RunRef, RunState
from kdzoo.tracking.reference import ReleaseRef
from kdzoo.tracking.run_files import RefusedError, keep_files, short
from kdzoo.tracking.views import view_tags
from zoo_registry.addresses import without_credentials

PICTURE_NAME: Final = "cases.png"
_BATCH: Final = 100  # params or tags in one request; the server's limit

# What the server will say again however often it is asked. All else, from a dead server to missing rights, may pass.
_FINAL: Final = frozenset(
    {"INVALID_PARAMETER_VALUE", "BAD_REQUEST", "RESOURCE_DOES_NOT_EXIST", "INVALID_STATE", "MALFORMED_REQUEST"}
)

T = TypeVar("T")


def open_client(uri: str) -> Any:
    """An MLflow client; a SQLite file is made, or brought up to date, before MLflow opens it.

    Call `kdzoo.tracking.environment.prepare_mlflow` before this module is imported.

    Args:
        uri: tracking URI.

    Raises:
        TrackingError: the file was left half made, or cannot be made.
    """
    path = sqlite_path(uri)
    if path is not None:
        prepare_database(path)
    return MlflowClient(tracking_uri=uri)


class MlflowStore:
    """Applies records; a record applied twice leaves the same runs as once.

    Args:
        uri: tracking URI.
        artifacts: folder for artifacts where MLflow writes them itself; a server (http) uses its own place.
    """

    def __init__(self, uri: str, artifacts: Path) -> None:
        self._uri, self._artifacts = uri, artifacts
        self._shown = without_credentials(uri)
        self._client: Any = None
        self._experiments: dict[str, str] = {}
        self._runs: dict[tuple[str, str], str] = {}
        self._running: set[str] = set()

    def apply(self, record: Record) -> None:
        """Tells MLflow what the record says.

        Raises:
            RefusedError: MLflow takes no such record; the rest of the record was written.
            TrackingError: MLflow cannot be reached or is not ready; try again later.
        """
        try:
            self._apply(record)
        except RefusedError:
            # A remembered run may be gone: deleted by a person, or with a database that was replaced. Look once more.
            self._runs.clear()
            self._running.clear()
            self._experiments.clear()
            self._apply(record)

    def find_run(self, experiment: str, key: str) -> str | None:
        """The MLflow id of a run that was tracked here, by our key for it.

        Args:
            experiment: the experiment's name.
            key: the run's tag ``kdzoo.key``, as a manifest gives it.

        Raises:
            TrackingError: MLflow cannot be reached.
        """
        found = self._ask(lambda: self._connected().get_experiment_by_name(experiment))
        return None if found is None else self._search_run(found.experiment_id, key)

    def add_version(self, ref: ReleaseRef, run_id: str) -> Version:
        """Shows a release in the model registry, with what its run says of itself.

        Raises:
            TrackingError: MLflow cannot be reached.
        """
        run = self._ask(lambda: self._connected().get_run(run_id))
        return self.versions.ensure(ref, run_id, version_tags(run.data.tags))

    @property
    def versions(self) -> ModelVersions:
        """The model registry."""
        return ModelVersions(self._ask(self._connected), self._ask)

    def _apply(self, record: Record) -> None:
        run_id = self._run(record.run, record.time_ms)
        steps: list[Callable[[], object]] = [partial(self._log, run_id, record)]
        if record.picture is not None:
            steps.append(partial(self._log_picture, run_id, record.picture))
        if record.published is not None:
            steps.append(partial(self._register, run_id, record.published, record))
        if record.state is not None:
            steps.append(partial(self._set_state, run_id, record.state, record.time_ms))
        self._take(steps)

    def _take(self, steps: Iterable[Callable[[], object]]) -> None:
        """Takes every step, also after one that was refused.

        Raises:
            RefusedError: one was.
        """
        refused: RefusedError | None = None
        for step in steps:
            try:
                self._ask(step)
            except RefusedError as error:
                refused = error
        if refused is not None:
            raise refused

    def _log(self, run_id: str, record: Record) -> None:
        """Tags, metrics and params in one request; apart where it is refused as a whole, or too many for one."""
        metrics = [Metric(name, value, record.time_ms, record.step) for name, value in record.metrics.items()]
        tags = [RunTag(name, value) for name, value in record.tags.items()]
        params = [Param(name, value) for name, value in record.params.items()]
        log = self._client.log_batch
        if max(len(metrics), len(tags), len(params)) <= _BATCH:
            try:
                self._ask(partial(log, run_id, metrics=metrics, tags=tags, params=params))
                return
            except RefusedError:
                if not params:
                    raise
        # Params come last: a changed value is refused, and must not take the metrics with it.
        parts = [partial(log, run_id, tags=part) for part in _batches(tags)]
        parts += [partial(log, run_id, metrics=part) for part in _batches(metrics)]
        parts += [partial(log, run_id, params=part) for part in _batches(params)]
        self._take(parts)

    def _set_state(self, run_id: str, state: RunState, time_ms: int) -> None:
        if state != "RUNNING":
            self._running.discard(run_id)
            self._client.set_terminated(run_id, state, time_ms)
        elif run_id not in self._running:  # a run is made running; to say so again takes two requests
            self._client.update_run(run_id, status=state)
            self._running.add(run_id)

    def _register(self, run_id: str, ref: ReleaseRef, record: Record) -> None:
        """Shows a release in the model registry."""
        version = self.versions.ensure(ref, run_id, version_tags(record.run.tags))
        if record.champion:
            self.versions.crown(version, record.time_ms, later=True)
        note = record.tags.get(NOTE_TAG, "")
        if version.model != ref.model_name and f"`{ref.model_name}`" in note:
            # Which name it is was not known when the note was written.
            said = note.replace(f"`{ref.model_name}`", f"`{version.model}`")
            self._ask(lambda: self._client.set_tag(run_id, NOTE_TAG, said))

    def _run(self, ref: RunRef, time_ms: int) -> str:
        """The run's MLflow id: remembered, found by our key, or made.

        The search comes first because a creation whose answer was lost has made a run all the same.
        """
        known = self._runs.get((ref.experiment, ref.key))
        if known is not None:
            return known
        parent = None if ref.parent is None else self._run(ref.parent, time_ms)
        experiment = self._experiment(ref.experiment)
        run_id = self._search_run(experiment, ref.key)
        if run_id is None:
            tags = {**ref.tags, "kdzoo.key": _quoted(ref.key)}
            if parent is not None:
                tags[MLFLOW_PARENT_RUN_ID] = parent
            made = self._ask(lambda: self._client.create_run(experiment, time_ms, tags, ref.name))
            run_id = str(made.info.run_id)
            self._running.add(run_id)
        self._runs[(ref.experiment, ref.key)] = run_id
        return run_id

    def _search_run(self, experiment: str, key: str) -> str | None:
        query = f"tags.`kdzoo.key` = '{_quoted(key)}'"
        found = self._ask(lambda: self._connected().search_runs([experiment], query, max_results=1))
        return str(found[0].info.run_id) if found else None

    def _experiment(self, name: str) -> str:
        if name not in self._experiments:
            self._experiments[name] = self._ask(lambda: self._find_or_make_experiment(name))
        return self._experiments[name]

    def _find_or_make_experiment(self, name: str) -> str:
        client = self._connected()
        experiment = client.get_experiment_by_name(name)
        if experiment is None:
            local = not self._uri.startswith(("http://", "https://", "databricks"))
            location = file_address(self._artifacts / name) if local else None
            try:
                return str(client.create_experiment(name, artifact_location=location, tags=_experiment_tags(name)))
            except MlflowException as error:
                if error.error_code != "RESOURCE_ALREADY_EXISTS":
                    raise
                experiment = client.get_experiment_by_name(name)  # another sweep made it in between
        if experiment.lifecycle_stage == "deleted":
            raise TrackingError(
                f"the MLflow experiment '{name}' is deleted",
                hint=f"restore it: {restore_command(self._uri, str(experiment.experiment_id))}",
            )
        return str(experiment.experiment_id)

    def _connected(self) -> Any:
        if self._client is None:
            self._client = open_client(self._uri)
        return self._client

    def _log_picture(self, run_id: str, picture: bytes) -> None:
        keep_files(self._client, self._ask, run_id, {PICTURE_NAME: picture}, None)

    def _ask(self, call: Callable[[], T]) -> T:
        """Calls MLflow; whatever it raises becomes one of two errors of ours."""
        try:
            return call()
        except TrackingError:
            raise
        except MlflowException as error:
            if is_web_page(error):
                raise no_mlflow(self._uri) from error
            what = f"MLflow at {self._shown}: {short(error)}"
            if error.error_code in _FINAL:
                raise RefusedError(what) from error
            raise TrackingError(what, hint=what_to_do(self._uri, error)) from error
        except Exception as error:
            # Databases, disks and object stores raise their own kinds through MLflow; none may reach the training.
            what = f"MLflow at {self._shown}: {type(error).__name__}: {short(error)}"
            raise TrackingError(what, hint=what_to_do(self._uri, error)) from error


def _quoted(key: str) -> str:
    """A key as a tag: quotes have no escape in MLflow's filters."""
    return quote(key, safe="/ ")


def _experiment_tags(name: str) -> dict[str, str]:
    """A description, saved views, and the kind: without it the page opens as one for language models."""
    described = {NOTE_TAG: experiment_note(name), "mlflow.experimentKind": "custom_model_development"}
    return described | view_tags(int(time.time() * 1000))


def _batches(items: list[T]) -> Iterator[list[T]]:
    rest = iter(items)
    while part := list(islice(rest, _BATCH)):
        yield part
