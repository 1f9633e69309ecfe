"""The files of a detector's folder, by name."""

from __future__ import annotations

import hashlib
import re
from typing import Final

DOCUMENT_FILE: Final = "detector.json"
WEIGHTS_FILE: Final = "weights.safetensors"
TEACHER_FILE: Final = "teacher.safetensors"
PICTURE_FILE: Final = "cases.png"
MANIFEST_FILE: Final = "manifest.json"
"""The release's manifest, byte for byte; only in a folder that came out of a zoo."""

_SIGNATURE = re.compile(r"signature-[0-9a-f]{32}\.json")
_NAMES = frozenset({DOCUMENT_FILE, WEIGHTS_FILE, TEACHER_FILE, PICTURE_FILE, MANIFEST_FILE})


def signature_file(data: bytes) -> str:
    """The name of a signature of the manifest: by its bytes, since a key may have signed for several zoos."""
    return f"signature-{hashlib.sha256(data).hexdigest()[:32]}.json"


def is_signature(name: str) -> bool:
    """Whether a file of this name holds a signature."""
    return _SIGNATURE.fullmatch(name) is not None


class _Members:
    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and (name in _NAMES or is_signature(name))


MEMBERS: Final = _Members()
"""All names that a detector's folder may hold."""
