"""A job's output as it comes, until the job is over."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from kdzoo.jobs import ClusterJobs

_STOPPED = 130


def follow_job(jobs: ClusterJobs, job: str) -> int:
    """Prints a job's output until it is over; gives its exit status."""
    try:
        ended = jobs.follow(job, _write)
    except KeyboardInterrupt:
        click.echo(f"\n{job} goes on; `kdzoo submit stop {job}` ends it", err=True)
        raise
    click.echo(f"{job}: {ended.state}", err=True)
    if ended.state == "succeeded":
        return 0
    return _STOPPED if ended.state == "stopped" else ended.status or 1


def _write(text: str) -> None:
    click.echo(text, nl=False)
    sys.stdout.flush()
