"""`kdzoo submit show`: how one job stands."""

from __future__ import annotations

import dataclasses

import click

from kdzoo.cli.options import json_option
from kdzoo.cli.say import say, say_json
from kdzoo.cli.submit.cluster import BeforeCommand, open_jobs, own_address
from kdzoo.cli.submit.took import took_text


@click.command()
@own_address
@json_option
@click.argument("job")
@click.pass_obj
def show(given: BeforeCommand, address: str | None, as_json: bool, job: str) -> None:
    """Show how JOB stands."""
    found = open_jobs(address or given.address).find(job)
    if as_json:
        say_json(dataclasses.asdict(found))
        return
    say(f"{found.id}: {found.state}, {took_text(found)}")
    say(f"  {found.command}")
    for name, value in found.variables.items():
        say(f"  {name}={value}")
    if found.status is not None:
        say(f"  exit status {found.status}")
    if found.message:
        say(f"  {found.message}")
