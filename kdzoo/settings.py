"""Where things are: the only reader of the environment."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from kdzoo.addresses import sqlite_address
from kdzoo.errors import UsageError

_TRUE = {"1", "true", "yes", "on"}
_ZOO_ID = re.compile(r"[0-9a-f]{32}")
_SIZE = re.compile(r"(\d{1,15}(?:\.\d{1,9})?) ?(?:([kmgt]?)(i?)b?)", re.IGNORECASE)


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
    ray_jobs: str | None = None
    """Where `kdzoo submit` sends jobs (``RAY_API_SERVER_ADDRESS``); None: to the cluster of ``RAY_ADDRESS``."""
    cache_limit: int | None = None
    """The most bytes that decoded images and kept features may take (``KDZOO_CACHE_LIMIT``, such as ``50GB``); None: by
    the disk."""
    offline: bool
    """Never reach for the network (``KDZOO_OFFLINE=1``)."""
    zoo_cache_limit: int | None = None
    """The most bytes that pulled blobs may take (``KDZOO_ZOO_CACHE_LIMIT``, such as ``20GB``); None: no limit."""
    who: str | None = None
    """Who moves an alias, for its log (``KDZOO_WHO``); None: the process's ``user@host``."""
    data_mirror: str | None = None
    """A folder on another server that holds the data sets' archives (``KDZOO_DATA_MIRROR``)."""
    signing_key: Path | None = None
    """Private key that signs what is published (``KDZOO_SIGNING_KEY``); None: nothing is signed."""
    require_signature: Path | None = None
    """Public keys; only releases signed by one of them are loaded (``KDZOO_REQUIRE_SIGNATURE``); None: any is."""
    require_signed_aliases: bool = False
    """With `require_signature`: follow no alias that is not signed (``KDZOO_REQUIRE_SIGNED_ALIASES=1``)."""
    signed_for: tuple[str, ...] = ()
    """Ids of the zoos for which they must be signed (``KDZOO_SIGNED_FOR``, joined by commas); none: the zoo's own."""

    @property
    def runs(self) -> Path:
        """Folder of single training runs."""
        return self.home / "runs"

    @property
    def sweeps(self) -> Path:
        """Folder of sweeps: studies, trial checkpoints."""
        return self.home / "sweeps"

    @property
    def registered_datasets(self) -> Path:
        """File of the folders that `kdzoo data add` gave a name."""
        return self.home / "datasets.json"

    @property
    def tables(self) -> Path:
        """Folder of the tables that `kdzoo data add` took up."""
        return self.home / "tables"

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

        def file(name: str) -> Path | None:
            return None if value(name) is None else folder(name, "")

        home = folder("KDZOO_HOME", "~/.kdzoo")
        signed_aliases = (value("KDZOO_REQUIRE_SIGNED_ALIASES") or "").lower() in _TRUE
        if signed_aliases and file("KDZOO_REQUIRE_SIGNATURE") is None:
            raise UsageError(
                "KDZOO_REQUIRE_SIGNED_ALIASES is set and no keys to check with",
                hint="set KDZOO_REQUIRE_SIGNATURE to a file of public keys, too",
            )
        return cls(
            home=home,
            zoo=value("KDZOO_ZOO") or str(home / "zoo"),
            mlflow_uri=value("MLFLOW_TRACKING_URI") or sqlite_address(home / "mlflow" / "mlflow.db"),
            data=folder("KDZOO_DATA", home / "data"),
            cache=folder("KDZOO_CACHE", home / "cache"),
            ray_address=value("RAY_ADDRESS"),
            ray_jobs=value("RAY_API_SERVER_ADDRESS"),
            cache_limit=_bytes("KDZOO_CACHE_LIMIT", value("KDZOO_CACHE_LIMIT")),
            offline=(value("KDZOO_OFFLINE") or "").lower() in _TRUE,
            zoo_cache_limit=_bytes("KDZOO_ZOO_CACHE_LIMIT", value("KDZOO_ZOO_CACHE_LIMIT")),
            who=value("KDZOO_WHO"),
            data_mirror=value("KDZOO_DATA_MIRROR"),
            signing_key=file("KDZOO_SIGNING_KEY"),
            require_signature=file("KDZOO_REQUIRE_SIGNATURE"),
            require_signed_aliases=signed_aliases,
            signed_for=_ids("KDZOO_SIGNED_FOR", value("KDZOO_SIGNED_FOR")),
        )


def _ids(name: str, text: str | None) -> tuple[str, ...]:
    found = tuple(part.strip() for part in (text or "").split(",") if part.strip())
    for one in found:
        if not _ZOO_ID.fullmatch(one):
            raise UsageError(f"{name}: '{one}' is not the id of a zoo", hint="kdzoo zoo verify says which zoo it is")
    return found


def sendable(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """The variables that may go along with a job to a cluster, with their values.

    Only those that mean the same on every machine and open nothing. Paths, keys and credentials are not among them: the
    cluster has its own.

    Args:
        environ: the variables to read; default the process's own.
    """
    env = os.environ if environ is None else environ
    names = ("KDZOO_ZOO", "MLFLOW_TRACKING_URI", "KDZOO_WHO", "KDZOO_DATA_MIRROR", "KDZOO_OFFLINE")
    return {name: text for name in names if (text := (env.get(name) or "").strip())}


def signing_passphrase(environ: Mapping[str, str] | None = None) -> str | None:
    """What opens the private key if it is encrypted (``KDZOO_SIGNING_PASSPHRASE``).

    No field of `Settings`: these are shown in messages and handed to other processes.

    Args:
        environ: the variables to read; default the process's own.
    """
    return (os.environ if environ is None else environ).get("KDZOO_SIGNING_PASSPHRASE") or None


def _bytes(name: str, text: str | None) -> int | None:
    """A size such as ``50GB`` (10^9 bytes each), ``1.5TiB`` or plain bytes.

    Raises:
        UsageError: it is none.
    """
    if text is None:
        return None
    match = _SIZE.fullmatch(text)
    if match is None:
        raise UsageError(f"{name}: '{text}' is not a size", hint=f"for example {name}=50GB")
    amount, letter, binary = match.groups()
    return int(float(amount) * (1024 if binary else 1000) ** " kmgt".index(letter.lower() or " "))
