"""The cache of what comes from zoos, where the settings have it; for those who can write to none, a scratch folder."""

from __future__ import annotations

import logging
import shutil
import tempfile
import weakref
from collections.abc import Callable
from pathlib import Path

from kdzoo.settings import Settings
from zoo_registry import BlobCache

_log = logging.getLogger(__name__)


def open_cache(settings: Settings, *, warn: Callable[[str], None] | None = None) -> BlobCache:
    """The cache of what comes from zoos.

    A user without a home, or with a home that may only be read, still loads from a zoo: what is loaded is then kept in
    a scratch folder, which goes with the process.

    Args:
        settings: where the cache is, and how much it may hold.
        warn: told where blobs are kept instead, and why; default the log.
    """
    folder = settings.cache / "zoo"
    owner: list[weakref.ref[BlobCache]] = []

    def spare(reason: str) -> Path:
        scratch = Path(tempfile.mkdtemp(prefix="kdzoo-cache-"))
        if (cache := owner[0]()) is not None:
            weakref.finalize(cache, shutil.rmtree, scratch, ignore_errors=True)
        (warn or _log.warning)(
            f"the cache {folder} cannot be written ({reason}): what is loaded is kept in {scratch} until this process "
            "ends. KDZOO_CACHE (or KDZOO_HOME) names a folder that lasts"
        )
        return scratch

    cache = BlobCache(folder, limit=settings.zoo_cache_limit, spare=spare)
    owner.append(weakref.ref(cache))
    return cache
