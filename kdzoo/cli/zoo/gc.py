"""`kdzoo zoo gc`: remove what nothing refers to."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from kdzoo.cli.ages import age_seconds
from kdzoo.cli.notes import tell_note
from kdzoo.cli.options import json_option, zoo_option
from kdzoo.cli.say import say, say_json
from kdzoo.cli.sizes import size_text
from kdzoo.cli.zoo.step_bars import StepBars
from kdzoo.cli.zoos import open_store_of


@click.command()
@click.option(
    "--grace", default="7d", show_default=True, metavar="AGE", help="Keep what is younger: 30m, 12h, 7d, 2w or 0."
)
@click.option("--dry-run", is_flag=True, help="Only say what would be removed.")
@zoo_option
@json_option
def gc(grace: str, dry_run: bool, zoo: str | None, as_json: bool) -> None:
    """Remove blobs that no release refers to, and what stopped writers left: never a release.

    Publishing may go on meanwhile; unfinished uploads younger than a day are left alone whatever --grace says. Blobs
    without a release come from a publish that was stopped, or a manifest that a person deleted.

    \b
    Examples:
      kdzoo zoo gc --dry-run
      kdzoo zoo gc --grace 30d --zoo s3://models/zoo
    """
    from zoo_registry.store.recognising import check_is_zoo
    from zoo_registry.upkeep.gc import collect

    seconds = age_seconds(grace, "--grace")
    store = open_store_of(zoo)
    check_is_zoo(store)
    with StepBars() as bars:
        done = collect(store, grace=seconds, dry_run=dry_run, progress=bars)
    if as_json:
        document = {
            "zoo": store.uri,
            "dry_run": dry_run,
            "removed": list(done.removed),
            "freed": done.freed,
            "restored": list(done.restored),
            "recent": done.recent,
            "referenced": done.referenced,
            "leftovers": [{"what": left.what, "since": _time(left.since)} for left in done.leftovers],
            "notes": list(done.notes),
        }
        say_json(document)
        return
    for text in done.notes:
        tell_note(text)
    verb = "would remove" if dry_run else "removed"
    for sha256 in done.removed:
        say(f"{verb} blob {sha256}")
    for left in done.leftovers:
        say(f"{verb} {left.what}, of {_time(left.since)}")
    for sha256 in done.restored:
        say(f"{'would bring' if dry_run else 'brought'} back blob {sha256}, which a release refers to by now")
    say(
        f"{store.uri}: {verb} {len(done.removed)} blobs of {size_text(done.freed)} "
        f"and {len(done.leftovers)} leftovers; "
        f"{done.referenced} blobs are referred to, {done.recent} more are younger than {grace}"
    )


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
