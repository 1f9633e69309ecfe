"""`kdzoo predict`: files in, decisions and heatmaps out."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from io import StringIO
from itertools import count
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, TextIO

import click

from kdzoo.cli.image_files import HEATMAPS, KINDS, TABLE, NamedImage, named_images
from kdzoo.cli.options import check_free, device_option, tile_options, zoo_option
from kdzoo.cli.say import say, say_json, tell
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
@click.option("--out", "-o", type=click.Path(path_type=Path, file_okay=False), help="Folder for a table and heatmaps.")
@click.option("--overwrite", is_flag=True, help="Replace table and pictures that are in --out.")
@click.option("--format", "kind", type=click.Choice(KINDS), default="csv", show_default=True, help="Of the table.")
@click.option("--heatmaps/--no-heatmaps", default=True, show_default=True, help="Write a picture for each image.")
@click.option("--skip-unreadable", is_flag=True, help="Leave unreadable images out instead of stopping.")
@region_options
@tile_options
@source_options
@zoo_option
@device_option
def predict(
    words: tuple[str, ...], out: Path | None, overwrite: bool, kind: str, heatmaps: bool, skip_unreadable: bool,
    folder: Path | None,
    zoo: str | None, release: int | None, digest: str | None, alias: str, device: str | None, threshold: float | None,
    false_positive_rate: float | None, min_area: int, border: int, roi: Path | None,
    tile: int | None, overlap: int | None, scale: float | None,
) -> None:  # fmt: skip
    """Judge FILES (images, or folders of them) with a detector: score and decision of each, a table and heatmaps.

    Without --out each image's score is a line on stdout, or with --format jsonl all that is known of it. The table says
    how many regions are marked in an image, and where the largest is and how large, in the image's own pixels; as JSON
    lines it has all of them. A heatmap has its scale of colours, score and threshold below it.

    \b
    Examples:
      kdzoo predict demo/weave part.png
      kdzoo predict demo/weave photos/ --out judged
      kdzoo predict aand demo/weave photos/ --out judged
      kdzoo predict aand demo/weave photos/ --out judged --min-area 40 --border 8
      kdzoo predict --from ~/.kdzoo/runs/rd-lid photos/*.jpg --out judged --format jsonl
      kdzoo predict aand demo/weave photos/ --out judged --tile 128
    """
    method, name, files = _parted(words, folder)
    table = None if out is None else out / f"{TABLE}.{kind}"
    check_free(table, overwrite)
    images = named_images(files)
    pictures = _picture_names(images) if heatmaps and out is not None else None
    if out is not None:
        for picture in pictures or ():
            check_free(out / HEATMAPS / picture, overwrite)
    detector = load_source(
        method, name, folder=folder, zoo=zoo, release=release, digest=digest, alias=alias, device=device,
        threshold=threshold, false_positive_rate=false_positive_rate,
    )  # fmt: skip
    detector.set_regions(min_area=min_area, border=border)
    if roi is not None:
        detector.set_roi(roi)
    set_tiles(detector, tile, overlap, scale)
    judged, alarms, skipped = 0, 0, 0
    with _told(table, kind, alone=len(images) == 1) as write, _bar(len(images), shown=table is not None) as bar:
        for index, prediction in _judged(detector, [image.path for image in images], skip_unreadable):
            bar.update(1)
            if prediction is None:
                skipped += 1
                continue
            drawn = None
            if out is not None and pictures is not None:
                drawn = _heatmap(prediction, out / HEATMAPS, pictures[index])
            write(images[index].path, prediction, drawn)
            judged, alarms = judged + 1, alarms + prediction.anomalous
    if not judged:
        from kdzoo.errors import ImageError

        raise ImageError(f"none of {len(images)} images could be read")
    left_out = f", {skipped} unreadable left out" if skipped else ""
    counted = f"{alarms} of {judged} images are anomalous{left_out}"
    if table is not None:
        say(f"{counted}; see {table}")
    elif len(images) > 1:
        tell(counted)


@contextmanager
def _told(table: Path | None, kind: str, *, alone: bool) -> Iterator[Callable[[Path, Prediction, Path | None], None]]:
    """What is called with each prediction: it writes the table, or without one a line on stdout.

    Args:
        table: the file; None for stdout.
        kind: csv or jsonl.
        alone: there is but one image: its score is said beside the table, too.
    """
    from kdzoo.data.files import printable

    def line(path: Path, prediction: Prediction, picture: Path | None) -> None:
        if kind == "jsonl":
            say_json(_row(path, prediction, picture) | {"regions": _regions(prediction)})
        else:
            say(f"{printable(path)}: {prediction.verdict}")

    if table is None:
        yield line
        return
    with growing_text(table) as stream:
        writer = _Table(stream, kind)

        def both(path: Path, prediction: Prediction, picture: Path | None) -> None:
            writer.write(path, prediction, picture)
            if alone:
                say(f"{printable(path)}: {prediction.verdict}")

        yield both


def _row(path: Path, prediction: Prediction, picture: Path | None) -> dict[str, Any]:
    """What is said of an image in every form."""
    from kdzoo.data.files import printable

    return {
        "file": printable(path),
        "score": prediction.score,
        "threshold": prediction.threshold,
        "anomalous": prediction.anomalous,
        "heatmap": str(picture) if picture else "",
    }


def _regions(prediction: Prediction) -> list[dict[str, Any]]:
    return [region.as_dict() for region in prediction.regions]


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
    """Writes the overlay with its legend."""
    from kdzoo.pictures import as_png
    from kdzoo.storage import refuse_link, write_file

    target = folder / name
    for place in (folder, *(folder / each for each in reversed(name.parents))):
        refuse_link(place)
    write_file(target, as_png(prediction.picture()), durable=False)
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
        row, regions = _row(path, prediction, picture), prediction.regions
        if self._kind == "jsonl":
            self._stream.write(json.dumps(row | {"regions": _regions(prediction)}) + "\n")
            return
        largest: list[object] = [""] * len(_LARGEST)
        if regions:
            largest = [*regions[0].box, regions[0].area, regions[0].share, regions[0].peak]
        plain = [int(value) if isinstance(value, bool) else value for value in row.values()]
        self._writer.writerow([*plain, len(regions), *largest])


@contextmanager
def _bar(length: int, *, shown: bool) -> Iterator[Any]:
    """A bar on stderr; lines on stdout need none beside them."""
    with click.progressbar(length=length, label="Judging", file=sys.stderr if shown else StringIO()) as bar:
        yield bar
