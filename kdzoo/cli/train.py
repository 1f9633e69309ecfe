"""`kdzoo train`: one trial in this process, without Ray, MLflow or a server."""

from __future__ import annotations

import dataclasses
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kdzoo.cli.datasets import open_or_download
from kdzoo.cli.given import command_line
from kdzoo.cli.notes import tell_note, tell_notes, tell_skipped
from kdzoo.cli.options import (
    build_options,
    check_epochs,
    device_option,
    json_option,
    parse_changes,
    run_options,
    zoo_option,
)
from kdzoo.cli.progress import Bar
from kdzoo.cli.say import say_result, tell
from kdzoo.errors import TrainingError, UsageError
from kdzoo.metrics.decision_words import decision_rows
from kdzoo.storage import check_writable

if TYPE_CHECKING:
    from kdzoo.data.catalog import Dataset
    from kdzoo.settings import Settings
    from kdzoo.training.epoch_result import EpochResult
    from kdzoo.training.outcome import Outcome
    from kdzoo.training.spec import TrialSpec
    from kdzoo.training.trainer import Trainer
    from zoo_registry import EntryName, Registry


@click.command()
@click.argument("method")
@run_options
@click.option("--category", "-c", metavar="NAME", help="Needed unless the data set has only one.")
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), help="Where to write; default under KDZOO_HOME/runs."
)
@click.option("--publish", is_flag=True, help="Publish the detector to the zoo if it beats the champion.")
@zoo_option
@device_option
@json_option
def train(
    method: str, dataset: str, download: bool, category: str | None, epochs: int | None, changes: tuple[str, ...],
    out: Path | None, publish: bool, zoo: str | None, device: str | None, as_json: bool, **given: Any,
) -> None:  # fmt: skip
    """Train METHOD on one category, measure it, and keep the detector in a folder.

    \b
    Examples:
      kdzoo train aand --dataset demo --category weave
      kdzoo train rd -d ./my-parts -c lid --epochs 40 --set learning_rate=0.002 --json
    """
    from kdzoo.settings import Settings
    from kdzoo.training.document import with_command

    if zoo is not None and not publish:
        raise UsageError("--zoo says where to publish: add --publish, or leave it out")
    settings = Settings.from_environment()
    opened, spec = _spec(method, dataset, category, epochs, changes, given, settings, download=download)
    folder = out or settings.runs / f"{method}-{opened.name}-{spec.category}-{time.strftime('%Y%m%d-%H%M%S')}"
    check_writable(folder)
    target = _open_target(spec, settings, zoo) if publish else None
    outcome = _train(spec, opened, settings, device, zoo)
    outcome = dataclasses.replace(outcome, document=with_command(outcome.document, command_line()))
    _save(outcome, folder, device)
    tell(f"The detector is kept in {folder}")
    published = _publish(outcome, folder, *target, who=settings.who) if target is not None else None
    result = {
        "method": spec.method,
        "dataset": spec.dataset,
        "category": spec.category,
        "protocol": spec.options.protocol,
        "metrics": outcome.metrics,
        "undefined": outcome.document["undefined"],
        "operating_point": outcome.document["operating_point"],
        "config": spec.config.as_dict(),
        "options": outcome.document["options"],
        "examined": outcome.document.get("examined", {}),
        "epochs": outcome.document["epochs"],
        "batches": outcome.document["batches"],
        "precision": outcome.document["precision"],
        "cost": outcome.document["cost"],
        "checkpoint": str(folder),
        "published": published,
    }
    say_result(result, _lines, as_json=as_json)
    if outcome.trouble is not None:
        raise TrainingError(
            f"the detector is kept in '{folder}', but it could not be measured: {outcome.trouble}",
            hint=f"mend the images, then: kdzoo evaluate --from {folder} --dataset {dataset}",
        )


def _spec(
    method: str, dataset: str, category: str | None, epochs: int | None, changes: tuple[str, ...],
    given: dict[str, Any], settings: Settings, *, download: bool,
) -> tuple[Dataset, TrialSpec]:  # fmt: skip
    from kdzoo.methods.registry import find_method
    from kdzoo.search.space.space import SpaceFile
    from kdzoo.training.spec import TrialSpec

    entry = find_method(method)
    entry.check_installed()
    fixed = entry.config.from_mapping(parse_changes(changes)).as_dict()
    fixed = {key: fixed[key] for key in parse_changes(changes)}
    opened = open_or_download(dataset, settings, download=download)
    names = opened.categories()
    if category is None and len(names) != 1:
        raise UsageError(
            f"'{opened.name}' has {len(names)} categories: choose one with --category", hint=", ".join(names)
        )
    chosen = names[0] if category is None else opened.category_name(category)
    opened.category(chosen)
    space = SpaceFile(method).space(opened.name, chosen, changes=fixed)
    config = space.defaults
    check_epochs(epochs, fixed, [key for key in config.epoch_keys() if getattr(config, key)])
    if epochs is not None:
        config = config.replace(**config.epoch_split(epochs))
    options = build_options(opened, given, settings)
    options.check_planting(method, config)
    options.check_augment(method, config)
    tell_notes(options.notes)
    if given.get("protocol") is None:
        tell_notes(opened.notes)
    if given.get("foreground") is None and given.get("foreground_masks") is None and space.foreground is not None:
        options = options.replace(foreground=space.foreground)
    return opened, TrialSpec(method=method, config=config, dataset=opened.name, category=chosen, options=options)


def _train(spec: TrialSpec, opened: Dataset, settings: Settings, device: str | None, zoo: str | None) -> Outcome:
    from kdzoo.detector import choose_device
    from kdzoo.teacher_zoo import obtain_teacher
    from kdzoo.training.data import TrialData
    from kdzoo.training.evaluation import check_objective
    from kdzoo.training.outcome import conclude
    from kdzoo.training.trainer import Trainer

    place = choose_device(device)
    teacher = obtain_teacher(spec.options.teacher, settings, zoo=zoo, note=tell_note)
    teacher.check_side(spec.options.image_size)
    with Bar("Decoding images") as bar:
        data = TrialData(opened, spec.category, spec.options, cache=settings.cache, progress=bar)
        tell_notes(data.parts.notes)
        data.check_foreground()
        trainer = Trainer(spec, data, teacher, place)
        check_objective(data.selection, spec.options.objective)
    tell_skipped(data.skipped)
    with EpochLog(trainer, spec.options.objective) as log:
        trainer.run(log)
    folds = spec.options.calibration_folds
    if folds:
        tell_note(f"the threshold is calibrated on the train images: {folds} more models are trained for that")
    return conclude(trainer)


class EpochLog:
    """Epochs as a bar where a person looks, else as lines.

    Args:
        trainer: what trains.
        objective: shown beside the bar.
    """

    def __init__(self, trainer: Trainer, objective: str) -> None:
        self._trainer, self._objective = trainer, objective
        self._stream = sys.stderr
        self._bar: Any = None
        if self._stream.isatty():
            self._bar = click.progressbar(
                length=trainer.total_epochs,
                label="Training",
                file=self._stream,
                show_pos=True,
                item_show_func=self._said,
            )

    def __enter__(self) -> EpochLog:
        if self._bar is not None:
            self._bar.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.__exit__(None, None, None)

    def __call__(self, result: EpochResult) -> None:
        """Told each epoch."""
        if self._bar is not None:
            self._bar.update(1, result)
        else:
            position = f"epoch {result.epoch}/{self._trainer.total_epochs}"
            tell(f"{position} {self._said(result)}")
        if result.found.metrics and self._bar is None:
            tell("on planted anomalies: " + ", ".join(f"{k} {v:.4f}" for k, v in result.found.metrics.items()))
        tell_notes(result.found.warnings)

    def _said(self, result: EpochResult | None) -> str:
        if result is None:
            return ""
        # Of a stage without a loss, which is over after one epoch, whatever it has to say.
        told = ["loss"] if "loss" in result.losses else list(result.losses)
        text = " ".join([result.stage, *(f"{name} {result.losses[name]:.4f}" for name in told)])
        if self._trainer.best.weights:
            text += f", best {self._objective} {self._trainer.best.objective:.4f}"
        return text + (f", batches in {result.parts} parts" if result.parts > 1 else "")


def _save(outcome: Outcome, folder: Path, device: str | None) -> None:
    from kdzoo.detector import Detector
    from kdzoo.detector_files import PICTURE_FILE
    from kdzoo.storage import write_file

    Detector(outcome.method, outcome.document, device=device).save(folder)
    write_file(folder / PICTURE_FILE, outcome.picture)


def _open_target(spec: TrialSpec, settings: Settings, zoo: str | None) -> tuple[Registry, EntryName]:
    """Where to publish to, once it is known to take what is published: what cannot be is told before the training."""
    from kdzoo.zoo import entry_name, open_registry

    entry = entry_name(spec.method, spec.category_name)
    registry = open_registry(settings, zoo, warn=tell_note)
    registry.probe()
    return registry, entry


def _publish(
    outcome: Outcome, folder: Path, registry: Registry, entry: EntryName, *, who: str | None
) -> dict[str, Any]:
    from dataclasses import asdict

    from kdzoo.detector_files import TEACHER_FILE, WEIGHTS_FILE
    from kdzoo.zoo import PICTURE, TEACHER, WEIGHTS, publish

    files = {
        WEIGHTS: (folder / WEIGHTS_FILE).read_bytes(),
        TEACHER: (folder / TEACHER_FILE).read_bytes(),
        PICTURE: outcome.picture,
    }
    published = publish(registry, entry, outcome.document, files, who=who).located(registry, entry)
    return asdict(published) | {"digest": f"sha256:{published.manifest_sha256}" if published.manifest_sha256 else None}


def _lines(result: dict[str, Any]) -> list[str]:
    from kdzoo.training.document import examined_metrics

    lines = [f"{result['method']} on {result['dataset']}/{result['category']}, protocol {result['protocol']}"]
    lines += [f"  {name:18} {value:.4f}" for name, value in result["metrics"].items()]
    lines += [f"  {name:18} undefined: {reason}" for name, reason in result["undefined"].items()]
    lines += [f"  {name:18} {value:.4f} (planted anomalies)" for name, value in examined_metrics(result).items()]
    lines.append(f"  {'threshold':18} {result['operating_point']['threshold']:.4f}")
    lines += [f"  {name:18} {text}" for name, text in decision_rows(result["operating_point"]).items()]
    lines.append(f"  seconds            {result['cost']['seconds']:.1f} on {result['cost']['device']}")
    if result["published"]:
        lines.append(f"  zoo                {_release(result['published'])}")
        if result["published"]["digest"]:
            lines.append(f"  digest             {result['published']['digest']}")
    lines.append(f"  detector           {result['checkpoint']}")
    return lines


def _release(published: dict[str, Any]) -> str:
    number = published["release"]
    return str(published["note"]) if number is None else f"release {number}: {published['note']}"
