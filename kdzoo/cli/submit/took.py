"""How long a job took, as people read it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from kdzoo.cli.ages import age_text

if TYPE_CHECKING:
    from kdzoo.jobs import Job


def took_text(job: Job) -> str:
    """The time from its start to its end, or until now."""
    return "not started" if job.started is None else age_text((job.ended or time.time()) - job.started)
