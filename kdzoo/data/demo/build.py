"""The demo data set on disk: made whole beside its place, then moved there in one step."""

from __future__ import annotations

import errno
import hashlib
import json
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

from kdzoo.data.demo.render import DEMO_DEFECTS, GENERATOR, render_demo
from kdzoo.data.samples import GOOD
from kdzoo.errors import DatasetError, StorageError
from kdzoo.storage import write_new

MARKER = "demo.json"
"""Name of the file that says which generator made the set, and every file's size."""

_SCRATCH = ".kdzoo-demo-"
_ABANDONED_S = 3600


@dataclass(frozen=True, kw_only=True, slots=True)
class DemoCounts:
    """How many images a category has."""

    train: int = 36
    """Good images to train on."""
    test_good: int = 18
    """Good images to test on."""
    per_defect: int = 6
    """Test images of each defect type."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Job:
    category: str
    split: Literal["train", "test"]
    defect_type: str
    index: int


def ensure_demo(
    root: Path, progress: Callable[[int, int], None] | None = None, *, counts: DemoCounts | None = None
) -> Path:
    """Makes the demo data set unless it is there, in the mvtec layout.

    The set is built in a folder of its own beside ``root`` and renamed when whole, so that no reader ever meets a
    part of it, and processes that start at once each end with a whole one. A set of another generator, of other
    counts, or with files missing or of the wrong size is made again.

    Args:
        root: folder of the set; its categories lie directly below.
        progress: called after each image with how many are done and how many there are.
        counts: images a category; default those of the published set.

    Returns:
        ``root``.

    Raises:
        DatasetError: ``root`` holds something that is not a demo data set; it is left alone.
        StorageError: the folder cannot be written.
    """
    counts = counts or DemoCounts()
    if _is_whole(root, counts):
        return root
    _refuse_foreign(root)
    try:
        root.parent.mkdir(parents=True, exist_ok=True)
        _sweep_abandoned(root.parent)
        scratch = Path(tempfile.mkdtemp(prefix=_SCRATCH, dir=root.parent))
        try:
            built = scratch / "new"
            _build(built, counts, progress)
            _swap_in(built, root, counts, scratch)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    except OSError as error:
        raise StorageError(
            f"cannot write the demo data set to {root}: {error.strerror or error}",
            hint="free some disk space, or set KDZOO_DATA to a folder you may write to",
        ) from error
    return root


def _jobs(counts: DemoCounts) -> Iterator[_Job]:
    for category, defects in DEMO_DEFECTS.items():
        for index in range(counts.train):
            yield _Job(category=category, split="train", defect_type=GOOD, index=index)
        for index in range(counts.test_good):
            yield _Job(category=category, split="test", defect_type=GOOD, index=index)
        for defect in defects:
            for index in range(counts.per_defect):
                yield _Job(category=category, split="test", defect_type=defect, index=index)


def _build(folder: Path, counts: DemoCounts, progress: Callable[[int, int], None] | None) -> None:
    """Draws every image into ``folder``, and writes the marker last."""
    jobs = list(_jobs(counts))
    sizes: dict[str, int] = {}
    pixels = hashlib.sha256()
    for done, job in enumerate(jobs, start=1):
        drawn = render_demo(job.category, job.split, job.defect_type, job.index)
        name = f"{job.category}/{job.split}/{job.defect_type}/{job.index:03d}.png"
        sizes[name] = _save(folder / name, Image.fromarray(drawn.image))
        pixels.update(drawn.image.tobytes())
        if job.defect_type != GOOD:
            name = f"{job.category}/ground_truth/{job.defect_type}/{job.index:03d}_mask.png"
            sizes[name] = _save(folder / name, Image.fromarray(drawn.mask.astype(np.uint8) * 255))
            pixels.update(drawn.mask.tobytes())
        if progress is not None:
            progress(done, len(jobs))
    marker = {**_identity(counts), "pixels_sha256": pixels.hexdigest(), "files": sizes}
    write_new(folder / MARKER, (json.dumps(marker, indent=1) + "\n").encode())


def _save(path: Path, picture: Image.Image) -> int:
    path.parent.mkdir(parents=True, exist_ok=True)
    # The pictures are noisy: more effort than this costs five times the time and saves nothing.
    data = BytesIO()
    picture.save(data, format="PNG", compress_level=6)
    write_new(path, data.getbuffer())
    return data.tell()


def _identity(counts: DemoCounts) -> dict[str, object]:
    return {
        "generator": GENERATOR,
        "counts": {"train": counts.train, "test_good": counts.test_good, "per_defect": counts.per_defect},
    }


def _is_whole(root: Path, counts: DemoCounts) -> bool:
    """Whether ``root`` is a set of this generator and these counts with every file at its full size."""
    try:
        marker = json.loads((root / MARKER).read_text(encoding="utf-8"))
        wanted = _identity(counts)
        if not isinstance(marker, dict) or any(marker.get(key) != value for key, value in wanted.items()):
            return False
        return all((root / name).stat().st_size == size for name, size in dict(marker["files"]).items())
    except (FileNotFoundError, NotADirectoryError, KeyError, TypeError, ValueError):
        # A marker that cannot be understood, or a file that is gone: the set is made again.
        return False
    except OSError as error:
        raise StorageError(f"cannot read the demo data set at {root}: {error.strerror or error}") from error


def _refuse_foreign(root: Path) -> None:
    """Raises unless ``root`` is absent, empty, or a demo data set, which alone may be replaced."""
    if root.is_dir() and ((root / MARKER).is_file() or not any(root.iterdir())):
        return
    if root.exists() or root.is_symlink():
        raise DatasetError(
            f"{root} exists and is not a demo data set (it has no {MARKER})",
            hint="move it away, or set KDZOO_DATA to another folder",
        )


def _swap_in(built: Path, root: Path, counts: DemoCounts, scratch: Path) -> None:
    """Renames ``built`` to ``root``; an older set is moved into ``scratch``, another process's equal one stays."""
    attempt = 0
    while True:
        try:
            built.rename(root)
            return
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
        if _is_whole(root, counts):
            return
        _refuse_foreign(root)
        attempt += 1
        try:
            root.rename(scratch / f"old-{attempt}")
        except FileNotFoundError:
            continue  # another process moved it first; the place may be free now


def _sweep_abandoned(parent: Path) -> None:
    """Removes what processes that were killed an hour ago or more left behind."""
    for folder in parent.glob(f"{_SCRATCH}*"):
        try:
            abandoned = time.time() - folder.stat().st_mtime > _ABANDONED_S
        except FileNotFoundError:
            continue  # its process has just cleaned up
        if abandoned:
            shutil.rmtree(folder, ignore_errors=True)
