"""A reference to a release: all that MLflow's model registry holds of it. The weights stay in the zoo."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass
from typing import Final

from kdzoo.errors import TrackingError

MODEL_FOLDER: Final = "release"
"""Artifact folder of a category's run that a model version's source names."""
REFERENCE_FILE: Final = "reference.json"
LOADER_MODULE: Final = "kdzoo.pyfunc"
"""What `mlflow.pyfunc` hands the reference to."""
MAX_BYTES: Final = 16_384

_SCHEMA: Final = "kdzoo-reference/1"
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_ID: Final = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, kw_only=True)
class ReleaseRef:
    """Which release, where, and the digest that its manifest must have.

    Attributes:
        zoo: the zoo's address, without credentials.
        entry: ``method/dataset/category``.
        release: its number, 1 or more.
        manifest_sha256: of the manifest's bytes, which name every blob's digest.
        zoo_id: the id of the zoo, which tells it from another at the same address of another server; empty where it is
            not known. No part of the file: an older version reads what it wrote itself.
    """

    zoo: str
    entry: str
    release: int
    manifest_sha256: str
    zoo_id: str = ""

    @property
    def model_name(self) -> str:
        """The registered model, one an entry; of a zoo that was not the first to be shown `ModelNames` knows it."""
        return model_name(self.entry)

    def to_bytes(self) -> bytes:
        """The file."""
        fields = asdict(self)
        del fields["zoo_id"]
        return json.dumps({"schema": _SCHEMA, **fields}, indent=2).encode() + b"\n"

    @classmethod
    def parse(cls, data: bytes) -> ReleaseRef:
        """Reads the file, strictly: whoever may write to MLflow may have written it.

        Raises:
            TrackingError: it is no such file.
        """
        try:
            if len(data) > MAX_BYTES:
                raise ValueError("it is too large")
            fields = json.loads(data)
            if not isinstance(fields, dict) or fields.pop("schema", None) != _SCHEMA:
                raise ValueError(f"its schema is not {_SCHEMA}")
            if "zoo_id" in fields:
                raise ValueError("it has a field that it must not have")
            ref = cls(**fields)
            texts = (ref.zoo, ref.entry, ref.manifest_sha256)
            if not all(isinstance(text, str) for text in texts) or type(ref.release) is not int or ref.release < 1:
                raise ValueError("a field is of the wrong kind")
            if not _SHA256.fullmatch(ref.manifest_sha256):
                raise ValueError("its digest is no sha256")
        except (ValueError, TypeError, RecursionError) as error:
            raise TrackingError(f"this is no reference to a release of a zoo: {error}") from error
        return ref


def model_name(entry: str, zoo: str = "") -> str:
    """The registered model of an entry ``method/dataset/category``; MLflow allows no slash there.

    Args:
        entry: the entry.
        zoo: the id of a zoo, or its address where it has no id, for the name that is this zoo's alone.
    """
    # A dot may stand within a part and a tilde may not, so no two entries share a name.
    plain = "kdzoo." + ".".join(part.replace(".", "~") for part in entry.split("/"))
    return f"{plain}.{zoo_mark(zoo)}" if zoo else plain


def zoo_mark(zoo: str) -> str:
    """Twelve hexadecimal digits for a zoo, of its id or of its address."""
    return zoo[:12] if _ID.fullmatch(zoo) else hashlib.sha256(zoo.encode()).hexdigest()[:12]
