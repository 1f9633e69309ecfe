"""Opens a detector that lies outside of a zoo: a folder, or the single file that `kdzoo zoo pack` makes of one."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from kdzoo.carried.folder import Carried, look_at
from kdzoo.carried.packing import unpack
from kdzoo.detector_files import TEACHER_FILE, WEIGHTS_FILE
from kdzoo.errors import StorageError
from kdzoo.settings import Settings
from kdzoo.trust import require_carried_signature

if TYPE_CHECKING:
    import torch

    from kdzoo.detector import Detector


def open_detector(path: str | Path, *, device: str | torch.device | None = None) -> Detector:
    """Opens a detector's folder, or a file that `kdzoo zoo pack` made.

    Weights and teacher must be those that the document names by their digests, and the document that of the manifest
    beside it, where there is one. With ``KDZOO_REQUIRE_SIGNATURE`` there must be one, signed by a trusted key.

    Args:
        path: of the folder or file.
        device: where to predict; default a GPU if there is one.

    Raises:
        StorageError: there is no detector.
        CheckpointError, ManifestInvalidError: something in it is damaged, or of another release.
        SignatureError: a signature is required, and none of a trusted key holds.
        UsageError: there is no such device here.
    """
    path = Path(path)
    if not path.is_file():
        return _open(path, path, device)
    try:
        # Not beside it: a stick may be full, or allow no writing.
        with tempfile.TemporaryDirectory(prefix="kdzoo-packed-") as scratch:
            unpack(path, Path(scratch))
            return _open(Path(scratch), path, device)
    except StorageError:
        raise
    except OSError as error:
        raise StorageError(
            f"cannot unpack '{path}': {error.strerror or error}", hint="set TMPDIR to a folder with more room"
        ) from error


def look_and_check(folder: Path, shown: Path) -> Carried:
    """Looks at a folder, and sees to it that who must vouch for it does.

    Args:
        folder: of a detector.
        shown: what a person knows it by.

    Raises:
        StorageError, CheckpointError, ManifestInvalidError, SignatureError: as `open_detector`.
    """
    carried = look_at(folder)
    settings = Settings.from_environment()
    require_carried_signature(settings, carried.manifest, carried.signatures, where=shown)
    return carried


def _open(folder: Path, shown: Path, device: str | torch.device | None) -> Detector:
    from kdzoo.detector import Detector
    from kdzoo.training.without_init import WithoutRandomInit

    carried = look_and_check(folder, shown)
    with WithoutRandomInit():
        return Detector.from_files(carried.document, folder / WEIGHTS_FILE, folder / TEACHER_FILE, device=device)
