"""`kdzoo data add`: a name for a folder of images, so that `--dataset NAME` finds it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kdzoo.cli.notes import tell_note, tell_notes
from kdzoo.cli.options import json_option
from kdzoo.errors import UsageError

if TYPE_CHECKING:
    from kdzoo.settings import Settings


@click.command("add")
@click.argument("name")
@click.argument("path", required=False)
@click.option("--remove", is_flag=True, help="Forget the name; the folder is left alone.")
@json_option
def add(name: str, path: str | None, remove: bool, as_json: bool) -> None:
    """Give the folder PATH the name NAME, for --dataset NAME in every command.

    A folder of your own holds CATEGORY/train/good, and may hold CATEGORY/validation/good, CATEGORY/test/good,
    CATEGORY/test/DEFECT and CATEGORY/ground_truth/DEFECT. A known data set that is already unpacked keeps its own name
    (mvtec, visa, mvtec3d, ksdd2, elpv, dtd). Images are used where they lie.

    \b
    Examples:
      kdzoo data add lids /mnt/line3/lids
      kdzoo data add visa /mnt/public/VisA
      kdzoo data add lids --remove
    """
    from kdzoo.settings import Settings

    settings = Settings.from_environment()
    if remove:
        if path is not None:
            raise UsageError(
                f"--remove takes no folder, but '{path}' was given", hint=f"kdzoo data add {name} --remove"
            )
        result = _removed(name, settings)
    elif path is None:
        raise UsageError(f"which folder is '{name}'?", hint=f"kdzoo data add {name} PATH")
    else:
        result = _added(name, path, settings)
    click.echo(json.dumps(result) if as_json else _text(result))


def _removed(name: str, settings: Settings) -> dict[str, Any]:
    from kdzoo.data.registered import unregister

    return {"removed": name, "path": str(unregister(name, settings))}


def _added(name: str, path: str, settings: Settings) -> dict[str, Any]:
    """Registers a folder once it is known that it can be read."""
    from kdzoo.data.catalog import absolute_folder
    from kdzoo.data.registered import register
    from zoo_registry.format.names import check_part

    check_part(name, "data set")
    if name == "demo":
        raise UsageError("'demo' is the data set that kdzoo draws itself", hint="choose another name")
    root = absolute_folder(path, hint="give the folder that holds the categories")
    described = _described(name, root)
    before = register(name, root, settings)
    if before is not None and before != root:
        tell_note(f"'{name}' was {before} until now")
    return {"name": name, "path": str(root), **described}


def _described(name: str, root: Path) -> dict[str, Any]:
    """What a folder holds; every category is read, so that a folder which cannot be used is refused here."""
    from kdzoo.data.catalog import open_folder
    from kdzoo.data.texture_sets import TEXTURE_SETS, texture_images

    if name in TEXTURE_SETS:
        return {"textures": str(texture_images(TEXTURE_SETS[name], root)), "categories": []}
    dataset = open_folder(name, root)
    tell_notes(dataset.notes)
    indexes = {category: dataset.category(category) for category in dataset.categories()}
    categories = [
        {
            "category": category,
            "train": index.count("train"),
            "validation": index.count("validation"),
            "test_normal": index.count("test", 0),
            "test_defective": index.count("test", 1),
            "masks": sum(sample.mask_path is not None for sample in index.samples),
        }
        for category, index in indexes.items()
    ]
    missing = dataset.missing()
    if missing:
        tell_note(f"{len(missing)} of its categories are not there: {', '.join(missing)}")
    return {"protocol": dataset.info.default_protocol, "categories": categories}


def _text(result: dict[str, Any]) -> str:
    if "removed" in result:
        return f"'{result['removed']}' is no longer a data set; {result['path']} was left alone"
    if "textures" in result:
        return f"'{result['name']}' is {result['textures']}; use it with --textures {result['name']}"
    lines = [f"'{result['name']}' is {result['path']}, protocol {result['protocol']} unless asked otherwise"]
    wide = max(len(row["category"]) for row in result["categories"])
    for row in result["categories"]:
        validation = f"{row['validation']} validation, " if row["validation"] else ""
        lines.append(
            f"  {row['category']:{wide}}  {row['train']} train, {validation}{row['test_normal']} normal and "
            f"{row['test_defective']} defective test images, {row['masks']} masks"
        )
    lines.append(f"Next: kdzoo sweep aand --dataset {result['name']}")
    return "\n".join(lines)
