"""What timm's hub has left on this machine."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from kdzoo.teachers.weights import HUB_FILE

_REPOSITORY = re.compile(r"models--timm--(?P<name>[^/]+)")
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, kw_only=True, slots=True)
class CachedWeights:
    """Published weights that need no download any more.

    Attributes:
        name: as after ``--teacher``, with the tag of the weights: ``resnet18.a1_in1k``.
        file: the safetensors file.
        size: its bytes.
        sha256: its hex digest as the hub named it, None when it did not.
    """

    name: str
    file: Path
    size: int
    sha256: str | None


def cached_weights() -> list[CachedWeights]:
    """The published weights of timm's backbones in the hub's cache, sorted by name; none where there is no cache."""
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.constants import HF_HUB_CACHE

    found: list[CachedWeights] = []
    folders = sorted(Path(HF_HUB_CACHE).glob("models--timm--*"))
    if not folders:
        return found
    import timm  # and PyTorch with it: seconds, which an empty cache is not worth

    for folder in folders:
        match = _REPOSITORY.fullmatch(folder.name)
        if match is None or not timm.is_model(match["name"].partition(".")[0]):
            continue
        path = try_to_load_from_cache(f"timm/{match['name']}", HUB_FILE)
        if not isinstance(path, str) or not Path(path).is_file():
            continue
        blob = Path(path).resolve()
        digest = blob.name if _DIGEST.fullmatch(blob.name) else None
        found.append(CachedWeights(name=match["name"], file=Path(path), size=blob.stat().st_size, sha256=digest))
    return found
