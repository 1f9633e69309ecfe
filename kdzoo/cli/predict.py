"""`kdzoo predict`: files in, decisions and heatmaps out."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, TextIO

import click

from kdzoo.cli.image_files import HEATMAPS, KINDS, TABLE, NamedImage, named_images
from kdzoo.cli.options import device_option, tile_options, zoo_option
from kdzoo.cli.say import say, tell
from kdzoo.cli.source import load_source, region_options, set_tiles, source_options
from kdzoo.storage import growing_text

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from kdzoo.data.depth import Intensity
    from kdzoo.detector import Detector
    from kdzoo.prediction import Prediction

_LARGEST = ("left", "top", "right", "bottom", "area", "share", "peak")
_COLUMNS = ("file", "score", "threshold", "anomalous", "heatmap", "regions", *_LARGEST)
_BATCH = 16
_LONGEST = 80
"""Bytes of a part of a picture's name; disks take 255, a number, a suffix and a name beside it included."""


@click.command()
@click.argument("words", nargs=-1, metavar="[METHOD] DATASET/CATEGORY FILES...", required=True)
@click.option(
    "--out", "-o", required=True, type=click.Path(path_type=Path, file_okay=False), help="Folder for the results."
)
@click.option("--format", "kind", type=click.Choice(KINDS), default="csv", show_default=True, help="Of the table.")
@click.option("--heatmaps/--no-heatmaps", default=True, show_default=True, help="Write a picture for each image.")
@click.option("--skip-unreadable", is_flag=True, help="Leave unreadable images out instead of stopping.")
@region_options
@tile_options
@source_options
@zoo_option
@device_option
def predict(
    words: tuple[str, ...], out: Path, kind: str, heatmaps: bool, skip_unreadable: bool, folder: Path | None,
    zoo: str | None, release: int | None, digest: str | None, alias: str, device: str | None, threshold: float | None,
    false_positive_rate: float | None, min_area: int, border: int, roi: Path | None,
    tile: int | None, overlap: int | None, scale: float | None,
) -> None:  # fmt: skip
    """Judge FILES (images, or folders of them) with a detector: a table and a heatmap for each.

    The table says how many regions are marked in an image, and where the largest is and how large, in the image's own
    pixels; as JSON lines it has all of them.

    \b
    Examples:
      kdzoo predict demo/weave photos/ --out judged
      kdzoo predict aand demo/weave photos/ --out judged
      kdzoo predict aand demo/weave photos/ --out judged --min-area 40 --border 8
      kdzoo predict --from ~/.kdzoo/runs/rd-lid photos/*.jpg --out judged --format jsonl
      kdzoo predict aand demo/weave photos/ --out judged --tile 128
    """
    method, name, files = _parted(words, folder)
    images = named_images(files)
    detector = load_source(
        method, name, folder=folder, zoo=zoo, release=release, digest=digest, alias=alias, device=device,
        threshold=threshold, false_positive_rate=false_positive_rate,
    )  # fmt: skip
    detector.set_regions(min_area=min_area, border=border)
    if roi is not None:
        detector.set_roi(roi)
    set_tiles(detector, tile, overlap, scale)
    table = out / f"{TABLE}.{kind}"
    pictures = _picture_names(images) if heatmaps else []
    judged, alarms, skipped = 0, 0, 0
    with growing_text(table) as stream, _bar(len(images)) as bar:
        writer = _Table(stream, kind)
        for index, prediction in _judged(detector, [image.path for image in images], skip_unreadable):
            bar.update(1)
            if prediction is None:
                skipped += 1
                continue
            picture = _heatmap(prediction, out / HEATMAPS, pictures[index]) if heatmaps else None
            writer.write(images[index].path, prediction, picture)
            judged, alarms = judged + 1, alarms + prediction.anomalous
    if not judged:
        from kdzoo.errors import ImageError

        raise ImageError(f"none of {len(images)} images could be read")
    left_out = f", {skipped} unreadable left out" if skipped else ""
    say(f"{alarms} of {judged} images are anomalous{left_out}; see {table}")


def _judged(
    detector: Detector, paths: Sequence[Path], skip_unreadable: bool
) -> Iterator[tuple[int, Prediction | None]]:
    """The place and the prediction of each image, None of an unreadable one that is to be left out."""
    from kdzoo.prediction import in_batches

    unreadable: list[int] = []
    read = _read(paths, detector.intensity, unreadable if skip_unreadable else None)
    for batch in in_batches(read, min(_BATCH, detector.images_at_once), lambda each: int(each[1].nbytes)):
        predictions = detector.predict_rgb([image for _, image in batch])
        yield from ((index, prediction) for (index, _), prediction in zip(batch, predictions, strict=True))
    yield from ((index, None) for index in unreadable)


def _read(
    paths: Sequence[Path], intensity: Intensity | None, unreadable: list[int] | None
) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """Each image that can be read, with its place; the places of others go into a list, where there is one."""
    from kdzoo.errors import ImageError
    from kdzoo.prediction import rgb_of

    for index, path in enumerate(paths):
        try:
            yield index, rgb_of(path, intensity)
        except ImageError as error:
            if unreadable is None:
                raise ImageError(
                    error.message, hint=error.hint or "--skip-unreadable leaves such images out"
                ) from error
            tell(f"Left out: {error}")
            unreadable.append(index)


def _parted(words: tuple[str, ...], folder: Path | None) -> tuple[str | None, str | None, tuple[str, ...]]:
    """Method, ``dataset/category`` and files; without a method the second is None, and the first the category."""
    if folder is not None:
        return None, None, words
    if "/" in words[0]:  # no method's name has one
        return words[0], None, words[1:]
    return words[0], (words[1:2] or (None,))[0], words[2:]


def _picture_names(images: Sequence[NamedImage]) -> list[PurePath]:
    """The name of each image's picture: the image's own, with the sub-folders that it lies in.

    Where that is another one's, or the name of a folder of some, also on a disk that tells no capitals from small
    letters, it keeps its suffix, or is given its number.
    """
    plain = [PurePath(*map(_plain, image.name.parts)) for image in images]
    taken = {_same(parent) for whole in plain for parent in whole.parents}
    names = list[PurePath]()
    for index, whole in enumerate(plain):
        number = count()
        name = whole.with_name(f"{_plain(whole.stem)}.png")
        while _same(name) in taken:
            more = next(number)
            name = whole.with_name(f"{whole.name}.png" if more == 0 else f"{index}-{more - 1 or ''}{whole.name}.png")
        taken.add(_same(name))
        names.append(name)
    return names


def _same(name: PurePath) -> str:
    """A name as a disk takes it that tells no capitals from small letters."""
    return name.as_posix().casefold()


def _plain(part: str) -> str:
    """A part of a path as any disk takes it: of few bytes, the last ones, since numbers stand there."""
    from kdzoo.data.files import printable

    kept = "".join(char if char.isalnum() or char in "._-" else "_" for char in printable(part))
    short = kept.encode()[-_LONGEST:].decode(errors="ignore")
    return short.lstrip(".") or "_"


def _heatmap(prediction: Prediction, folder: Path, name: PurePath) -> Path:
    """Writes the overlay."""
    from kdzoo.pictures import as_png
    from kdzoo.storage import refuse_link, write_file

    target = folder / name
    for place in (folder, *(folder / each for each in reversed(name.parents))):
        refuse_link(place)
    write_file(target, as_png(prediction.overlay()), durable=False)
    return target


class _Table:
    """The table of predictions, a row at a time."""

    def __init__(self, stream: TextIO, kind: str) -> None:
        self._stream, self._kind = stream, kind
        self._writer = csv.writer(stream)
        if kind == "csv":
            self._writer.writerow(_COLUMNS)

    def write(self, path: Path, prediction: Prediction, picture: Path | None) -> None:
        """One row."""
        from kdzoo.data.files import printable

        row = {
            "file": printable(path),
            "score": prediction.score,
            "threshold": prediction.threshold,
            "anomalous": prediction.anomalous,
            "heatmap": str(picture) if picture else "",
        }
        regions = prediction.regions
        if self._kind == "jsonl":
            self._stream.write(json.dumps(row | {"regions": [region.as_dict() for region in regions]}) + "\n")
            return
        largest: list[object] = [""] * len(_LARGEST)
        if regions:
            largest = [*regions[0].box, regions[0].area, regions[0].share, regions[0].peak]
        plain = [int(value) if isinstance(value, bool) else value for value in row.values()]
        self._writer.writerow([*plain, len(regions), *largest])


@contextmanager
def _bar(length: int) -> Iterator[Any]:
    with click.progressbar(length=length, label="Judging", file=sys.stderr) as bar:
        yield bar
