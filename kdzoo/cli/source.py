"""Where a command's detector comes from: the zoo, a folder that `kdzoo train` wrote, or a packed one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from kdzoo.cli.notes import tell_note
from kdzoo.cli.options import F, digest_option, existing_folder
from kdzoo.errors import UsageError

if TYPE_CHECKING:
    from kdzoo.detector import Detector


def source_options(command: F) -> F:
    """Options that choose a detector."""
    for option in (
        click.option("--false-positive-rate", type=float, help="Decide by the share of normal images that may alarm."),
        click.option("--threshold", type=float, help="Decide by this score instead of the calibrated one."),
        click.option("--alias", default="champion", show_default=True, help="Which release, by alias."),
        digest_option,
        click.option("--release", type=click.IntRange(1), help="Which release, by number."),
        click.option(
            "--from",
            "folder",
            type=click.Path(path_type=Path),
            help="A detector's folder, or a packed one, in place of METHOD DATASET/CATEGORY.",
        ),
    ):
        command = option(command)
    return command


def region_options(command: F) -> F:
    """Options that say what of a map counts."""
    for option in (
        click.option(
            "--roi", type=click.Path(path_type=Path, exists=True, dir_okay=False), metavar="FILE",
            help="Region of interest, a mask picture or polygons as JSON; default the detector's own.",
        ),
        click.option(
            "--border", type=click.IntRange(0), default=0, help="Pixels along each edge of an image that cannot alarm."
        ),
        click.option(
            "--min-area", type=click.IntRange(0), default=0,
            help="Regions of fewer pixels do not count; without a region an image does not alarm.",
        ),
    ):  # fmt: skip
        command = option(command)
    return command


def set_tiles(detector: Detector, tile: int | None, overlap: int | None, scale: float | None) -> None:
    """Has a detector judge images in tiles, where it is asked to.

    Raises:
        UsageError: a detail of tiles was given and there are none, or tiles that do not fit the detector.
    """
    if tile is None and overlap is None and scale is None:
        return
    before = detector.tiling
    if tile is None and before is None:
        raise UsageError(f"--{'overlap' if overlap is not None else 'scale'} goes with --tile", hint="--tile SIDE")
    detector.set_tiling(tile, overlap=overlap, scale=scale)
    if detector.tiling != before:
        tell_note("the detector was trained and calibrated on other views of its images: its thresholds may not hold")
    if detector.ignores_places:
        tell_note(
            "what is normal for each place of a whole image (level_scale place) says nothing of tiles: the mean over "
            "all places is taken off in its stead"
        )


def load_source(
    method: str | None,
    name: str | None,
    *,
    folder: Path | None,
    zoo: str | None,
    release: int | None,
    digest: str | None,
    alias: str,
    device: str | None,
    threshold: float | None = None,
    false_positive_rate: float | None = None,
) -> Detector:
    """The detector that the options name.

    Raises:
        click.UsageError: neither a folder nor a name was given.
    """
    if folder is not None:
        given = {
            "METHOD": method,
            "--release": release,
            "--digest": digest,
            "--zoo": zoo,
            "--alias": None if alias == "champion" else alias,
        }
        for option, value in given.items():
            if value is not None:
                raise click.UsageError(f"--from names the detector already; leave {option} out")
        from kdzoo.carried.opening import open_detector

        if not folder.is_file():
            existing_folder(folder, "detector folder")
        detector = open_detector(folder, device=device)
        if threshold is not None or false_positive_rate is not None:
            detector.set_threshold(threshold, false_positive_rate=false_positive_rate)
        return detector
    if method is None or (name is None and "/" not in method):
        raise click.UsageError("give METHOD and DATASET/CATEGORY, DATASET/CATEGORY alone, or --from FOLDER")
    from kdzoo.methods.registry import find_method
    from kdzoo.zoo import load

    if name is not None:
        find_method(method).check_installed()
    return load(
        method,
        name,
        zoo=zoo,
        release=release,
        digest=digest,
        alias=alias,
        device=device,
        threshold=threshold,
        false_positive_rate=false_positive_rate,
    )
