"""Where things are: the only reader of the environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from kdzoo.errors import UsageError

_TRUE = {"1", "true", "yes", "on"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """Places and switches, read once from the environment and handed down."""

    home: Path
    """Holds data, cache, runs, sweeps, the folder zoo and the MLflow file (``KDZOO_HOME``, default ``~/.kdzoo``)."""
    zoo: str
    """The zoo: a folder or ``s3://bucket/prefix`` (``KDZOO_ZOO``, default ``<home>/zoo``)."""
    mlflow_uri: str
    """MLflow tracking URI (``MLFLOW_TRACKING_URI``, default a SQLite file under home)."""
    data: Path
    """Where data sets are looked for by name (``KDZOO_DATA``, default ``<home>/data``)."""
    cache: Path
    """Decoded images, pulled blobs and teacher weights (``KDZOO_CACHE``, default ``<home>/cache``)."""
    ray_address: str | None
    """A Ray cluster to join (``RAY_ADDRESS``); None starts a local one."""
    offline: bool
    """Never reach for the network (``KDZOO_OFFLINE=1``)."""

    @property
    def runs(self) -> Path:
        """Folder of single training runs."""
        return self.home / "runs"

    @property
    def sweeps(self) -> Path:
        """Folder of sweeps: studies, trial checkpoints."""
        return self.home / "sweeps"

    @property
    def mlflow_artifacts(self) -> Path:
        """Folder of artifacts when MLflow runs on the embedded SQLite file."""
        return self.home / "mlflow" / "artifacts"

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None) -> Settings:
        """Reads the environment.

        Args:
            environ: the variables to read; default the process's own.

        Raises:
            UsageError: a folder begins with ``~`` and there is no such home.
        """
        env = os.environ if environ is None else environ

        def value(name: str) -> str | None:
            return (env.get(name) or "").strip() or None

        def folder(name: str, default: str | Path) -> Path:
            text = value(name) or default
            try:
                return Path(text).expanduser().absolute()
            except RuntimeError as error:
                raise UsageError(f"{name}: there is no home folder for '{text}'", hint=f"set {name}") from error

        home = folder("KDZOO_HOME", "~/.kdzoo")
        return cls(
            home=home,
            zoo=value("KDZOO_ZOO") or str(home / "zoo"),
            mlflow_uri=value("MLFLOW_TRACKING_URI") or f"sqlite:///{home / 'mlflow' / 'mlflow.db'}",
            data=folder("KDZOO_DATA", home / "data"),
            cache=folder("KDZOO_CACHE", home / "cache"),
            ray_address=value("RAY_ADDRESS"),
            offline=(value("KDZOO_OFFLINE") or "").lower() in _TRUE,
        )
