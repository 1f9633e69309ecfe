"""A release as a page of plain text: how good it is, what it was measured on, under which licence, how to load it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from kdzoo.category_entry import origin_of
from kdzoo.cli.by_type import type_lines
from kdzoo.methods.registry import BEST
from kdzoo.metrics.baseline_words import compared
from kdzoo.metrics.decision_words import decision_rows
from kdzoo.visible import visible

if TYPE_CHECKING:
    from zoo_registry import Manifest

_METRICS = ("image_auroc", "image_ap", "image_f1_max", "pixel_auroc", "pixel_ap", "pixel_f1_max", "aupro")
_SELECTED = {
    "synthetic": "normal images held out, and anomalies planted on them",
    "holdout": "one half of the test images",
    "test": "all of the test images, as published numbers do",
}
_REPORTED = {"synthetic": "all test images", "holdout": "the other half", "test": "the same images"}
_LOAD = "detector = kdzoo.load({named}{which})"


def card(
    manifest: Manifest, *, aliases: Iterable[str] = (), signed_by: Iterable[str] = (), withdrawn: str = ""
) -> list[str]:
    """A release as the lines of a page. What the document lacks is left out; what steers a terminal is escaped.

    Args:
        manifest: of the release.
        aliases: that point at it.
        signed_by: a line for each signature.
        withdrawn: that it was, by whom and why; empty where it was not.
    """
    document = manifest.document
    parts = [
        [f"{manifest.entry}, release {manifest.release}", *_heading(manifest, aliases, withdrawn)],
        _metrics(document),
        _types(document),
        _section("data", _data(document)),
        _section("beside it", _beside(document)),
        _section("model", _model(document)),
        _section("decision", _decision(document)),
        _section("training", _training(document)),
        _section("configuration", _sorted(_of(document, "config"))),
        _section("options", _sorted(_of(document, "options"))),
        _section("software", _sorted(_of(document, "software"))),
        _section("provenance", _provenance(_of(document, "provenance"), _of(document, "recalibrated"))),
        _section("files", {role: f"{ref.size:,} bytes, sha256 {ref.sha256}" for role, ref in manifest.blobs.items()}),
        _section("signatures", dict(enumerate(signed_by, start=1))),
        ["load", *_how(manifest)],
    ]
    return [visible(line) for part in parts if part for line in ("", *part)][1:]


def _heading(manifest: Manifest, aliases: Iterable[str], withdrawn: str) -> list[str]:
    named = ", ".join(aliases)
    lines = [f"published {manifest.created[:19].replace('T', ' ')} UTC" + (f"; {named}" if named else "")]
    if withdrawn:
        lines.append(f"NOT TO BE USED: it {withdrawn}")
    origin = origin_of(manifest.document)
    if origin is not None:
        lines.append(f"the best over all methods: release {origin.release} of {origin.entry}")
    lines.append(f"digest {manifest.digest}")
    return lines + ([f"“{manifest.message}”"] if manifest.message else [])


def _metrics(document: Mapping[str, Any]) -> list[str]:
    """A table: metrics as rows, what they were selected and reported on as columns."""
    found, protocol = _of(document, "metrics"), _text(document.get("protocol"))
    if not found:
        return []
    columns = [prefix for prefix in ("val_", "test_") if any(str(name).startswith(prefix) for name in found)]
    titles = {"val_": "selection", "test_": "report"}
    lines = [f"metrics, protocol {protocol}"]
    for title, meaning in (("selection", _SELECTED), ("report", _REPORTED)):
        if protocol in meaning:
            lines.append(f"  {title} on {meaning[protocol]}")
    lines.append(f"  {'':14}" + "".join(f"{titles[prefix]:>12}" for prefix in columns))
    for name in _METRICS:
        cells = [_number(found.get(prefix + name)) for prefix in columns]
        if any(cell != "–" for cell in cells):
            lines.append(f"  {name:14}" + "".join(f"{cell:>12}" for cell in cells))
    objective = _of(document, "objective")
    if objective:
        lines.append(f"  selected by {_text(objective.get('name'))} = {_number(objective.get('value'))}")
    lines += [f"  {name} is undefined: {_text(why)}" for name, why in _of(document, "undefined").items()]
    return lines


def _types(document: Mapping[str, Any]) -> list[str]:
    lines = type_lines(_of(document, "by_defect_type"))
    return ["by defect type, of the report part", *lines] if lines else []


def _data(document: Mapping[str, Any]) -> dict[str, Any]:
    data, split = _of(document, "dataset"), _of(document, "split")
    rows: dict[str, Any] = {"data set": data.get("name"), "category": data.get("category")}
    rows["licence"] = data.get("licence") or "unknown"
    parts = (("train", "train_images"), ("selection", "select_images"), ("report", "report_images"))
    counts = [f"{data[key]} {part}" for part, key in parts if key in data]
    rows["images"] = ", ".join(counts) or None
    rows["fingerprint"] = data.get("fingerprint")
    rows["split"] = f"seed {_text(split['seed'])}, digest {_text(split.get('digest'))}" if "seed" in split else None
    rows["notes"] = "; ".join(map(_text, _list(split.get("notes")))) or None
    skipped = _list(data.get("skipped"))
    rows["left out"] = f"{len(skipped)} unreadable images" if skipped else None
    foreground = _of(data, "foreground")
    if "rule" in foreground:
        rows["foreground"] = f"{_text(foreground['rule'])}, {_number(foreground.get('share'))} of the image"
    return rows if data else {}


def _model(document: Mapping[str, Any]) -> dict[str, Any]:
    teacher, given = _of(document, "teacher"), _of(document, "input")
    rows: dict[str, Any] = {"method": document.get("method")}
    if teacher:
        rows["teacher"] = f"{_text(teacher.get('name'))} ({_text(teacher.get('source'))} weights)"
        rows["teacher sha256"] = teacher.get("sha256")
        rows["teacher licence"] = teacher.get("licence")
    if "size" in given:
        mean, std = (", ".join(map(_text, _list(given.get(key)))) for key in ("mean", "std"))
        size = _text(given["size"])
        how = f" ({_text(given['resize'])})" if "resize" in given else ""
        if "overlap" in given:
            how = f" ({_text(given['resize'])}, overlap {_text(given['overlap'])}, scale {_number(given.get('scale'))})"
        rows["input"] = f"RGB, {size} x {size} pixels{how}, mean {mean}, std {std}"
    padding = _of(_of(document, "dataset"), "padding")
    if "share" in padding:
        rows["padding"] = f"{_number(padding['share'])} of the input: the ratio of an image's sides is kept"
    black_and_white = _of(document, "options").get("intensity")
    if black_and_white not in (None, "full"):
        rows["intensity"] = f"{_text(black_and_white)} of deep images are black and white"
    return rows


def _beside(document: Mapping[str, Any]) -> dict[str, Any]:
    """What the baseline that learns nothing came to on the same images."""
    baseline, metrics = _of(document, "baseline"), _of(document, "metrics")
    own = {str(name): value for name, value in metrics.items() if isinstance(value, float)}
    found = compared(baseline, own, _text(_of(document, "objective").get("name")))
    return {} if found is None else {_text(baseline.get("method")): f"{found[0]} {_number(found[2])}"}


def _decision(document: Mapping[str, Any]) -> dict[str, Any]:
    found = _of(document, "calibration")
    if not found:
        return {}
    rows = {"threshold": found.get("threshold"), "pixel threshold": found.get("pixel_threshold")}
    point, again = _of(document, "operating_point"), _of(document, "recalibrated")
    if again:
        rows["recalibrated"] = _recalibrated(again)
    if point:
        return rows | decision_rows(point)
    rate, images = _text(found.get("false_positive_rate")), _text(found.get("normal_images"))
    # An older kdzoo wrote no more than what it was asked for, and on how many images.
    return rows | {"false alarms": f"not measured; {rate} was asked for, on {images} normal images"}


def _recalibrated(said: dict[str, Any]) -> str:
    given = [f"{_text(_of(said, kind).get('images'))} {kind}" for kind in ("normals", "defects") if kind in said]
    text = f"the weights of release {_text(said.get('from_release'))}, on {' and '.join(given) or 'images'}"
    costs = _of(said, "costs")
    return text + (f", {_text(costs.get('miss'))} a miss and {_text(costs.get('alarm'))} an alarm" if costs else "")


def _training(document: Mapping[str, Any]) -> dict[str, Any]:
    epochs, batches, cost, mlflow = (_of(document, key) for key in ("epochs", "batches", "cost", "mlflow"))
    rows: dict[str, Any] = {}
    if epochs:
        best, trained, planned = (_text(epochs.get(key)) for key in ("best", "trained", "planned"))
        rows["epochs"] = f"{trained} of {planned}, the best was {best}"
    if batches.get("note"):
        rows["batches"] = f"{_text(batches.get('images'))} images in {_text(batches.get('parts'))} parts"
    if cost:
        rows["cost"] = f"{_number(cost.get('seconds'), 1)} s on {_text(cost.get('device'))}"
        rows["GPU seconds"] = cost.get("gpu_seconds")
    rows["sweep"] = document.get("sweep")
    if mlflow:
        rows["MLflow"] = f"experiment {_text(mlflow.get('experiment'))}, run {_text(mlflow.get('run'))}"
    return rows


def _provenance(made: Mapping[str, Any], again: Mapping[str, Any]) -> dict[str, Any]:
    """By which code and command the weights were made, and the thresholds where that was done apart."""
    rows: dict[str, Any] = {}
    for prefix, found in (("", made), ("thresholds, ", _of(again, "provenance"))):
        code, packages = _of(found, "code"), _of(found, "packages")
        if code:
            state = " with changes" if code.get("changed") is True else ""
            commit = f", commit {_text(code['commit'])}{state}" if "commit" in code else ""
            rows[f"{prefix}code"] = f"kdzoo {_text(code.get('version'))}{commit}"
        if packages:
            rows[f"{prefix}packages"] = (
                f"{_text(packages.get('count'))} installed, sha256 {_text(packages.get('sha256'))}"
            )
        rows[f"{prefix}command"] = found.get("command")
    return rows


def _how(manifest: Manifest) -> list[str]:
    entry = manifest.entry
    name = f"{entry.dataset}/{entry.category}"
    method = [] if entry.method == BEST else [entry.method]
    named = ", ".join(f'"{each}"' for each in (*method, name))
    by_number, by_digest = f", release={manifest.release}", f', digest="{manifest.digest}"'
    return [
        *(f"  {_LOAD.format(named=named, which=which)}" for which in (by_number, by_digest)),
        f"  kdzoo predict {' '.join((*method, name))} photos/ --release {manifest.release}",
        f"  kdzoo zoo pull {entry} --release {manifest.release} --out {entry.category}",
    ]


def _section(title: str, rows: Mapping[Any, Any]) -> list[str]:
    lines = [f"  {key!s:20} {_text(value)}" for key, value in rows.items() if value not in (None, "")]
    return [title, *lines] if lines else []


def _of(document: Mapping[str, Any], key: str) -> dict[str, Any]:
    """A part of a document that a stranger wrote; empty when it is not an object."""
    found = document.get(key)
    return found if isinstance(found, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _sorted(rows: dict[str, Any]) -> dict[str, Any]:
    return dict(sorted(rows.items()))


def _number(value: Any, digits: int = 4) -> str:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    # A whole number beyond what a float holds cannot be formatted as one.
    return f"{value:.{digits}f}" if is_number and abs(value) < 1e15 else _text(value)


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4f}" if 1e-3 <= abs(value) < 1e4 or value == 0 else f"{value:.3g}"
    if isinstance(value, list):
        return ", ".join(map(_text, value))
    return "–" if value is None else str(value)
