"""`kdzoo teacher pretrain`: a teacher from images made by formula."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kdzoo.cli.options import device_option, json_option, parse_changes
from kdzoo.cli.say import say, say_json, tell

if TYPE_CHECKING:
    from kdzoo.pretraining.recipe import PretrainConfig
    from kdzoo.pretraining.run import Progress

_LINE_SECONDS = 15


@click.command()
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), required=True, help="Folder of the run.")
@click.option("--name", default="teacher", show_default=True, help="The teacher's name, and its files'.")
@click.option("--architecture", metavar="NAME", help="A timm backbone; default resnet18.")
@click.option("--steps", type=click.IntRange(1), help="Optimizer steps; default the shipped teacher's.")
@click.option("--seed", type=click.IntRange(0), help="Of the images.")
@click.option("--set", "changes", multiple=True, metavar="KEY=VALUE", help="Another value of the recipe; repeatable.")
@click.option("--preview", type=click.Path(path_type=Path, dir_okay=False), help="Only draw a sheet of its images.")
@device_option
@json_option
def pretrain(
    out: Path, name: str, architecture: str | None, steps: int | None, seed: int | None, changes: tuple[str, ...],
    preview: Path | None, device: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Train a teacher on images made by formula: no photographs, no download.

    The same command goes on where a stopped run was. Without other values it is the recipe of kdzoo-tiny.

    \b
    Examples:
      kdzoo teacher pretrain --out runs/plant --name plant-tiny
      kdzoo teacher pretrain --out runs/wide --architecture resnet50 --steps 100000 --device cuda
      kdzoo teacher pretrain --out runs/plant --preview images.png
      kdzoo teacher add runs/plant/plant-tiny.safetensors --name plant-tiny --architecture resnet18
    """
    from kdzoo.pretraining.recipe import PretrainConfig
    from kdzoo.storage import check_writable
    from zoo_registry.format.names import check_part

    check_part(name, "teacher")
    named = {"architecture": architecture, "steps": steps, "seed": seed}
    values = {**parse_changes(changes), **{key: value for key, value in named.items() if value is not None}}
    config = PretrainConfig.from_mapping(values, where="the recipe")
    if preview is not None:
        _preview(config, preview, device)
        return
    check_writable(out)
    from kdzoo.detector import choose_device
    from kdzoo.pretraining.card import write_teacher
    from kdzoo.pretraining.run import Pretraining

    run = Pretraining(config, out, choose_device(device))
    if run.step:
        tell(f"Going on from step {run.step} of {config.steps}")
    with _View(run.step, config.steps) as view:
        run.run(view.update)
    weights, card = write_teacher(run, name, out)
    if as_json:
        say_json({"weights": str(weights), "card": str(card), **json.loads(card.read_text())})
        return
    say(str(weights))
    command = f"kdzoo teacher add {weights} --name {name} --architecture {config.architecture}"
    tell(f"Use it by name: {command}")


class _View:
    """Steps as a bar where a person looks, else as lines."""

    def __init__(self, done: int, steps: int) -> None:
        self._bar: Any = None
        self._done, self._told = done, 0
        if sys.stderr.isatty():
            self._bar = click.progressbar(
                length=steps, label="Training the teacher", file=sys.stderr, item_show_func=lambda text: text or ""
            )

    def __enter__(self) -> _View:
        if self._bar is not None:
            self._bar.__enter__()
            self._bar.update(self._done)
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.__exit__(None, None, None)

    def update(self, progress: Progress) -> None:
        losses = progress.losses
        text = f"contrast {losses['contrast']:.2f}, defects {losses['defect']:.2f}, found {losses['found']:.0%}"
        if self._bar is not None:
            self._bar.update(progress.step - self._done, text)
        elif progress.step == progress.steps or progress.seconds - self._told >= _LINE_SECONDS:
            tell(f"step {progress.step}/{progress.steps}: {text}, {progress.seconds:.0f} s")
            self._told = int(progress.seconds)
        self._done = progress.step


def _preview(config: PretrainConfig, path: Path, device: str | None) -> None:
    """A sheet of the first images of the recipe, with what is planted in them outlined beside each."""
    from PIL import Image

    from kdzoo.detector import choose_device
    from kdzoo.pictures import Cell, as_png, contact_sheet, marked
    from kdzoo.pretraining.defects import DEFECTS
    from kdzoo.pretraining.scenes import SceneMaker
    from kdzoo.storage import write_file

    scenes = SceneMaker(config, choose_device(device)).batch(0)
    images = (scenes.images * 255).byte().permute(0, 2, 3, 1).cpu().numpy()
    cells = []
    for number, (image, defects) in enumerate(zip(images, scenes.defects.cpu().numpy(), strict=True)):
        kinds = sorted({DEFECTS[kind] for kind in defects.flat} - {"none"})
        pictures = (Image.fromarray(image), marked(image, defects > 0))
        cells.append(Cell(name=f"image {number}", note=", ".join(kinds) or "none", pictures=pictures))
    write_file(path, as_png(contact_sheet("Images by formula", cells, across=2, side=128)))
    say(str(path))
