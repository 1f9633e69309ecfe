"""A job's output as it comes, until the job is over."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kdzoo.cli.say import say_log, tell

if TYPE_CHECKING:
    from kdzoo.jobs import ClusterJobs

_STOPPED = 130


def follow_job(jobs: ClusterJobs, job: str) -> int:
    """Prints a job's output until it is over; gives its exit status."""
    try:
        ended = jobs.follow(job, say_log)
    except KeyboardInterrupt:
        tell("", f"{job} goes on; `kdzoo submit stop {job}` ends it")
        raise
    tell(f"{job}: {ended.state}")
    if ended.state == "succeeded":
        return 0
    return _STOPPED if ended.state == "stopped" else ended.status or 1
