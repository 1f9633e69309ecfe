"""`kdzoo doctor`: is everything there that a sweep needs?"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import click

from kdzoo.cli.options import json_option, zoo_option
from kdzoo.cli.progress import Bar
from kdzoo.cli.say import say, say_json

if TYPE_CHECKING:
    from kdzoo.doctor import Finding

_COLOURS = {"ok": "green", "warn": "yellow", "fail": "red"}


@click.command()
@click.option("--dataset", "-d", metavar="NAME|PATH", help="Also look for this data set, on every node.")
@click.option("--teacher", metavar="NAME[@FILE]", help="Also look for its weights; default the data set's own.")
@click.option("--ray-address", metavar="HOST:PORT", help="A Ray cluster; default RAY_ADDRESS, else this machine.")
@zoo_option
@json_option
def doctor(dataset: str | None, teacher: str | None, ray_address: str | None, zoo: str | None, as_json: bool) -> int:
    """Check Ray and its nodes, MLflow, the zoo, disks, a data set and a teacher: what a sweep needs.

    Every check ends within two and a half minutes, most within seconds, whatever does not answer. The zoo and
    KDZOO_HOME get a few bytes that are removed again. The exit status is 1 when something fails.

    \b
    Examples:
      kdzoo doctor
      kdzoo doctor --dataset visa --zoo s3://plant/zoo --ray-address 10.0.0.5:6379
      kdzoo doctor --json | jq '.findings[] | select(.state == "fail")'
    """
    from kdzoo.doctor import Asked, examine

    asked = Asked(dataset=dataset, teacher=teacher, zoo=zoo, ray_address=ray_address)
    with Bar("Checking") as bar:
        found = examine(asked, progress=bar)
    failed = [finding for finding in found if finding.state == "fail"]
    if as_json:
        say_json({"ok": not failed, "findings": [dataclasses.asdict(finding) for finding in found]})
    else:
        _print(found)
    return 1 if failed else 0


def _print(found: list[Finding]) -> None:
    from kdzoo.cli.tables import Page, PlainTable

    table = PlainTable(None, ("check", "node", "state", "what was found", "what to do"))
    for finding in found:
        cells = (finding.check, finding.node, finding.state, finding.what, finding.hint)
        table.add_row(*cells, styles=("", "", _COLOURS[finding.state]))
    Page().table(table)
    counts = {state: sum(finding.state == state for finding in found) for state in _COLOURS}
    verdict = "something a sweep needs is missing" if counts["fail"] else "ready to sweep"
    say(f"{counts['ok']} ok, {counts['warn']} warn, {counts['fail']} fail: {verdict}")
