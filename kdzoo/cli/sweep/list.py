"""`kdzoo sweep list`: the sweeps of this home."""

from __future__ import annotations

import time

import click

from kdzoo.cli.ages import age_text
from kdzoo.cli.options import json_option
from kdzoo.cli.say import say_json, tell
from kdzoo.cli.sizes import size_text


@click.command("list", short_help="List the sweeps, and how they stand.")
@json_option
def list_sweeps(as_json: bool) -> None:
    """List the sweeps: what is swept, how they stand, how far they are, and what they take on the disk.

    \b
    Examples:
      kdzoo sweep list
      kdzoo sweep list --json
    """
    from kdzoo.cli.tables import Page, PlainTable
    from kdzoo.search.record.group import all_groups
    from kdzoo.search.record.overview import all_sweeps
    from kdzoo.settings import Settings

    settings = Settings.from_environment()
    found, troubles = all_sweeps(settings)
    for group in reversed(all_groups(settings, left_out=troubles.append)):  # each before its sweeps, which stay listed
        members = [each for name in group.members for each in found if each.name == name]
        if members:
            found.insert(min(map(found.index, members)), group.summary(members))
    for trouble in troubles:
        tell(f"Left out: {trouble}")
    if as_json:
        say_json([each.as_json() for each in found])
        return
    if not found:
        tell(f"No sweeps in {settings.sweeps}")
        return
    table = PlainTable(
        None,
        ("name", "method", "data set", "state", "trials", "age", "size"),
        numbers=("trials", "age", "size"),
    )
    for each in found:
        age = age_text(time.time() - each.created)
        trials = f"{each.done}/{each.planned}"
        name = f"  {each.name}" if each.group else each.name
        table.add_row(name, each.method, each.dataset, each.state, trials, age, size_text(each.size))
    page = Page()
    page.table(table)
    for each in found:
        if each.reason:
            page.line(f"{each.name} failed: {each.reason}")
