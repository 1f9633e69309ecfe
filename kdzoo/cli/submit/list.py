"""`kdzoo submit list`: the cluster's kdzoo jobs."""

from __future__ import annotations

import dataclasses

import click

from kdzoo.cli.options import json_option
from kdzoo.cli.say import say_json, tell
from kdzoo.cli.submit.cluster import BeforeCommand, open_jobs, own_address
from kdzoo.cli.submit.took import took_text


@click.command("list", short_help="List the cluster's kdzoo jobs, the latest first.")
@own_address
@json_option
@click.pass_obj
def list_jobs(given: BeforeCommand, address: str | None, as_json: bool) -> None:
    """List the kdzoo commands that the cluster runs and ran, the latest first."""
    from kdzoo.cli.tables import Page, PlainTable

    jobs = open_jobs(address or given.address)
    found = jobs.all()
    if as_json:
        say_json([dataclasses.asdict(job) for job in found])
        return
    if not found:
        tell(f"No jobs at {jobs.address}")
        return
    table = PlainTable(None, ("job", "state", "took", "command"), numbers=("took",))
    for job in found:
        table.add_row(job.id, job.state, took_text(job), job.command)
    Page().table(table)
