"""`kdzoo data show`: a contact sheet of a data set's images, with their masks or the estimated foreground outlined."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kdzoo.cli.datasets import open_dataset_with_progress
from kdzoo.cli.options import foreground_rule, json_option
from kdzoo.cli.progress import Bar
from kdzoo.cli.say import say_result
from kdzoo.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from kdzoo.data.catalog import Dataset
    from kdzoo.data.foreground.rule import ForegroundRule
    from kdzoo.data.samples import CategoryIndex, Sample
    from kdzoo.pictures import Cell

_SIDE = 160
_VOTERS = 64


@click.command()
@click.argument("name", metavar="NAME|PATH")
@click.option("--category", "-c", metavar="NAME", help="Only this one; default a few images of each.")
@click.option("--out", "-o", required=True, type=click.Path(path_type=Path, dir_okay=False), help="The PNG to write.")
@click.option("--foreground", is_flag=True, help="Outline where the product is, as training would see it.")
@click.option("--rule", metavar="RULE", help="With --foreground: auto, whole, light, dark or masks:FOLDER.")
@click.option(
    "--foreground-masks", type=click.Path(path_type=Path), metavar="FOLDER", help="Short for --rule masks:FOLDER."
)
@click.option("--count", type=click.IntRange(1, 64), default=4, show_default=True, help="Images a kind and category.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of which images are shown.")
@click.option("--image-size", type=click.IntRange(32, 2048), help="Side of the images; default the data set's.")
@json_option
def show(
    name: str, category: str | None, out: Path, foreground: bool, rule: str | None, foreground_masks: Path | None,
    count: int, seed: int, image_size: int | None, as_json: bool,
) -> None:  # fmt: skip
    """Draw normal and defective images of the data set NAME on one sheet, with the defects outlined.

    With --foreground the train images are drawn, each beside itself with the product's outline: it is where synthetic
    anomalies are planted.

    \b
    Examples:
      kdzoo data show demo --out demo.png
      kdzoo data show mvtec -c bottle -o bottle.png --count 8
      kdzoo data show ./my-parts -c lid --foreground --rule light -o lid.png
    """
    from kdzoo.pictures import as_png, contact_sheet
    from kdzoo.settings import Settings

    if not foreground and (rule is not None or foreground_masks is not None):
        raise UsageError("--rule and --foreground-masks say how to find the foreground: add --foreground")
    chosen = foreground_rule(rule, foreground_masks)
    opened = open_dataset_with_progress(name, Settings.from_environment())
    indexes = _indexes(opened, category)
    size = image_size or opened.info.default_image_size
    cells: list[Cell] = []
    shares: dict[str, float] = {}
    with Bar("Reading images") as bar:
        for done, index in enumerate(indexes, 1):
            if foreground:
                drawn, shares[index.category] = _foreground_cells(index, chosen, count, seed, size)
            else:
                drawn = _defect_cells(index, count, seed, size)
            cells += drawn
            bar(done, len(indexes))
    what = f"foreground, rule {chosen.label if chosen else 'auto'}" if foreground else "masks outlined"
    page = contact_sheet(f"{indexes[0].name if category else opened.name}: {what}", cells, across=2, side=_SIDE)
    _write(out, as_png(page))
    result = {
        "sheet": str(out),
        "dataset": opened.name,
        "categories": [index.category for index in indexes],
        "images": len(cells),
        "foreground": {key: round(share, 4) for key, share in shares.items()} if foreground else None,
    }
    say_result(result, _lines, as_json=as_json)


def _write(path: Path, data: bytes) -> None:
    """Writes the sheet whole or not at all."""
    # Not by way of the checkpoints, which would load torch for a picture.
    from zoo_registry.store.files import storage_errors, temporary, write_synced

    with storage_errors("write", path), temporary(path.absolute().parent) as unfinished:
        write_synced(unfinished, data)
        unfinished.replace(path)


def _indexes(opened: Dataset, category: str | None) -> list[CategoryIndex]:
    return [opened.category(each) for each in ([category] if category is not None else opened.categories())]


def _drawn(samples: Sequence[Sample], count: int, seed: int) -> list[Sample]:
    """Some of the samples, by the seed, in order."""
    import numpy as np

    places = np.random.default_rng(seed).choice(len(samples), min(count, len(samples)), replace=False)
    return [samples[place] for place in sorted(places)]


def _defect_cells(index: CategoryIndex, count: int, seed: int, size: int) -> list[Cell]:
    """Normal images, then images of each defect type in turn, with their masks outlined."""
    from PIL import Image

    from kdzoo.data.images import read_rgb
    from kdzoo.data.mask_files import read_mask
    from kdzoo.pictures import Cell, marked

    normal = [sample for sample in index.samples if not sample.label]
    cells = []
    for sample in [*_drawn(normal, count, seed), *_of_each_type(index, count, seed)]:
        image = read_rgb(sample.path, size)
        pictures = [Image.fromarray(image)]
        note = "normal"
        if sample.label and sample.mask_path is None:
            note = f"{sample.defect_type}, no mask"
        elif sample.label and sample.mask_path is not None:
            mask = read_mask(sample.mask_path, size, image_path=sample.path)
            note = f"{sample.defect_type}, {mask.mean():.2%} of the image"
            pictures.append(marked(image, mask))
        cells.append(Cell(name=f"{index.category}/{sample.id}", note=note, pictures=tuple(pictures)))
    return cells


def _of_each_type(index: CategoryIndex, count: int, seed: int) -> list[Sample]:
    """Defective images: one of each defect type, then a second of each, until there are enough."""
    types: dict[str, list[Sample]] = {}
    for sample in index.samples:
        if sample.label:
            types.setdefault(sample.defect_type, []).append(sample)
    rows = [_drawn(samples, count, seed) for samples in types.values()]
    turns = [row[turn] for turn in range(count) for row in rows if turn < len(row)]
    return sorted(turns[:count], key=lambda sample: sample.id)


def _foreground_cells(
    index: CategoryIndex, rule: ForegroundRule | None, count: int, seed: int, size: int
) -> tuple[list[Cell], float]:
    """Train images beside themselves with the product outlined, and the product's mean share of the image."""
    import numpy as np
    from PIL import Image

    from kdzoo.data.images import read_rgb
    from kdzoo.errors import DatasetError
    from kdzoo.pictures import Cell, marked

    train = [sample for sample in index.of_split("train") if not sample.label]
    if not train:
        raise DatasetError(f"'{index.name}' has no normal train images", hint="put some in train/good")
    shown = _drawn(train, count, seed)
    images = np.stack([read_rgb(sample.path, size) for sample in shown])
    masks = _masks(index, rule, shown, images, train)
    cells = [
        Cell(
            name=f"{index.category}/{sample.id}",
            note="the whole image" if mask.all() else f"product on {mask.mean():.1%}",
            pictures=(Image.fromarray(image), marked(image, mask)),
        )
        for sample, image, mask in zip(shown, images, masks, strict=True)
    ]
    return cells, float(masks.mean())


def _masks(
    index: CategoryIndex,
    rule: ForegroundRule | None,
    shown: list[Sample],
    images: NDArray[np.uint8],
    train: list[Sample],
) -> NDArray[np.bool_]:
    """The foreground of the images shown; under ``auto`` as many of the category vote as in training."""
    import numpy as np

    from kdzoo.data.foreground.estimate import find_foreground
    from kdzoo.data.foreground.masks import read_foreground_masks
    from kdzoo.data.foreground.rule import ForegroundRule
    from kdzoo.data.images import read_rgb

    chosen = rule or ForegroundRule(kind="auto")
    size = images.shape[1]
    if chosen.folder is not None:
        return read_foreground_masks(chosen.folder, shown, size=size, names=(index.category, index.root.name))
    if chosen.kind != "auto":
        return find_foreground(images, chosen)
    places = np.unique(np.linspace(0, len(train) - 1, min(len(train), _VOTERS)).round().astype(int))
    return find_foreground(
        images, chosen, of_category=np.stack([read_rgb(train[place].path, size) for place in places])
    )


def _lines(result: dict[str, Any]) -> list[str]:
    lines = [f"{result['images']} images of {', '.join(result['categories'])}: {result['sheet']}"]
    for category, share in (result["foreground"] or {}).items():
        found = "the whole image" if share == 1 else f"{share:.1%} of the image"
        lines.append(f"  {category}: the product is {found}")
    return lines
