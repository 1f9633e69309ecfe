"""`kdzoo zoo copy`: releases from one zoo to another, such as to a site without a network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from kdzoo.cli.notes import tell_note
from kdzoo.cli.options import json_option
from kdzoo.cli.say import say, say_json
from kdzoo.cli.sizes import size_text
from kdzoo.cli.zoo.step_bars import StepBars
from kdzoo.cli.zoos import open_store_of
from kdzoo.errors import UsageError

if TYPE_CHECKING:
    from zoo_registry.upkeep.copy_plan import AliasToCopy
    from zoo_registry.upkeep.copying import Copied


@click.command()
@click.argument("source", metavar="SRC")
@click.argument("target", metavar="DST")
@click.argument("entries", nargs=-1, metavar="[METHOD/DATASET/CATEGORY]...")
@click.option("--all", "everything", is_flag=True, help="Copy all entries.")
@click.option("--alias", metavar="NAME", help="Only the release that this alias points at; default all releases.")
@click.option("--dry-run", is_flag=True, help="Only say what would be copied.")
@json_option
def copy(
    source: str,
    target: str,
    entries: tuple[str, ...],
    everything: bool,
    alias: str | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Copy releases from the zoo SRC to the zoo DST, each a folder or s3://bucket/prefix.

    Numbers, digests and the logs of aliases stay what they are. DST is a zoo of its own, with its own id: signatures
    come along, and count there for those who trust SRC by KDZOO_SIGNED_FOR, or once the releases are signed there. What
    DST has already is not sent again, so a copy that was stopped goes on when it is started again. Nothing is copied if
    DST has another release under the same number. Entries may be given by pattern, each part of the name by itself.

    \b
    Examples:
      kdzoo zoo copy s3://models/zoo /media/usb/zoo --all --alias champion
      kdzoo zoo copy ~/.kdzoo/zoo s3://models/zoo 'aand/mvtec/*' --dry-run
      kdzoo zoo copy /media/usb/zoo ~/.kdzoo/zoo --all
    """
    from zoo_registry.upkeep import copying

    if everything == bool(entries):
        raise UsageError("say which entries to copy", hint="either names such as 'aand/mvtec/*', or --all")
    if alias is not None:
        from zoo_registry.format.names import check_alias

        check_alias(alias)
    stores = open_store_of(source), open_store_of(target)
    with StepBars() as bars:
        done = copying.copy(
            *stores,
            None if everything else entries,
            alias=alias,
            dry_run=dry_run,
            warn=tell_note,
            progress=bars,
        )
    for one in done.kept:
        tell_note(_kept(one, stores[1].uri))
    if done.signed_for:
        tell_note(_bound(done.signed_for, stores[1].uri))
    if as_json:
        say_json({"source": stores[0].uri, "target": stores[1].uri, "dry_run": dry_run, **_document(done)})
    else:
        _print(done, stores[1].uri, dry_run)


def _document(done: Copied) -> dict[str, Any]:
    return {
        "releases": list(done.releases),
        "same": done.same,
        "blobs": done.blobs,
        "bytes": done.size,
        "signatures": done.signatures,
        "signed_for": list(done.signed_for),
        "moved": [_alias(one) for one in done.moved],
        "kept": [_alias(one) | {"target_release": one.present.release if one.present else None} for one in done.kept],
        "withdrawn": list(done.withdrawn),
        "skipped": list(done.skipped),
    }


def _alias(one: AliasToCopy) -> dict[str, Any]:
    return {"entry": str(one.entry), "alias": one.alias, "release": one.newest.release}


def _bound(zoos: Sequence[str], target: str) -> str:
    """What becomes of the signatures."""
    return (
        f"signatures are bound to {'zoo' if len(zoos) == 1 else 'zoos'} {', '.join(zoos)}: in {target} they count "
        f"where KDZOO_SIGNED_FOR={','.join(zoos)} is set, or sign there: kdzoo zoo sign NAME --release N --zoo {target}"
    )


def _kept(one: AliasToCopy, target: str) -> str:
    """Why an alias stays, and how to move it all the same."""
    name, release = f"{one.alias} of {one.entry}", one.present.release if one.present else None
    stays = "stays deleted" if release is None else f"stays at release {release}"
    if one.stand == "ahead" or one.newest.release is None:
        return f"{name} {stays} in {target}: it was moved there since it was copied"
    how = f"kdzoo zoo alias {one.entry} {one.alias} {one.newest.release} --zoo {target}"
    return f"{name} {stays} in {target}, where it was moved by itself; to move it: {how}"


def _print(done: Copied, target: str, dry_run: bool) -> None:
    for title in done.releases:
        say(f"{'would copy' if dry_run else 'copied'} {title}")
    for one in done.moved:
        where = "deleted" if one.newest.release is None else f"release {one.newest.release}"
        say(f"{one.alias} of {one.entry} {'would be' if dry_run else 'is'} {where}")
    for title in done.withdrawn:
        say(f"{title} {'would be' if dry_run else 'is'} withdrawn")
    for name in done.skipped:
        say(f"left out {name}, which has no such alias")
    say(
        f"{target}: {'would take' if dry_run else 'took'} {len(done.releases)} releases, {done.blobs} files of "
        f"{size_text(done.size)} and {done.signatures} signatures; {done.same} releases were there"
    )
