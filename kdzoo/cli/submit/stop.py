"""`kdzoo submit stop`: asks a job to finish."""

from __future__ import annotations

import click

from kdzoo.cli.say import tell
from kdzoo.cli.submit.cluster import BeforeCommand, open_jobs, own_address


@click.command(short_help="Ask JOB to finish, as Ctrl-C would.")
@own_address
@click.argument("job")
@click.pass_obj
def stop(given: BeforeCommand, address: str | None, job: str) -> None:
    """Ask JOB to finish, as Ctrl-C would: a sweep measures and publishes what is finished, and can be resumed."""
    open_jobs(address or given.address).stop(job)
    tell(f"{job} was asked to finish; `kdzoo submit logs {job} --follow` shows when it has")
