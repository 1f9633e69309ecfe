"""`kdzoo retrain`: the configuration of a release, trained again on the data as it is now."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kdzoo.cli.datasets import open_or_download
from kdzoo.cli.notes import tell_note
from kdzoo.cli.one_run import open_target, say_run, train_and_keep
from kdzoo.cli.options import device_option, foreground_rule, json_option, zoo_option
from kdzoo.cli.say import tell
from kdzoo.cli.zoo.which_release import entry_argument, release_options
from kdzoo.errors import UsageError
from kdzoo.storage import check_writable, not_left_empty

if TYPE_CHECKING:
    from kdzoo.data.catalog import Dataset
    from kdzoo.settings import Settings
    from kdzoo.teachers.backbone import Teacher
    from kdzoo.training.spec import RunOptions, TrialSpec
    from zoo_registry import EntryName, Manifest, Registry


@click.command()
@entry_argument
@click.option("--dataset", "-d", metavar="NAME|PATH", help="Where its images are now; default the entry's.")
@click.option("--download", is_flag=True, help="Download the data set first if it is not there.")
@click.option(
    "--foreground-masks",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Of a release that was trained by some.",
)
@click.option(
    "--textures", metavar="dtd|FOLDER", help="Of a release whose anomalies were filled with photographs; dtd is found."
)
@click.option("--seed", type=click.IntRange(0), help="Of weights, batches, anomalies; default the release's.")
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), help="Where to write; default under KDZOO_HOME/runs."
)
@click.option("--publish/--no-publish", default=True, show_default=True, help="Publish it if it beats the champion.")
@release_options
@zoo_option
@device_option
@json_option
def retrain(
    entry: str, dataset: str | None, download: bool, foreground_masks: Path | None, textures: str | None,
    seed: int | None, out: Path | None, publish: bool, release: int | None, digest: str | None, alias: str,
    zoo: str | None, device: str | None, as_json: bool,
) -> int:  # fmt: skip
    """Train a release's method again, with its configuration, options and teacher, on its data set as it is now.

    The new detector is published as usual, under the method's entry. Where train images were added and the report
    images are what they were, it is compared with the champion on the images that both have judged.

    \b
    Examples:
      kdzoo retrain aand/parts/lid
      kdzoo retrain parts/lid --dataset /mnt/new/parts
      kdzoo retrain aand/parts/lid --release 3 --no-publish --json
    """
    from kdzoo.settings import Settings
    from kdzoo.trust import check_release
    from kdzoo.zoo import open_registry
    from zoo_registry import EntryName

    settings = Settings.from_environment()
    registry = open_registry(settings, zoo, warn=tell_note)
    manifest = registry.resolve(entry, release, alias, digest=digest)
    check_release(settings, registry, manifest)
    named = EntryName.parse(entry)
    opened = _opened(dataset, named.dataset, settings, download=download)
    spec = _spec(manifest, opened, named, seed)
    options = _with_masks(spec.options, foreground_masks)
    spec = dataclasses.replace(spec, options=_with_textures(options, textures, manifest, settings))
    own = EntryName(method=spec.method, dataset=named.dataset, category=named.category)
    folder = out or settings.runs / f"{spec.method}-{opened.name}-{spec.category}-{time.strftime('%Y%m%d-%H%M%S')}"
    with not_left_empty(folder):
        check_writable(folder)
        target = open_target(own, settings, zoo) if publish else None
        tell(f"{own} again, as release {manifest.release} of {named} was trained")
        _tell_grown(manifest, opened, spec)
        teacher = _teacher(registry, manifest)
        outcome, result = train_and_keep(
            spec, opened, teacher, settings, folder=folder, device=device, target=target, keep_teacher=True
        )
    return say_run(outcome, result, dataset=dataset or opened.name, as_json=as_json)


def _opened(given: str | None, name: str, settings: Settings, *, download: bool) -> Dataset:
    """The entry's data set, where it is said to be or is known to be, under the entry's name.

    Raises:
        UsageError: nobody says where it is.
    """
    from kdzoo.data.catalog import CATALOG
    from kdzoo.data.registered import registered

    if given is None and name != "demo" and name not in CATALOG and name not in registered(settings):
        raise UsageError(
            f"'{name}' is a folder that has no name here: where is it?",
            hint=f"--dataset PATH; or give it the name: kdzoo data add {name} PATH",
        )
    found = open_or_download(given or name, settings, download=download)
    return dataclasses.replace(found, info=dataclasses.replace(found.info, name=name))


def _spec(manifest: Manifest, opened: Dataset, named: EntryName, seed: int | None) -> TrialSpec:
    """What was trained, as its document says it.

    Raises:
        CheckpointError: the document cannot be followed.
        UnknownNameError: the data set has no such category.
    """
    from kdzoo.methods.registry import find_method
    from kdzoo.training.document import parse_document
    from kdzoo.training.spec import TrialSpec

    plan = parse_document(dict(manifest.document))
    find_method(plan.method).check_installed()
    options = plan.options if seed is None else plan.options.replace(seed=seed)
    category = opened.category_name(named.category)
    return TrialSpec(method=plan.method, config=plan.config, dataset=opened.name, category=category, options=options)


def _with_masks(options: RunOptions, masks: Path | None) -> RunOptions:
    """The options with the place of the product's masks, of which a document has the name alone.

    Raises:
        UsageError: the release was trained by a person's masks, and nobody says where they are.
        DatasetNotFoundError: there is no such folder.
    """
    rule = foreground_rule(None, masks)
    if rule is not None:
        return options.replace(foreground=str(rule))
    if options.foreground.startswith("masks:"):
        raise UsageError(
            "the release was trained by masks of the product, which its document does not hold",
            hint="say where they are: --foreground-masks FOLDER",
        )
    return options


def _with_textures(options: RunOptions, given: str | None, manifest: Manifest, settings: Settings) -> RunOptions:
    """The options with the place of the photographs that fill anomalies, of which a document has the name alone.

    Says so where they are not those of then.

    Raises:
        UsageError: the release was trained with a person's own, and nobody says where they are; or with none.
        DatasetError: they are not there, or one cannot be read.
    """
    from kdzoo.data.texture_sets import TEXTURE_SETS, TextureChoice, choose_textures

    if not options.textures:
        if given is not None:
            raise UsageError("the release's anomalies were filled with no photographs", hint="leave --textures out")
        return options
    then = TextureChoice.parse(options.textures)
    if given is None and then.name not in TEXTURE_SETS:
        raise UsageError(
            f"the release's anomalies were filled with the photographs of '{then.folder.name}', which its document "
            "does not hold",
            hint="say where they are: --textures FOLDER",
        )
    chosen = choose_textures(given or then.name, settings)
    known = manifest.document.get("dataset", {}).get("textures", {})
    now = chosen.digest()
    if now != known.get("sha256"):
        tell_note(
            f"the photographs in {chosen.folder} are not those that the release was trained with: "
            f"{len(chosen.files())} of sha256 {now[:12]}... now, {known.get('images')} of sha256 "
            f"{str(known.get('sha256'))[:12]}... then"
        )
    return options.replace(textures=str(chosen))


def _teacher(registry: Registry, manifest: Manifest) -> Teacher:
    """The release's own, from the zoo: what bears its name elsewhere may be another by now."""
    from kdzoo.rebuilding import release_teacher
    from kdzoo.training.document import parse_document
    from kdzoo.zoo import TEACHER

    return release_teacher(parse_document(dict(manifest.document)), registry.fetch(manifest, TEACHER))


def _tell_grown(manifest: Manifest, opened: Dataset, spec: TrialSpec) -> None:
    """Says how many train images there were, and are; that none is new is worth a word before an hour of training."""
    from kdzoo.data.splits import split

    parts = split(opened.category(spec.category), spec.options.protocol, seed=spec.options.split_seed)
    before = manifest.document.get("dataset", {}).get("train_images")
    tell(f"{len(parts.train)} train images, {before} then; {len(parts.report)} to report on")
