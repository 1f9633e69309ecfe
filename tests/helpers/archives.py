"""Small archives, good and bad, and what is known of them."""

from __future__ import annotations

import hashlib
import io
import stat
import tarfile
import zipfile
from pathlib import Path
from typing import Any

from kdzoo.data.download.archives import Archive

FILE, FOLDER, SYMLINK, HARDLINK, PIPE, DEVICE = (
    tarfile.REGTYPE,
    tarfile.DIRTYPE,
    tarfile.SYMTYPE,
    tarfile.LNKTYPE,
    tarfile.FIFOTYPE,
    tarfile.CHRTYPE,
)


def tar_bytes(*members: tuple[str, bytes, Any], mode: str = "w") -> bytes:
    """A tar of ``(name, type, content or link target)``."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode=mode) as packed:
        for name, kind, content in members:
            entry = tarfile.TarInfo(name)
            entry.type = kind
            if kind == FILE:
                entry.size = len(content)
                packed.addfile(entry, io.BytesIO(content))
            else:
                entry.linkname = content or ""
                packed.addfile(entry)
    return made.getvalue()


def zip_bytes(*members: tuple[str, int, bytes]) -> bytes:
    """A zip of ``(name, type of file as in a Unix mode or 0, content)``."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, kind, content in members:
            entry = zipfile.ZipInfo(name)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3
            entry.external_attr = (kind | 0o644) << 16 if kind else 0
            packed.writestr(entry, content)
    return made.getvalue()


def good_tar(mode: str = "w", top: str = "") -> bytes:
    """A tiny data set with one category."""
    return tar_bytes(
        (f"{top}bolt/", FOLDER, None),
        (f"{top}bolt/train/good/000.png", FILE, b"one"),
        (f"{top}bolt/train/good/001.png", FILE, b"two"),
        (f"{top}LICENSE-DATASET", FILE, b"Use it well.\n\x1b[31mred"),
        mode=mode,
    )


def make_archive(url: str, content: bytes, packing: str = "tar", **changes: Any) -> Archive:
    """What is known of an archive with this content."""
    known: dict[str, Any] = {
        "name": "parts",
        "title": "Parts",
        "url": url,
        "digest_kind": "sha256",
        "digest": hashlib.sha256(content).hexdigest(),
        "packing": packing,
        "licence": "CC0",
        "homepage": "https://parts.example",
        "holds": ("bolt",),
    }
    return Archive(**(known | changes))


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, by its name from there; asserts that nothing else than files and folders is there."""
    found = {}
    for path in sorted(folder.rglob("*")):
        mode = path.lstat().st_mode
        assert stat.S_ISREG(mode) or stat.S_ISDIR(mode), path
        if path.is_file():
            found[str(path.relative_to(folder))] = path.read_bytes()
    return found


class Recorder:
    """A watcher that remembers."""

    def __init__(self) -> None:
        self.stages: list[tuple[str, int | None]] = []
        self.sizes: list[int] = []
        self.notes: list[str] = []

    def stage(self, label: str, total: int | None, done: int = 0) -> None:
        self.sizes.append(done)
        self.stages.append((label, total))

    def done(self, size: int) -> None:
        self.sizes.append(size)

    def note(self, text: str) -> None:
        self.notes.append(text)
