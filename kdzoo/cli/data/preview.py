"""`kdzoo data preview`: a contact sheet of synthetic anomalies on a category's normal images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kdzoo.cli.datasets import open_dataset_with_progress
from kdzoo.cli.options import json_option, parse_changes
from kdzoo.cli.say import say_result

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from kdzoo.data.catalog import Dataset
    from kdzoo.data.synthesis.base import Synthesizer
    from kdzoo.settings import Settings

_SIDE = 160


@click.command()
@click.option("--synthesis", metavar="NAME", default="perlin", show_default=True, help="perlin, nsa or cutpaste.")
@click.option("--dataset", "-d", required=True, metavar="NAME|PATH", help="A data set's name, or a folder.")
@click.option("--category", "-c", required=True, metavar="NAME", help="Whose train images are taken.")
@click.option("--out", "-o", required=True, type=click.Path(path_type=Path, dir_okay=False), help="The PNG to write.")
@click.option("--count", type=click.IntRange(1, 64), default=8, show_default=True, help="How many images.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of images and anomalies.")
@click.option("--image-size", type=click.IntRange(32, 2048), help="Side of the images; default the data set's.")
@click.option(
    "--set", "changes", multiple=True, metavar="KEY=VALUE", help="Change a knob of the synthesis; repeatable."
)
@click.option("--textures", metavar="dtd|FOLDER", help="Photographs to fill anomalies with; default by formula.")
@json_option
def preview(
    synthesis: str, dataset: str, category: str, out: Path, count: int, seed: int, image_size: int | None,
    changes: tuple[str, ...], textures: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Draw images of a category as they are, with synthetic anomalies, and with the anomalies outlined.

    \b
    Examples:
      kdzoo data preview -d demo -c weave -o sheet.png
      kdzoo data preview --synthesis nsa -d demo -c milled -o sheet.png --set patches=1 --seed 3
      kdzoo data preview -d mvtec -c bottle -o sheet.png --textures dtd
    """
    from kdzoo.settings import Settings
    from kdzoo.storage import write_file

    settings = Settings.from_environment()
    synthesizer = _synthesizer(synthesis, changes, textures, settings)
    opened = open_dataset_with_progress(dataset, settings)
    names, images = _normal_images(opened, category, count, seed, image_size or opened.info.default_image_size)
    planted, masks = _planted(synthesizer, images, seed)
    write_file(out, _sheet(f"{synthesis} on {opened.name}/{category}, seed {seed}", names, images, planted, masks))
    shares = [float(mask.mean()) for mask in masks]
    result = {
        "sheet": str(out),
        "synthesis": synthesis,
        "category": f"{opened.name}/{category}",
        "images": len(names),
        "anomalous": sum(share > 0 for share in shares),
        "mask_shares": dict(zip(names, shares, strict=True)),
    }
    text = f"{result['anomalous']} of {result['images']} images have an anomaly: {out}"
    say_result(result, lambda _: [text], as_json=as_json)


def _synthesizer(name: str, changes: tuple[str, ...], textures: str | None, settings: Settings) -> Synthesizer:
    from kdzoo.data.synthesis.registry import build_synthesizer, synthesis_config

    config = synthesis_config(name).from_mapping(parse_changes(changes))
    if textures is None:
        return build_synthesizer(config)
    from kdzoo.data.synthesis.fill import FolderTextures
    from kdzoo.data.texture_sets import find_textures

    # Textures go on mirrored beyond their edges, so that one size serves all images.
    return build_synthesizer(config, FolderTextures(find_textures(textures, settings), 256))


def _normal_images(
    opened: Dataset, category: str, count: int, seed: int, size: int
) -> tuple[list[str], NDArray[np.uint8]]:
    """Ids and pixels, ``[N, S, S, 3]``, of some normal train images, drawn by the seed and in order."""
    import numpy as np

    from kdzoo.data.images import read_rgb
    from kdzoo.errors import DatasetError

    samples = [sample for sample in opened.category(category).of_split("train") if not sample.label]
    if not samples:
        raise DatasetError(f"'{opened.name}/{category}' has no normal train images", hint="put some in train/good")
    drawn = np.random.default_rng(seed).choice(len(samples), min(count, len(samples)), replace=False)
    chosen = [samples[number] for number in sorted(drawn)]
    return [sample.id for sample in chosen], np.stack([read_rgb(sample.path, size) for sample in chosen])


def _planted(
    synthesizer: Synthesizer, images: NDArray[np.uint8], seed: int
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """The images with anomalies, and where those are: ``[N, S, S, 3]`` and ``[N, S, S]``."""
    import torch

    from kdzoo.data.foreground.estimate import estimate_foreground

    foreground = torch.from_numpy(estimate_foreground(images))[:, None]
    batch = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
    made = synthesizer(batch, foreground, torch.Generator().manual_seed(seed))
    pixels = (made.images * 255).round().byte().permute(0, 2, 3, 1).numpy()
    return pixels, made.masks[:, 0].bool().numpy()


def _sheet(title: str, names: list[str], images: Any, planted: Any, masks: Any) -> bytes:
    from PIL import Image

    from kdzoo.pictures import Cell, as_png, contact_sheet, marked

    cells = [
        Cell(
            name=name,
            note=f"anomaly on {mask.mean():.1%}" if mask.any() else "no anomaly",
            pictures=(Image.fromarray(image), Image.fromarray(made), marked(made, mask)),
        )
        for name, image, made, mask in zip(names, images, planted, masks, strict=True)
    ]
    return as_png(contact_sheet(title, cells, across=3, side=_SIDE, columns=2))
