"""One training of the command line, from images to a folder and the zoo; `kdzoo train` and `kdzoo retrain` share it."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kdzoo.cli.epoch_log import EpochLog
from kdzoo.cli.errors import INTERRUPTED
from kdzoo.cli.gentle_stop import WAIT_SECONDS, GentleStop
from kdzoo.cli.given import command_line
from kdzoo.cli.notes import tell_note, tell_notes, tell_skipped
from kdzoo.cli.progress import Bar
from kdzoo.cli.say import say_result, tell
from kdzoo.errors import TrainingError
from kdzoo.metrics.decision_words import decision_rows
from kdzoo.metrics.ties import saturated_text
from kdzoo.storage import not_left_empty

if TYPE_CHECKING:
    from kdzoo.data.catalog import Dataset
    from kdzoo.settings import Settings
    from kdzoo.teachers.backbone import Teacher
    from kdzoo.training.epoch_result import EpochResult
    from kdzoo.training.outcome import Outcome
    from kdzoo.training.spec import TrialSpec
    from kdzoo.training.trainer import Trainer
    from kdzoo.training.unfinished import KeptState, TrainingPlan
    from zoo_registry import EntryName, Registry


def train_and_keep(
    spec: TrialSpec,
    opened: Dataset,
    teacher: Teacher,
    settings: Settings,
    *,
    folder: Path,
    device: str | None,
    target: tuple[Registry, EntryName] | None,
    before: TrainingPlan | None = None,
    keep_teacher: bool = False,
) -> tuple[Outcome, dict[str, Any]]:
    """Trains, keeps the detector in a folder, and publishes it where it is to be.

    Ctrl-C once ends the training: the best so far is measured and kept, and not published, and the rest can be gone on
    with. Ctrl-C twice ends at once.

    Args:
        spec: what to train.
        opened: its data set.
        teacher: with its weights.
        settings: where things are.
        folder: for the detector.
        device: where to train.
        target: the zoo and the entry; None to publish nothing.
        before: the training that is gone on with; None for a new one.
        keep_teacher: whether the folder holds the teacher from the first, since its name may mean another later.

    Returns:
        What the training left, and what the command says of it as JSON values.

    Raises:
        KeyboardInterrupt: before there was anything to keep, or twice.
    """
    from kdzoo.training.document import with_command

    with not_left_empty(folder):
        outcome, is_cut = _train(spec, opened, teacher, settings, device, folder, before, keep_teacher)
    outcome = dataclasses.replace(outcome, document=with_command(outcome.document, command_line()))
    _save(outcome, folder, device)
    tell(f"The detector is kept in {folder}")
    published = None
    if target is not None and not is_cut:
        published = _publish(outcome, folder, *target, who=settings.who)
    document = outcome.document
    result = {
        "method": spec.method,
        "dataset": spec.dataset,
        "category": spec.category,
        "protocol": spec.options.protocol,
        "metrics": outcome.metrics,
        **{name: document[name] for name in ("undefined", "operating_point")},
        "config": spec.config.as_dict(),
        "examined": document.get("examined", {}),
        **{name: document[name] for name in ("options", "epochs", "batches", "precision", "cost")},
        "checkpoint": str(folder),
        "published": published,
        "interrupted": is_cut,
    }
    return outcome, result


def say_run(outcome: Outcome, result: dict[str, Any], *, dataset: str, as_json: bool) -> int:
    """Says what a training came to; gives the exit status, which is another where it was cut short.

    Raises:
        TrainingError: the detector is kept, and could not be measured.
    """
    say_result(result, _lines, as_json=as_json)
    if outcome.trouble is not None:
        folder = result["checkpoint"]
        raise TrainingError(
            f"the detector is kept in '{folder}', but it could not be measured: {outcome.trouble}",
            hint=f"mend the images, then: kdzoo evaluate --from {folder} --dataset {dataset}",
        )
    return INTERRUPTED if result["interrupted"] else 0


def open_target(entry: EntryName, settings: Settings, zoo: str | None) -> tuple[Registry, EntryName]:
    """Where to publish to, once it is known to take what is published: what cannot be is told before the training."""
    from kdzoo.zoo import open_registry

    registry = open_registry(settings, zoo, warn=tell_note)
    registry.probe()
    return registry, entry


def _train(
    spec: TrialSpec,
    opened: Dataset,
    teacher: Teacher,
    settings: Settings,
    device: str | None,
    folder: Path,
    before: TrainingPlan | None,
    keep_teacher: bool,
) -> tuple[Outcome, bool]:
    """What the training left, and whether it was cut short."""
    from kdzoo.detector import choose_device
    from kdzoo.training.data import TrialData
    from kdzoo.training.evaluation import check_objective
    from kdzoo.training.outcome import conclude
    from kdzoo.training.trainer import Trainer
    from kdzoo.training.unfinished import KeptState, TrainingPlan

    place = choose_device(device)
    teacher.check_side(spec.options.image_size)
    with Bar("Decoding images") as bar:
        data = TrialData(opened, spec.category, spec.options, cache=settings.cache, progress=bar)
        tell_notes(data.parts.notes)
        data.check_foreground()
        plan = TrainingPlan.of(spec, data, teacher, keep_teacher=keep_teacher)
        if before is not None:
            before.check(plan)
        trainer = Trainer(spec, data, teacher, place)
        check_objective(data.selection, spec.options.objective)
    tell_skipped(data.skipped)
    kept = KeptState(folder)
    if before is not None and kept.take_up(trainer):
        tell(f"Going on after epoch {trainer.epoch} of {trainer.total_epochs}")
    plan.write(folder, teacher)
    is_cut = not _run(trainer, kept, folder)
    saturated = saturated_text(spec.options.objective, trainer.best.objective, trainer.best.metrics)
    if saturated:
        tell_note(saturated)
    folds = 0 if is_cut else spec.options.calibration_folds
    if folds:
        tell_note(f"the threshold is calibrated on the train images: {folds} more models are trained for that")
    outcome = conclude(trainer, folds=folds)
    if not is_cut:
        kept.forget()
    return outcome, is_cut


def _run(trainer: Trainer, kept: KeptState, folder: Path) -> bool:
    """Trains to the end, or until Ctrl-C; whether it came to the end.

    Raises:
        KeyboardInterrupt: no epoch was measured before it.
    """
    try:
        with GentleStop(_tell_waiting) as stop, EpochLog(trainer, trainer.spec.options.objective) as log:

            def on_epoch(result: EpochResult) -> None:
                log.epoch(result)
                kept.keep(trainer, now=stop.is_asked)
                if not trainer.finished:
                    stop.here()

            trainer.run(on_epoch, log.step)
    except KeyboardInterrupt:
        goes_on = f"`kdzoo train --resume {folder}` goes on"
        trainer.close()
        if not trainer.best.weights:
            tell(f"Interrupted before anything was measured; {goes_on}")
            raise
        tell(
            f"Interrupted after epoch {trainer.epoch} of {trainer.total_epochs}: the best so far, of epoch "
            f"{trainer.best.epoch}, is measured and kept; {goes_on}"
        )
        return False
    return True


def _tell_waiting() -> None:
    tell(f"Interrupted: waiting {WAIT_SECONDS:.0f} s for the epoch to end; Ctrl-C again ends at once")


def _save(outcome: Outcome, folder: Path, device: str | None) -> None:
    from kdzoo.detector import Detector
    from kdzoo.detector_files import PICTURE_FILE
    from kdzoo.storage import write_file

    Detector(outcome.method, outcome.document, device=device).save(folder)
    write_file(folder / PICTURE_FILE, outcome.picture)


def _publish(
    outcome: Outcome, folder: Path, registry: Registry, entry: EntryName, *, who: str | None
) -> dict[str, Any]:
    from kdzoo.detector_files import TEACHER_FILE, WEIGHTS_FILE
    from kdzoo.zoo import PICTURE, TEACHER, WEIGHTS, publish

    files = {
        WEIGHTS: (folder / WEIGHTS_FILE).read_bytes(),
        TEACHER: (folder / TEACHER_FILE).read_bytes(),
        PICTURE: outcome.picture,
    }
    published = publish(registry, entry, outcome.document, files, who=who).located(registry, entry)
    digest = f"sha256:{published.manifest_sha256}" if published.manifest_sha256 else None
    return dataclasses.asdict(published) | {"digest": digest}


def _lines(result: dict[str, Any]) -> list[str]:
    from kdzoo.training.document import examined_metrics

    lines = [f"{result['method']} on {result['dataset']}/{result['category']}, protocol {result['protocol']}"]
    lines += [f"  {name:18} {value:.4f}" for name, value in result["metrics"].items()]
    lines += [f"  {name:18} undefined: {reason}" for name, reason in result["undefined"].items()]
    lines += [f"  {name:18} {value:.4f} (planted anomalies)" for name, value in examined_metrics(result).items()]
    lines.append(f"  {'threshold':18} {result['operating_point']['threshold']:.4f}")
    lines += [f"  {name:18} {text}" for name, text in decision_rows(result["operating_point"]).items()]
    lines.append(f"  seconds            {result['cost']['seconds']:.1f} on {result['cost']['device']}")
    published = result["published"]
    if published:
        lines.append(f"  zoo                {_release(published)}")
        if published["over_methods"]:
            stands = "leads, " if published["leads"] else ""
            lines.append(f"  over all methods   {stands}{published['over_methods']}")
        if published["digest"]:
            lines.append(f"  digest             {published['digest']}")
    lines.append(f"  detector           {result['checkpoint']}")
    return lines


def _release(published: dict[str, Any]) -> str:
    number = published["release"]
    return str(published["note"]) if number is None else f"release {number}: {published['note']}"
