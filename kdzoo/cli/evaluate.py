"""`kdzoo evaluate`: a detector measured again on its data set."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kdzoo.cli.by_type import type_lines
from kdzoo.cli.datasets import open_or_download
from kdzoo.cli.image_rows import write_image_rows
from kdzoo.cli.notes import tell_note, tell_skipped
from kdzoo.cli.options import check_free, device_option, json_option, tile_options, zoo_option
from kdzoo.cli.progress import Bar
from kdzoo.cli.say import say_result, tell
from kdzoo.cli.source import load_source, set_tiles, source_options
from kdzoo.metrics.decision_words import calibrated_text, share_text, stated_text

if TYPE_CHECKING:
    from kdzoo.data.catalog import Dataset
    from kdzoo.detector import Detector
    from kdzoo.settings import Settings
    from kdzoo.training.data import TrialData


@click.command()
@click.argument("method", required=False)
@click.argument("name", metavar="DATASET/CATEGORY", required=False)
@click.option("--dataset", "-d", metavar="NAME|PATH", help="Where the images are; default the detector's own data set.")
@click.option("--download", is_flag=True, help="Download the data set first if it is not there.")
@click.option(
    "--part", type=click.Choice(["report", "select"]), default="report", show_default=True, help="Of its protocol."
)
@click.option(
    "--out",
    "-o",
    type=click.Path(path_type=Path, dir_okay=False),
    help="A CSV file with a row an image, misses first.",
)
@click.option("--overwrite", is_flag=True, help="Replace what is at --out.")
@tile_options
@source_options
@zoo_option
@device_option
@json_option
def evaluate(
    method: str | None, name: str | None, dataset: str | None, download: bool, part: str, out: Path | None,
    overwrite: bool, folder: Path | None, zoo: str | None, release: int | None, digest: str | None, alias: str,
    device: str | None, threshold: float | None, false_positive_rate: float | None, tile: int | None,
    overlap: int | None, scale: float | None, as_json: bool,
) -> None:  # fmt: skip
    """Measure a detector, under the protocol and split it was selected with.

    \b
    Examples:
      kdzoo evaluate demo/weave
      kdzoo evaluate aand demo/weave
      kdzoo evaluate aand demo/weave --out weave.csv
      kdzoo evaluate --from ~/.kdzoo/runs/rd-lid --dataset ./my-parts --json
    """
    check_free(out, overwrite)
    detector = load_source(
        method, name, folder=folder, zoo=zoo, release=release, digest=digest, alias=alias, device=device,
        threshold=threshold, false_positive_rate=false_positive_rate,
    )  # fmt: skip
    set_tiles(detector, tile, overlap, scale)
    from kdzoo.training.operating_point import calibration_part

    # Of a threshold that a person chose there is nothing to state; one that was chosen by cost says so in the document.
    stated = None if threshold is not None else calibration_part(detector.calibration, false_positive_rate)
    if stated is not None and false_positive_rate is None and detector.calibration.chosen is not None:
        point = detector.document.get("operating_point")
        stated = point.get("calibration") if isinstance(point, dict) else None
    result = {**_measure(detector, dataset, part, download=download, out=out), "calibration": stated}
    if not result.pop("same_images"):
        tell_note("these are not the images that the detector was selected with (another split digest)")
    say_result(result, _lines, as_json=as_json)


def _measure(detector: Detector, dataset: str | None, part: str, *, download: bool, out: Path | None) -> dict[str, Any]:
    from kdzoo.errors import DatasetError
    from kdzoo.metrics.decisions import Decisions
    from kdzoo.settings import Settings
    from kdzoo.training.data import TrialData
    from kdzoo.training.evaluation import measure, measure_types
    from kdzoo.training.images import ImageSource
    from kdzoo.training.scoring import score_set

    document, settings = detector.document, Settings.from_environment()
    opened = _opened(dataset, document["dataset"]["name"], settings, download=download)
    options, category = detector.options, document["dataset"]["category"]
    with Bar("Decoding images") as bar:
        data: TrialData = TrialData(opened, category, options, cache=settings.cache, progress=bar)
        truth = data.report if part == "report" else data.selection
    tell_skipped(data.skipped)
    if truth is None:
        raise DatasetError(
            f"'{category}' has no test part to report on", hint="--part select measures the selection part"
        )
    scored = score_set(detector.method, truth, ImageSource(truth.images, detector.device), folder=settings.cache)
    report = measure(scored, truth, aupro_limit=options.aupro_limit)
    by_type = measure_types(scored, truth, threshold=detector.threshold, aupro_limit=options.aupro_limit)
    if out is not None:
        labels, scores = truth.labels.tolist(), scored.scores.tolist()
        write_image_rows(out, truth.names, truth.kinds, labels, scores, detector.threshold)
        tell(f"A row for each image is in {out}")
    decided = Decisions.at(detector.threshold, scored.scores, truth.labels)
    return {
        "method": document["method"],
        "dataset": opened.name,
        "category": category,
        "protocol": options.protocol,
        "part": part,
        "split_digest": data.parts.digest,
        "same_images": _are_the_same(detector, data, "report" if part == "report" else "selection"),
        "images": len(truth.labels),
        "metrics": report.as_dict("test_" if part == "report" else "val_"),
        "by_defect_type": by_type,
        "undefined": dict(report.undefined),
        "threshold": detector.threshold,
        "false_alarms": decided.false_alarms.count,
        "normal_images": decided.false_alarms.of,
        "false_alarm_interval": [decided.false_alarms.low, decided.false_alarms.high],
        "found_defects": decided.misses.of - decided.misses.count,
        "missed_defects": decided.misses.count,
        "defective_images": decided.misses.of,
        "miss_interval": [decided.misses.low, decided.misses.high],
    }


def _are_the_same(detector: Detector, data: TrialData, part: str) -> bool:
    """Whether the images of a part are those that the detector knew; others may have been added to train."""
    parts = detector.document["split"].get("parts")
    if isinstance(parts, dict) and part in parts:
        return bool(parts[part] == data.part_digests[part])
    return data.parts.digest == detector.plan.split_digest


def _opened(given: str | None, name: str, settings: Settings, *, download: bool) -> Dataset:
    """The data set: the one that is given, else the detector's own, which is known here only if it has a name."""
    from kdzoo.data.catalog import CATALOG
    from kdzoo.data.registered import registered
    from kdzoo.errors import UsageError

    if given is None and name != "demo" and name not in CATALOG and name not in registered(settings):
        raise UsageError(
            f"the detector was trained on '{name}', a folder that has no name here: where is it?",
            hint=f"--dataset PATH; or give it the name: kdzoo data add {name} PATH",
        )
    return open_or_download(given or name, settings, download=download)


def _lines(result: dict[str, Any]) -> list[str]:
    head = f"{result['method']} on {result['dataset']}/{result['category']}, protocol {result['protocol']}"
    lines = [f"{head}, {result['images']} images of the {result['part']} part"]
    lines += [f"  {name:18} {value:.4f}" for name, value in result["metrics"].items()]
    lines += [f"  {name:18} undefined: {reason}" for name, reason in result["undefined"].items()]
    lines.append(f"  {'threshold':18} {result['threshold']:.4f}")
    for name, counted, images in (("false_alarm", "false_alarms", "normal"), ("miss", "missed_defects", "defective")):
        low, high = result[f"{name}_interval"]
        share = {"count": result[counted], "of": result[f"{images}_images"], "low": low, "high": high}
        lines.append(f"  {counted.replace('_', ' '):18} {share_text(share)}")
    lines += type_lines(result["by_defect_type"])
    if result["calibration"] is not None:
        lines.append(f"  {'calibrated on':18} {calibrated_text(result)}")
        lines.append(f"  {'stated':18} {stated_text(result)}")
    return lines
