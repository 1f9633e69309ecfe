"""Opens a store by its address; the one place that knows every store."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from zoo_registry.errors import NameInvalidError, StoreUnavailableError
from zoo_registry.store.folder import FolderStore
from zoo_registry.store.proof import Proof
from zoo_registry.store.protocol import UpkeepStore


def open_store(uri: str | Path, *, client: Any = None, notes: Path | None = None) -> UpkeepStore:
    """Opens a store by its address; nothing is reached or made yet.

    Args:
        uri: a folder (``~`` is understood), ``file:///folder`` or ``s3://bucket/prefix``.
        client: a boto3 S3 client to use instead of a new one; for S3 alone.
        notes: the folder of a `BlobCache`, in which it is remembered for a day that a server's conditional writes
            work; None tries them in each process that writes.

    Raises:
        NameInvalidError: the address is none of these.
        StoreUnavailableError: boto3 is not installed, and the address is one of S3.
    """
    text = str(uri)
    if "://" not in text:
        if not text:
            raise NameInvalidError("the zoo's address is empty", hint="give a folder or s3://bucket/prefix")
        return FolderStore(Path(text).expanduser())
    parts = urlsplit(text)
    if parts.query or parts.fragment:
        raise NameInvalidError(f"the zoo's address '{text}' has a '?' or '#' in it", hint="give s3://bucket/prefix")
    if parts.scheme == "file" and parts.netloc in ("", "localhost") and parts.path:
        return FolderStore(Path(unquote(parts.path)))
    if parts.scheme == "s3":
        if "@" in text:
            raise NameInvalidError(
                f"the zoo's address '{text}' holds a name or a key, which would be shown and kept with it",
                hint="give s3://bucket/prefix, and the keys in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
            )
        # Here, so that boto3 is loaded by those alone who use S3.
        try:
            from zoo_registry.store.s3.store import S3Store
        except ModuleNotFoundError as error:
            raise StoreUnavailableError(
                f"a zoo on S3 needs '{error.name}', which is not installed", hint="pip install boto3"
            ) from error
        proof = Proof(notes / "proved" if notes is not None else None)
        return S3Store(parts.netloc, parts.path.strip("/"), client=client, proof=proof)
    raise NameInvalidError(
        f"the zoo's address '{text}' is not understood", hint="give a folder, file:///folder or s3://bucket/prefix"
    )
