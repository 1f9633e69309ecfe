"""What a finished trial leaves: the best weights in the method, a document that says everything, a picture of cases."""

from __future__ import annotations

import hashlib
import platform
from dataclasses import dataclass
from importlib import metadata
from typing import Any

import numpy as np
import torch

from kdzoo._version import __version__
from kdzoo.errors import KdzooError, TrainingError
from kdzoo.methods.base import Method
from kdzoo.methods.registry import find_method
from kdzoo.metrics.decisions import Decisions
from kdzoo.metrics.maps import is_one
from kdzoo.metrics.report import Report
from kdzoo.pictures import Case, as_png, sheet, shrunk, step_to
from kdzoo.provenance import provenance
from kdzoo.teachers.backbone import Teacher
from kdzoo.teachers.card import UNKNOWN_LICENCE
from kdzoo.teachers.packaged import PACKAGE
from kdzoo.training.best import objective_value
from kdzoo.training.calibration import Calibration, calibrate, calibrate_on
from kdzoo.training.checkpoint import tensor_bytes
from kdzoo.training.cross_fitting import CrossFitted, cross_fit
from kdzoo.training.document import DOCUMENT_SCHEMA, RESIZES
from kdzoo.training.evaluation import Scored, measure, measure_types
from kdzoo.training.evaluation_set import EvaluationSet
from kdzoo.training.images import ImageSource
from kdzoo.training.kept_scores import KeptScores
from kdzoo.training.operating_point import operating_point
from kdzoo.training.scoring import score_set
from kdzoo.training.tiles import Tiles
from kdzoo.training.trainer import Trainer

_SHOWN = 4
_LONGEST_SIDE = 1024
"""Of a case's picture, pixels."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """A trained, calibrated and measured model.

    Attributes:
        method: with its best weights, in eval mode.
        document: everything needed to rebuild and to trust the model, as JSON values.
        metrics: ``val_*`` and ``test_*`` by name, those that are defined.
        picture: PNG of worst and best cases.
        trouble: why the report part could not be measured; None when it was, or when there is none.
    """

    method: Method
    document: dict[str, Any]
    metrics: dict[str, float]
    picture: bytes
    trouble: KdzooError | None = None


def conclude(trainer: Trainer, *, folds: int | None = None) -> Outcome:
    """Takes the best weights, calibrates them, and measures them on the report part: its first and only reading.

    Calibrated is on the normal images of the selection part, or with ``calibration_folds`` on the train images, which
    trains once more for each fold.

    A report part that cannot be read does not cost the trained model: it comes without ``test_*`` metrics, the document
    says why, and `Outcome.trouble` holds the error.

    Args:
        trainer: over, or cut short after an epoch was measured.
        folds: models that are trained for the calibration; default as the options ask.

    Raises:
        TrainingError: no epoch was measured.
    """
    if not trainer.best.weights:
        raise TrainingError("the trial ended before any epoch was measured", hint="train for more epochs")
    trainer.load_best()
    spec, data, method = trainer.spec, trainer.data, trainer.method.eval()
    scored = trainer.selection_scores()
    selected = measure(scored, data.selection, aupro_limit=spec.options.aupro_limit)
    folds = spec.options.calibration_folds if folds is None else folds
    folded = cross_fit(trainer, folds) if folds else None
    calibration = _calibrated(trainer, scored, folded)
    shown, shown_scored, reported, trouble = data.selection, scored, None, None
    undefined = {"test_*": "the data set has no test part"}
    try:
        if data.report is not None:
            shown, source = data.report, ImageSource(data.report.images, trainer.device)
            shown_scored = score_set(method, shown, source, folder=data.cache)
            reported = measure(shown_scored, data.report, aupro_limit=spec.options.aupro_limit)
            undefined = {f"test_{name}": reason for name, reason in reported.undefined}
    except KdzooError as error:
        trouble, undefined = error, {"test_*": str(error)}
    metrics = selected.as_dict("val_") | (reported.as_dict("test_") if reported else {})
    threshold = calibration.threshold()
    point = operating_point(
        calibration,
        selection=Decisions.at(threshold, scored.scores, data.selection.labels),
        report=Decisions.at(threshold, shown_scored.scores, shown.labels) if reported else None,
        folds=folded.folds if folded else 0,
    )
    document = _document(trainer, calibration, selected, undefined, metrics, point)
    if reported and data.report is not None:
        document["by_defect_type"] = measure_types(
            shown_scored, data.report, threshold=threshold, aupro_limit=spec.options.aupro_limit
        )
    document["scores"] = _kept(selection=(data.selection, scored), report=(shown, shown_scored) if reported else None)
    if folded is not None:
        document["cost"]["calibration_seconds"] = folded.seconds
    title = f"{spec.method} on {spec.category_name} ({spec.options.protocol}): worst cases first, then best"
    return Outcome(
        method=method,
        document=document,
        metrics=metrics,
        picture=cases_picture(title, shown, shown_scored, calibration),
        trouble=trouble,
    )


def _kept(**parts: tuple[EvaluationSet, Scored] | None) -> dict[str, Any]:
    """The scores of single images, by part; without parts that are too large to keep."""
    kept = {
        part: KeptScores.of(given[0].names, given[0].labels, given[1].scores).as_dict()
        for part, given in parts.items()
        if given is not None
    }
    return {part: values for part, values in kept.items() if values is not None}


def _calibrated(trainer: Trainer, scored: Scored, folded: CrossFitted | None) -> Calibration:
    rate = trainer.spec.options.false_positive_rate
    if folded is not None:
        return calibrate_on(folded.normals, false_positive_rate=rate, origin="folds")
    truth = trainer.data.selection
    return calibrate(scored.scores, scored.maps, truth.labels, false_positive_rate=rate, inside=truth.inside)


def cases_picture(title: str, truth: EvaluationSet, scored: Scored, calibration: Calibration) -> bytes:
    """PNG of the images that were judged worst (low scoring defects, high scoring normals) and best.

    Args:
        title: of the page.
        truth: the images.
        scored: what the method said of them.
        calibration: says which pixels are marked, and which are coloured.
    """
    anomalous, normal = np.flatnonzero(truth.labels == 1), np.flatnonzero(truth.labels == 0)
    defects = anomalous[np.argsort(scored.scores[anomalous], kind="stable")]
    goods = normal[np.argsort(-scored.scores[normal], kind="stable")]
    worst = [*defects[:_SHOWN], *goods[:_SHOWN]]
    best = [*defects[::-1][:_SHOWN], *goods[::-1][:_SHOWN]]
    cases = [_case(truth, scored, int(index)) for index in worst + best]
    return as_png(sheet(title, cases, threshold=calibration.pixel_threshold(), scale=calibration.heat_scale()))


def _case(truth: EvaluationSet, scored: Scored, index: int) -> Case:
    """One of the images, without its padding; a large one made smaller."""
    if truth.tiles is not None:
        return _tiled_case(truth, truth.tiles, scored, index)
    place = None if truth.places is None else truth.places[index]
    seen = (slice(None), slice(None)) if place is None else (place.rows, place.columns)
    inside = truth.inside if truth.inside is None or is_one(truth.inside) else truth.inside[index]
    return Case(
        name=truth.names[index],
        note=_note(truth, scored, index),
        image=truth.images[index][seen],
        anomaly_map=scored.maps[index][seen],
        truth=None if truth.masks is None else truth.masks[index][seen],
        inside=None if inside is None else np.asarray(inside)[seen],
    )


def _tiled_case(truth: EvaluationSet, tiles: Tiles, scored: Scored, index: int) -> Case:
    image = np.ascontiguousarray(tiles.whole(index, truth.images))
    step = step_to(image.shape, _LONGEST_SIDE)
    return Case(
        name=truth.names[index],
        note=_note(truth, scored, index),
        image=shrunk(image, step),
        anomaly_map=shrunk(scored.maps[index], step),
        truth=None if truth.masks is None else shrunk(truth.masks[index], step),
        inside=None if truth.inside is None else shrunk(truth.inside[index], step),
    )


def _note(truth: EvaluationSet, scored: Scored, index: int) -> str:
    return f"{'defect' if truth.labels[index] else 'normal'}, score {scored.scores[index]:.3f}"


def _document(
    trainer: Trainer,
    calibration: Calibration,
    selected: Report,
    undefined: dict[str, str],
    metrics: dict[str, float],
    point: dict[str, Any],
) -> dict[str, Any]:
    spec, data, teacher = trainer.spec, trainer.data, trainer.method.teacher
    options, settled, examined = spec.options, trainer.method.settled(), trainer.examined.as_dict()
    return {
        "schema": DOCUMENT_SCHEMA,
        "method": spec.method,
        "config": spec.config.as_dict(),
        **({"settled": settled} if settled else {}),
        **({"examined": examined} if examined else {}),
        "options": {
            **options.published(),
            "teacher": teacher.name.label,
            "roi": "" if data.roi is None else data.roi.text,
            "intensity": "full" if data.intensity is None else data.intensity.label,
        },
        "teacher": _described(teacher),
        "weights": {"sha256": hashlib.sha256(tensor_bytes(trainer.method.learned_state())).hexdigest()},
        "input": {
            "size": options.image_size,
            "resize": RESIZES[options.resize],
            **({} if options.tiling is None else {"overlap": options.overlap, "scale": options.scale}),
            "mean": list(teacher.mean),
            "std": list(teacher.std),
        },
        "calibration": calibration.as_dict(),
        "operating_point": point,
        "protocol": options.protocol,
        "split": {
            "seed": options.split_seed,
            "digest": data.parts.digest,
            "parts": data.part_digests,
            "notes": list(data.parts.notes),
        },
        "dataset": data.describe(),
        "objective": {"name": options.objective, "value": objective_value(selected, options.objective)},
        "metrics": metrics,
        "undefined": undefined,
        "epochs": {"trained": trainer.epoch, "best": trainer.best.epoch, "planned": trainer.total_epochs},
        "batches": batches(trainer),
        "precision": precision(trainer),
        "cost": cost(trainer),
        "software": software(find_method(spec.method).needs),
        "provenance": provenance(),
    }


def _described(teacher: Teacher) -> dict[str, Any]:
    """What the document says of the teacher, with what its card knows of its weights: licence and origin."""
    card = teacher.name.card
    if card is None:
        return teacher.describe()
    kinds = {"origin": str, PACKAGE: dict}
    described = teacher.describe()
    known: dict[str, Any] = {
        key: card.details[key] for key, kind in kinds.items() if isinstance(card.details.get(key), kind)
    }
    if described["sha256"] != card.sha256:
        known["file_sha256"] = card.sha256
    return described | known | ({} if card.licence == UNKNOWN_LICENCE else {"licence": card.licence})


def batches(trainer: Trainer) -> dict[str, int | str]:
    """How many images a training step saw, and in how many parts: more than one where the GPU's memory ran out."""
    size, parts = trainer.spec.config.batch_size, trainer.parts
    if parts == 1:
        return {"images": size, "parts": 1}
    note = f"the GPU's memory ran out for {size} images: batch norm and whatever else looks at the batch saw a part"
    return {"images": size, "parts": parts, "note": note}


def precision(trainer: Trainer) -> dict[str, str]:
    """In what arithmetic training was asked for, and was; several where it went on on unlike hardware."""
    asked, used = trainer.spec.options.precision, ", ".join(trainer.precisions)
    return {"asked": asked, "training": used, "evaluation": "float32"}


def cost(trainer: Trainer) -> dict[str, float | str]:
    """Seconds that training and measuring took, and on what."""
    on_gpu = trainer.device.type == "cuda"
    seconds = trainer.train_seconds + trainer.measure_seconds
    return {
        "seconds": seconds,
        "train_seconds": trainer.train_seconds,
        "gpu_seconds": seconds if on_gpu else 0.0,
        "device": torch.cuda.get_device_name(trainer.device) if on_gpu else "cpu",
    }


def software(needs: tuple[str, ...] = ()) -> dict[str, str]:
    """Versions of what the numbers depend on, packages that the method needs among them."""
    versions = {name: metadata.version(name) for name in ("torch", "timm", "numpy", "pillow", "scipy", *needs)}
    return {"kdzoo": __version__, "python": platform.python_version(), **versions}
