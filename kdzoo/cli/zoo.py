"""`kdzoo zoo`: list, show and pull published detectors."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kdzoo.cli.lazy import DefaultGroup
from kdzoo.cli.options import json_option, zoo_option

if TYPE_CHECKING:
    from zoo_registry import Manifest, Registry

_CARD = (
    *("protocol", "split", "objective", "metrics", "undefined", "calibration", "teacher", "input", "dataset"),
    *("config", "epochs", "cost", "sweep", "software"),
)


@click.group(cls=DefaultGroup, default="list")
def zoo() -> None:
    """List, show, pull and promote published detectors.

    \b
    Examples:
      kdzoo zoo
      kdzoo zoo show aand/demo/weave
      kdzoo zoo pull aand/demo/weave --out weave
    """


@zoo.command("list")
@zoo_option
@json_option
def list_entries(zoo: str | None, as_json: bool) -> None:
    """List the entries with their champions."""
    registry = _registry(zoo)
    rows = [_row(registry, str(entry)) for entry in registry.list_entries()]
    if as_json:
        click.echo(json.dumps(rows))
        return
    if not rows:
        click.echo(f"{registry.uri} is empty; publish to it with: kdzoo sweep aand --dataset demo", err=True)
        return
    from kdzoo.cli.tables import make_table, number, results

    numbers = ("champion", "releases", "test image AUROC", "test AUPRO")
    table = make_table(None, ("entry", "champion", "releases", "protocol", *numbers[2:]), numbers=numbers)
    for row in rows:
        measured = [number(row["metrics"].get(name)) for name in ("test_image_auroc", "test_aupro")]
        table.add_row(
            row["entry"], str(row["champion"] or "–"), str(row["releases"]), str(row["protocol"] or "–"), *measured
        )
    results().print(table)


@zoo.command()
@click.argument("entry", metavar="METHOD/DATASET/CATEGORY")
@click.option("--release", type=click.IntRange(1), help="By number.")
@click.option("--alias", default="champion", show_default=True, help="By alias.")
@zoo_option
@json_option
def show(entry: str, release: int | None, alias: str, zoo: str | None, as_json: bool) -> None:
    """Show everything the zoo says of a release.

    \b
    Example:
      kdzoo zoo show aand/demo/weave --release 1
    """
    manifest = _registry(zoo).resolve(entry, release, alias)
    if as_json:
        click.echo(manifest.to_bytes().decode())
    else:
        click.echo(_card(manifest))


@zoo.command()
@click.argument("entry", metavar="METHOD/DATASET/CATEGORY")
@click.option("--release", type=click.IntRange(1), help="By number.")
@click.option("--alias", default="champion", show_default=True, help="By alias.")
@click.option(
    "--out", "-o", type=click.Path(path_type=Path, file_okay=False), help="Also write the detector's files here."
)
@zoo_option
def pull(entry: str, release: int | None, alias: str, out: Path | None, zoo: str | None) -> None:
    """Bring a release into the local cache, and with --out into a folder that `--from` reads.

    \b
    Example:
      kdzoo zoo pull aand/demo/weave --out weave
    """
    registry = _registry(zoo)
    manifest = registry.resolve(entry, release, alias)
    total = sum(blob.size for blob in manifest.blobs.values())
    with click.progressbar(length=total, label="Pulling", file=sys.stderr) as bar:
        files = {role: registry.fetch(manifest, role, progress=bar.update) for role in manifest.blobs}
    if out is not None:
        _write(manifest, files, out)
    for role, path in files.items():
        click.echo(f"{role:8} {manifest.blobs[role].size:>12,} bytes  {path}")
    if out is not None:
        click.echo(f"detector {out}")


@zoo.command()
@click.argument("entry", metavar="METHOD/DATASET/CATEGORY")
@click.argument("release", type=click.IntRange(1))
@click.option("--alias", default="champion", show_default=True, help="The alias to move.")
@zoo_option
def promote(entry: str, release: int, alias: str, zoo: str | None) -> None:
    """Point an alias at a release, whatever it pointed at: `kdzoo.load` follows champion.

    \b
    Example:
      kdzoo zoo promote aand/demo/weave 2
    """
    registry = _registry(zoo)
    moved = registry.set_alias(entry, alias, release)
    click.echo(f"{alias} of {entry} is release {moved.release}")


def _registry(zoo: str | None) -> Registry:
    from kdzoo.settings import Settings
    from kdzoo.zoo import open_registry

    return open_registry(Settings.from_environment(), zoo, warn=lambda text: click.echo(f"Note: {text}", err=True))


def _row(registry: Registry, entry: str) -> dict[str, Any]:
    """One line of the list; an entry whose champion cannot be read still has one."""
    from zoo_registry import RegistryError

    releases = registry.releases(entry)
    row: dict[str, Any] = {"entry": entry, "releases": len(releases), "champion": None, "protocol": None, "metrics": {}}
    try:
        manifest = registry.resolve(entry)
    except RegistryError as error:
        click.echo(f"Note: {entry}: {error}", err=True)
        return row
    document = manifest.document
    return row | {
        "champion": manifest.release,
        "protocol": document.get("protocol"),
        "metrics": _numbers(document.get("metrics")),
        "created": manifest.created,
    }


def _numbers(value: Any) -> dict[str, float]:
    """The numbers of a mapping that a stranger wrote; what is none is left out."""
    items = value.items() if isinstance(value, dict) else ()
    return {str(key): item for key, item in items if isinstance(item, float | int) and not isinstance(item, bool)}


def _card(manifest: Manifest) -> str:
    """A release as a page of text."""
    document = manifest.document
    lines = [f"{manifest.entry}, release {manifest.release}, {manifest.created}", ""]
    for title in _CARD:
        if title not in document:
            continue
        value = document[title]
        if not isinstance(value, dict):
            lines.append(f"{title:12} {value}")
            continue
        lines.append(title)
        lines += [
            f"  {key:24} {_short(item)}"
            for key, item in value.items()
            if key not in ("image_scores", "map_peaks", "shape")
        ]
    lines.append("blobs")
    lines += [f"  {role:24} {blob.size:,} bytes, sha256 {blob.sha256}" for role, blob in manifest.blobs.items()]
    return "\n".join(lines)


def _short(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4f}" if 1e-3 <= abs(value) < 1e4 or value == 0 else f"{value:.3g}"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _write(manifest: Manifest, files: dict[str, Path], out: Path) -> None:
    """The release as a detector's folder."""
    from kdzoo.detector import DOCUMENT_FILE, TEACHER_FILE, WEIGHTS_FILE
    from kdzoo.training.checkpoint import write_file
    from kdzoo.zoo import PICTURE, TEACHER, WEIGHTS

    out.mkdir(parents=True, exist_ok=True)
    names = {WEIGHTS: WEIGHTS_FILE, TEACHER: TEACHER_FILE, PICTURE: "cases.png"}
    for role, path in files.items():
        if role in names:
            shutil.copyfile(path, out / names[role])
    write_file(out / DOCUMENT_FILE, json.dumps(dict(manifest.document), indent=2).encode())
