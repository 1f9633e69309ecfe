"""`kdzoo data add`: a name for a folder of images, or for a table of them, so that `--dataset NAME` finds it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kdzoo.cli.notes import tell_note, tell_notes
from kdzoo.cli.options import json_option
from kdzoo.cli.say import say_result
from kdzoo.errors import UsageError

if TYPE_CHECKING:
    from kdzoo.settings import Settings


@click.command("add")
@click.argument("name")
@click.argument("path", required=False, metavar="[PATH|TABLE]")
@click.option(
    "--root", metavar="DIR", help="Of a table: the folder that its paths start from; default the table's own."
)
@click.option("--remove", is_flag=True, help="Forget the name; the images are left alone.")
@json_option
def add(name: str, path: str | None, root: str | None, remove: bool, as_json: bool) -> None:
    """Give the folder PATH, or the images of TABLE, the name NAME, for --dataset NAME in every command.

    A folder of your own holds CATEGORY/train/good, and may hold CATEGORY/validation/good, CATEGORY/test/good,
    CATEGORY/test/DEFECT and CATEGORY/ground_truth/DEFECT. A known data set that is already unpacked keeps its own name
    (mvtec, visa, mvtec3d, ksdd2, elpv, dtd). Images are used where they lie.

    A table is CSV or Parquet with the columns path, label and, where wanted, split, mask, category, defect_type; or
    the JSON export of COCO or Label Studio. Run it again when the table has changed.

    \b
    Examples:
      kdzoo data add lids /mnt/line3/lids
      kdzoo data add visa /mnt/public/VisA
      kdzoo data add lids lids.csv --root /mnt/line3/photos
      kdzoo data add lids --remove
    """
    from kdzoo.settings import Settings

    settings = Settings.from_environment()
    if remove:
        given = path if root is None else f"--root {root}"
        if given is not None:
            raise UsageError(
                f"--remove takes no folder, but '{given}' was given", hint=f"kdzoo data add {name} --remove"
            )
        result = _removed(name, settings)
    elif path is None:
        raise UsageError(f"which folder is '{name}'?", hint=f"kdzoo data add {name} PATH")
    elif root is not None or _is_table(path):
        result = _added_table(name, path, root, settings)
    else:
        result = _added(name, path, settings)
    say_result(result, _lines, as_json=as_json)


def _removed(name: str, settings: Settings) -> dict[str, Any]:
    from kdzoo.data.registered import unregister
    from kdzoo.data.tables.take_up import put_away

    folder = unregister(name, settings)
    where = _where(folder)
    put_away(name, settings.tables)
    return {"removed": name, "path": where}


def _added(name: str, path: str, settings: Settings) -> dict[str, Any]:
    """Registers a folder once it is known that it can be read."""
    from kdzoo.data.catalog import absolute_folder
    from zoo_registry.format.names import check_part

    check_part(name, "data set")
    if name == "demo":
        raise UsageError("'demo' is the data set that kdzoo draws itself", hint="choose another name")
    root = absolute_folder(path, hint="give the folder that holds the categories")
    described = _described(name, root)
    _register(name, root, settings)
    return {"name": name, "path": str(root), **described}


def _register(name: str, folder: Path, settings: Settings) -> None:
    """Gives the name, and says what bore it before."""
    from kdzoo.data.registered import register

    before = register(name, folder, settings)
    if before is not None and before != folder:
        tell_note(f"'{name}' was {_where(before)} until now")


def _is_table(path: str) -> bool:
    """Whether a path leads to a file that may be a table; a folder of such a name is a folder."""
    from kdzoo.data.tables.take_up import SUFFIXES

    return Path(path).suffix.lower() in SUFFIXES and not Path(path).expanduser().is_dir()


def _added_table(name: str, path: str, root: str | None, settings: Settings) -> dict[str, Any]:
    """Takes a table up and registers the folder that came of it."""
    from kdzoo.cli.progress import Bar
    from kdzoo.data.catalog import CATALOG, absolute_folder
    from kdzoo.data.tables.take_up import take_up
    from kdzoo.data.texture_sets import TEXTURE_SETS
    from zoo_registry.format.names import check_part

    check_part(name, "data set")
    if name in CATALOG or name in TEXTURE_SETS:
        raise UsageError(f"'{name}' is the name of another data set", hint="choose another name")
    table = _absolute_file(path)
    images = absolute_folder(root or str(table.parent), hint="give the folder that the table's paths start from")
    with Bar("Drawing masks") as bar:
        taken = take_up(name, table, images, settings.tables, bar)
    tell_notes(taken.notes)
    described = _described(name, taken.folder)
    _register(name, taken.folder, settings)
    split = "made" if taken.split_is_made else "given"
    return {"name": name, "path": str(images), "table": str(table), "split": split, **described}


def _absolute_file(path: str) -> Path:
    """The table's file.

    Raises:
        UsageError: there is none, or ``~NAME`` of a user who is not known.
    """
    try:
        file = Path(path).expanduser().absolute()
    except RuntimeError as error:
        raise UsageError(f"there is no home folder for '{path}'", hint="give the whole path") from error
    if not file.is_file():
        what = "is a folder, not a table" if file.is_dir() else "is not there"
        raise UsageError(f"'{file}' {what}", hint="--root goes with a table: a CSV, Parquet or JSON file")
    return file


def _where(folder: Path) -> str:
    """Where the images of a registered folder are, for people: of a table it is not the folder itself."""
    from kdzoo.data.layouts import table
    from kdzoo.errors import DatasetError

    try:
        return str(table.image_folder(folder)) if table.categories(folder) else str(folder)
    except DatasetError:  # it is gone, or damaged: its own name will do
        return str(folder)


def _described(name: str, root: Path) -> dict[str, Any]:
    """What a folder holds; every category is read, so that a folder which cannot be used is refused here."""
    from kdzoo.data.catalog import open_folder
    from kdzoo.data.files import few
    from kdzoo.data.texture_sets import TEXTURE_SETS, texture_images

    if name in TEXTURE_SETS:
        return {"textures": str(texture_images(TEXTURE_SETS[name], root)), "categories": []}
    dataset = open_folder(name, root)
    tell_notes(dataset.notes)
    indexes = {category: dataset.category(category) for category in dataset.categories()}
    tell_notes(dataset.left_out())
    notes = [f"{category}: {note}" for category, index in indexes.items() for note in index.notes]
    tell_notes(few(notes, f"notes; `kdzoo data verify {name}` has all"))
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
    _tell_teacher(dataset.info.default_teacher)
    return {"protocol": dataset.info.default_protocol, "categories": categories}


def _tell_teacher(name: str) -> None:
    """Says where the data set's own teacher has yet to come from the hub, which not every machine reaches."""
    from kdzoo.teachers.hub_cache import cached_weights
    from kdzoo.teachers.names import parse_teacher

    if parse_teacher(name).source == "hub" and name not in {cached.name for cached in cached_weights()}:
        tell_note(
            f"its teacher, {name}, is downloaded from the hub at its first use; where there is no hub: --teacher lite0 "
            f"(`kdzoo doctor --teacher {name}` looks)"
        )


def _lines(result: dict[str, Any]) -> list[str]:
    if "removed" in result:
        return [f"'{result['removed']}' is no longer a data set; {result['path']} was left alone"]
    if "textures" in result:
        return [f"'{result['name']}' is {result['textures']}; use it with --textures {result['name']}"]
    lines = [f"'{result['name']}' is {result['path']}, protocol {result['protocol']} unless asked otherwise"]
    wide = max(len(row["category"]) for row in result["categories"])
    for row in result["categories"]:
        validation = f"{row['validation']} validation, " if row["validation"] else ""
        lines.append(
            f"  {row['category']:{wide}}  {row['train']} train, {validation}{row['test_normal']} normal and "
            f"{row['test_defective']} defective test images, {row['masks']} masks"
        )
    lines.append(f"Next: kdzoo sweep aand --dataset {result['name']}")
    return lines
