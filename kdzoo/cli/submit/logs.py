"""`kdzoo submit logs`: what a job has printed."""

from __future__ import annotations

import click

from kdzoo.cli.say import say_log
from kdzoo.cli.submit.cluster import BeforeCommand, open_jobs, own_address
from kdzoo.cli.submit.following import follow_job


@click.command()
@own_address
@click.option("--follow", "-f", is_flag=True, help="Go on until the job is over; exit with its status.")
@click.argument("job")
@click.pass_obj
def logs(given: BeforeCommand, address: str | None, follow: bool, job: str) -> int:
    """Print what JOB has printed."""
    jobs = open_jobs(address or given.address)
    if follow or given.follow:
        return follow_job(jobs, job)
    say_log(jobs.logs(job))
    return 0
