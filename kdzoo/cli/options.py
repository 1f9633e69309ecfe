"""Options that several commands share, and what they add up to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from kdzoo.cli.rates import share
from kdzoo.errors import UsageError

if TYPE_CHECKING:
    from kdzoo.data.catalog import Dataset
    from kdzoo.data.foreground.rule import ForegroundRule
    from kdzoo.settings import Settings
    from kdzoo.training.spec import RunOptions

F = TypeVar("F", bound=Callable[..., Any])


tile_details = (
    click.option("--overlap", type=click.IntRange(0), metavar="PIXELS", help="Of tiles, at least; default 32."),
    click.option(
        "--scale", type=float, metavar="FACTOR", help="Of images before they are cut, such as 0.5; default 1."
    ),
)
"""What goes with ``--tile``."""


def run_options(command: F) -> F:
    """Options that decide how trials run."""
    for option in reversed(
        (
            click.option("--dataset", "-d", required=True, metavar="NAME|PATH", help="A data set's name, or a folder."),
            click.option("--download", is_flag=True, help="Download the data set where it is not there."),
            click.option("--epochs", type=click.IntRange(1), help="Total over the stages, split as published."),
            click.option(
                "--set", "changes", multiple=True, metavar="KEY=VALUE", help="Fix a knob of the method; repeatable."
            ),
            click.option("--image-size", type=int, help="Side of the square input, a multiple of 32."),
            click.option(
                "--resize",
                metavar="stretch|pad|tile",
                help="How images that are not square become so; pad keeps the ratio of their sides; default stretch.",
            ),
            click.option(
                "--tile",
                type=click.IntRange(64),
                metavar="SIDE",
                help="See images at their own resolution, as overlapping tiles of SIDE pixels, such as 256.",
            ),
            *tile_details,
            click.option("--teacher", metavar="NAME[@FILE]", help="A timm backbone, or one of: kdzoo teacher list."),
            click.option("--protocol", metavar="synthetic|holdout|test", help="What selection may look at."),
            click.option(
                "--objective",
                metavar="METRIC",
                default="image_auroc",
                show_default=True,
                help="What selection maximises.",
            ),
            click.option(
                "--split-seed", type=click.IntRange(0), default=0, show_default=True, help="Of the split into parts."
            ),
            click.option(
                "--seed", type=click.IntRange(0), default=0, show_default=True, help="Of weights, batches, anomalies."
            ),
            click.option(
                "--precision",
                metavar="auto|float32|bfloat16",
                help="Of products in training; default auto: float32, as TF32 on a GPU. Measuring is exact.",
            ),
            click.option(
                "--ema",
                type=float,
                metavar="DECAY",
                help="Measure and keep a moving average of the weights, such as 0.99; default 0: none.",
            ),
            click.option(
                "--foreground",
                metavar="RULE",
                help="Where anomalies are planted: auto, whole, light, dark or masks:FOLDER; default the space's.",
            ),
            click.option(
                "--foreground-masks",
                type=click.Path(path_type=Path),
                metavar="FOLDER",
                help="Masks of the product, named as the train images; short for --foreground masks:FOLDER.",
            ),
            click.option(
                "--augment",
                metavar="LIST",
                help="Change train images at random: hflip,vflip,rotate,brightness=0.1,contrast=0.1, or some of it.",
            ),
            click.option(
                "--synthesis",
                metavar="perlin|nsa|cutpaste",
                help="Which kind of anomalies is planted for training; default the method's own.",
            ),
            click.option(
                "--textures",
                metavar="dtd|FOLDER",
                help="Photographs that planted anomalies are filled with; default textures by formula.",
            ),
            click.option(
                "--roi",
                type=click.Path(path_type=Path),
                metavar="FILE|FOLDER",
                help="Region of interest, outside of which nothing counts: a mask picture or polygons as JSON; in a "
                "folder one a category.",
            ),
            click.option(
                "--intensity",
                metavar="LOW,HIGH|auto",
                help="Values of 10 to 16-bit images that are black and white; auto finds the camera's bits; default: "
                "what a file can hold.",
            ),
            click.option(
                "--false-alarms",
                "false_positive_rate",
                type=share,
                metavar="RATE",
                help="Share of normal images that the threshold may let alarm, such as 0.5%; default 1%.",
            ),
            click.option(
                "--calibration-folds",
                type=int,
                metavar="K",
                help="Calibrate on the train images: train K more models, each scores what it has not seen.",
            ),
            click.option("--skip-unreadable", is_flag=True, help="Leave unreadable images out instead of stopping."),
        )
    ):
        command = option(command)
    return command


def tile_options(command: F) -> F:
    """Options that cut images into tiles at prediction."""
    side = click.option(
        "--tile",
        type=click.IntRange(64),
        metavar="SIDE",
        help="Judge images at their own resolution, as tiles of SIDE pixels: the side of the detector's squares; "
        "default as it was trained.",
    )
    for option in reversed((side, *tile_details)):
        command = option(command)
    return command


def json_option(command: F) -> F:
    """``--json``: results for programs on stdout."""
    return click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")(command)


def digest_option(command: F) -> F:
    """``--digest``: a release by the digest of its manifest, alone or beside ``--release``."""
    return click.option(
        "--digest", metavar="sha256:...", help="By the digest of its manifest: no other bytes are taken."
    )(command)


def zoo_option(command: F) -> F:
    """``--zoo``: where the zoo is."""
    return click.option(
        "--zoo", metavar="FOLDER|s3://BUCKET/PREFIX", help="The zoo; default KDZOO_ZOO, else under KDZOO_HOME."
    )(command)


def device_option(command: F) -> F:
    """``--device``: where to compute."""
    return click.option("--device", metavar="cpu|cuda[:N]", help="Default: a GPU if there is one.")(command)


def parse_changes(changes: Sequence[str]) -> dict[str, str]:
    """``key=value`` texts as a mapping.

    Raises:
        UsageError: one is not of that form.
    """
    parsed = {}
    for text in changes:
        key, equals, value = text.partition("=")
        if not equals or not key.strip():
            raise UsageError(f"--set {text!r} is not of the form KEY=VALUE", hint="for example --set hkd_top_k=20")
        parsed[key.strip()] = value.strip()
    return parsed


def foreground_rule(rule: str | None, masks: Path | None) -> ForegroundRule | None:
    """What ``--foreground`` and ``--foreground-masks`` ask for, its folder absolute; None for neither.

    Raises:
        UsageError: both were given, or the rule is none.
        DatasetNotFoundError: there is no such folder.
    """
    from kdzoo.data.foreground.masks import check_mask_folders
    from kdzoo.data.foreground.rule import ForegroundRule

    if masks is not None:
        if rule is not None:
            raise UsageError("--foreground and --foreground-masks both say where the product is", hint="give one")
        rule = f"masks:{masks}"
    if rule is None:
        return None
    found = ForegroundRule.parse(rule, base=Path.cwd())
    if found.folder is not None:
        check_mask_folders(found.folder, ())
    return found


def build_options(dataset: Dataset, given: dict[str, Any], settings: Settings) -> RunOptions:
    """The run's options: what was given, else the data set's defaults.

    Args:
        dataset: the opened data set.
        settings: where textures are.
        given: option to value, None where not given; ``foreground_masks`` is taken as a ``foreground``, and ``tile`` as
            an ``image_size`` and a ``resize``.

    Raises:
        UsageError: an option has no valid value, or two of them disagree.
        ConfigError: the region of interest cannot be used.
        DatasetError: there are no such textures.
    """
    from kdzoo.teachers.names import full_name
    from kdzoo.training.spec import RunOptions

    given = {**given, **_tiles(given)}
    side = given.pop("tile", None)
    given["image_size"] = side if side is not None else given.get("image_size")
    rule = foreground_rule(given.get("foreground"), given.pop("foreground_masks", None))
    given["foreground"] = None if rule is None else str(rule)
    if given.get("textures") is not None:
        from kdzoo.data.texture_sets import choose_textures

        given["textures"] = str(choose_textures(given["textures"], settings))
    if given.get("roi") is not None:
        from kdzoo.data.roi import joined, regions_of

        categories = dataset.categories()
        given["roi"] = joined(regions_of(given["roi"], categories), categories)
    defaults = {
        "teacher": dataset.info.default_teacher,
        "image_size": dataset.info.default_image_size,
        "protocol": dataset.info.default_protocol,
    }
    options = RunOptions.from_mapping(defaults | {key: value for key, value in given.items() if value is not None})
    return options.replace(teacher=full_name(options.teacher))


def _tiles(given: dict[str, Any]) -> dict[str, str]:
    """What ``--tile`` says of how images are brought to the network's size.

    Raises:
        UsageError: another option says otherwise, or one that goes with tiles stands alone.
    """
    side, resize = given.get("tile"), given.get("resize")
    alone = [name for name in ("overlap", "scale") if given.get(name) is not None]
    if side is None:
        if alone and resize != "tile":
            raise UsageError(f"--{alone[0]} goes with --tile", hint="for example --tile 256")
        return {}
    if given.get("image_size") not in (None, side) or resize not in (None, "tile"):
        other = "--resize" if resize not in (None, "tile") else "--image-size"
        raise UsageError(f"--tile and {other} both say how large images are seen", hint="give one of them")
    return {"resize": "tile"}


def existing_folder(path: Path, what: str) -> Path:
    """A folder that is there.

    Raises:
        UsageError: it is not.
    """
    if not path.is_dir():
        raise UsageError(f"there is no {what} '{path}'")
    return path


def check_free(path: Path | None, overwrite: bool) -> None:
    """Refuses a file that is there already, unless it may be replaced.

    Raises:
        UsageError: it is there.
    """
    if path is not None and not overwrite and path.exists():
        raise UsageError(f"'{path}' is there already", hint="--overwrite replaces it, or choose another name")


def check_epochs(epochs: int | None, changes: Iterable[str], stages: Iterable[str]) -> None:
    """Refuses a total number of epochs beside a stage's own, and of a method without any.

    Raises:
        UsageError: both were given, or there is nothing to say.
    """
    names = list(stages)
    if epochs is not None and not names:
        raise UsageError("this method has no epochs: it looks at the train images once", hint="leave --epochs out")
    both = sorted(set(changes) & set(names))
    if epochs is not None and epochs < len(names):
        raise UsageError(
            f"{epochs} epochs are too few for {len(names)} stages", hint=f"at least {len(names)}: one a stage"
        )
    if epochs is not None and both:
        raise UsageError(f"--epochs and --set {both[0]} both say how long to train", hint="give one of them")
