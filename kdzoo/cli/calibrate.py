"""`kdzoo calibrate`: new thresholds for a release from a person's own images, without training."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kdzoo.cli.given import command_line
from kdzoo.cli.image_files import image_files
from kdzoo.cli.notes import tell_note
from kdzoo.cli.options import device_option, digest_option, existing_folder, json_option, zoo_option
from kdzoo.cli.rates import share
from kdzoo.cli.say import say_result
from kdzoo.errors import UsageError
from kdzoo.metrics.decision_words import decision_rows

if TYPE_CHECKING:
    from kdzoo.detector import Detector
    from kdzoo.metrics.cost import Costs
    from kdzoo.recalibration import Judged
    from kdzoo.settings import Settings
    from zoo_registry import Manifest, Registry

_FOLDER = click.Path(path_type=Path)


@click.command()
@click.argument("method")
@click.argument("name", metavar="DATASET/CATEGORY")
@click.option("--normals", required=True, type=_FOLDER, metavar="FOLDER", help="Normal images, not trained on.")
@click.option("--defects", type=_FOLDER, metavar="FOLDER", help="Defective images: misses are counted, too.")
@click.option("--false-alarms", type=share, metavar="RATE", help="Share of normal images that may alarm, such as 0.5%.")
@click.option("--cost-miss", type=float, metavar="COST", help="Choose the threshold by cost: of a miss.")
@click.option("--cost-alarm", type=float, metavar="COST", help="Of a false alarm, in the same unit; default 1.")
@click.option("--defect-rate", type=share, metavar="RATE", help="Share of defects on the line; default the folders'.")
@click.option("--release", type=click.IntRange(1), help="Which release, by number.")
@digest_option
@click.option("--alias", default="champion", show_default=True, help="Which release, by alias.")
@click.option("--champion", "promote", is_flag=True, help="Make the new release champion, if the old one was.")
@click.option("--message", default="", metavar="TEXT", help="Words on the new release.")
@zoo_option
@device_option
@json_option
def calibrate(
    method: str, name: str, normals: Path, defects: Path | None, false_alarms: float | None, cost_miss: float | None,
    cost_alarm: float | None, defect_rate: float | None, release: int | None, digest: str | None,
    alias: str, promote: bool, message: str,
    zoo: str | None, device: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Give a release new thresholds from your own images, as a new release with the same weights.

    What so many images can show is stated with it. Nothing is trained, and no weights are uploaded. The champion stays
    until `kdzoo zoo promote`, or with --champion.

    \b
    Examples:
      kdzoo calibrate aand demo/milled --normals shift-2/good --false-alarms 0.5%
      kdzoo calibrate aand demo/milled --normals good --defects bad --cost-miss 50 --cost-alarm 1 --defect-rate 0.2%
      kdzoo calibrate aand demo/milled --normals good --champion --message "new lamp on line 3"
    """
    from kdzoo.recalibration import publish_recalibrated, recalibrated
    from kdzoo.settings import Settings

    costs = _costs(cost_miss, cost_alarm, defect_rate, defects, false_alarms)
    files = {"normals": image_files([str(existing_folder(normals, "folder of normal images"))])}
    if defects is not None:
        files["defects"] = image_files([str(existing_folder(defects, "folder of defective images"))])
    settings = Settings.from_environment()
    registry, base, detector = _opened(method, name, zoo, (release, digest, alias), device, settings)
    judged = _judged(detector, files)
    document = recalibrated(
        detector, judged["normals"], judged.get("defects"),
        release=base.release, false_positive_rate=false_alarms, costs=costs,
    )  # fmt: skip
    made = publish_recalibrated(registry, base, document, message=message, command=command_line())
    note = _promoted(registry, made, settings) if promote else _not_promoted(base, made.release)
    result = {
        "entry": str(base.entry),
        "release": made.release,
        "digest": made.digest,
        "from_release": base.release,
        "threshold_before": detector.threshold,
        "operating_point": document["operating_point"],
        "recalibrated": document["recalibrated"],
        "promoted": promote,
        "note": note,
    }
    say_result(result, _lines, as_json=as_json)


def _costs(
    miss: float | None, alarm: float | None, defect_rate: float | None, defects: Path | None, false_alarms: float | None
) -> Costs | None:
    """What the options say of costs; None where they say nothing.

    Raises:
        UsageError: they disagree, or lack something.
    """
    from kdzoo.metrics.cost import Costs

    if miss is None:
        if alarm is not None or defect_rate is not None:
            raise UsageError("--cost-alarm and --defect-rate weigh against --cost-miss", hint="give it, too")
        return None
    if defects is None:
        raise UsageError("--cost-miss takes --defects: without them nobody knows what is missed")
    if false_alarms is not None:
        raise UsageError("--false-alarms and --cost-miss both choose the threshold", hint="give one of them")
    return Costs(miss=miss, alarm=1.0 if alarm is None else alarm, defect_rate=defect_rate)


def _opened(
    method: str,
    name: str,
    zoo: str | None,
    which: tuple[int | None, str | None, str],
    device: str | None,
    settings: Settings,
) -> tuple[Registry, Manifest, Detector]:
    from kdzoo.methods.registry import find_method
    from kdzoo.trust import check_release
    from kdzoo.zoo import entry_name, from_manifest, open_registry

    find_method(method).check_installed()
    registry = open_registry(settings, zoo, warn=tell_note)
    registry.probe()  # what cannot be published to is told before a thousand images are judged
    release, digest, alias = which
    base = registry.resolve(entry_name(method, name), release, alias, digest=digest)
    check_release(settings, registry, base)
    return registry, base, from_manifest(registry, base, device=device)


def _judged(detector: Detector, files: dict[str, list[Path]]) -> dict[str, Judged]:
    from kdzoo.recalibration import file_digest, judge_files

    if "defects" in files:
        shared = {file_digest(path) for path in files["normals"]} & {file_digest(path) for path in files["defects"]}
        if shared:
            raise UsageError(f"{len(shared)} images are in both folders, as normal and as defective")
    judged = {}
    total = sum(map(len, files.values()))
    progress: Any = click.progressbar(length=total, label="Judging", file=sys.stderr)
    with progress as bar:
        for kind, paths in files.items():
            judged[kind] = judge_files(detector, paths, bar.update)
    for kind, found in judged.items():
        if found.copies:
            tell_note(f"{found.copies} of the {kind} are copies of others, and were left out")
    return judged


def _promoted(registry: Registry, made: Manifest, settings: Settings) -> str:
    """Makes the new release champion where the one that it comes from, or its weights, are; says so."""
    from kdzoo.champions import promote
    from kdzoo.mirror import follow_champion
    from kdzoo.zoo import Published, led

    moved = promote(registry, made.entry, made.release, who=settings.who)
    follow_champion(settings, registry, made.entry, tell_note)
    done = led(registry, made, Published(release=made.release, promoted=True, note=moved.why), who=settings.who)
    over = "it leads over all methods, too" if done.leads else f"over all methods it does not lead: {done.over_methods}"
    return f"champion: {done.note}; {over}"


def _not_promoted(base: Manifest, number: int) -> str:
    return f"no alias was moved; `kdzoo zoo promote {base.entry} {number}` makes it champion"


def _lines(result: dict[str, Any]) -> list[str]:
    point, evidence = result["operating_point"], result["recalibrated"]
    lines = [f"release {result['release']} of {result['entry']}, the weights of release {result['from_release']}"]
    lines.append(f"  {'threshold':18} {point['threshold']:.4f}, before {result['threshold_before']:.4f}")
    lines += [f"  {title:18} {text}" for title, text in decision_rows(point).items()]
    if "costs" in evidence:
        costs = evidence["costs"]
        each = f"at {costs['miss']:g} a miss and {costs['alarm']:g} an alarm"
        lines.append(f"  {'cost':18} {1000 * evidence['cost_an_image']:.4g} for 1000 images, {each}")
    return [*lines, f"  {'digest':18} {result['digest']}", f"  {'zoo':18} {result['note']}"]
