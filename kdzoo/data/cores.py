"""How many processors this process may use."""

from __future__ import annotations

import math
import os
from pathlib import Path

_QUOTA = Path("/sys/fs/cgroup/cpu.max")


def usable_cores(quota: Path = _QUOTA) -> int:
    """Processors that this process may use: those it is pinned to, no more than its container's share of time.

    A container on a large machine sees all processors and may use a few; a thread for each would only take memory.

    Args:
        quota: the control group's file (version 2), ``<microseconds|max> <period>``.

    Returns:
        At least 1.
    """
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # macOS cannot pin
        cores = os.cpu_count() or 1
    share = _share(quota)
    return max(1, cores if share is None else min(cores, math.ceil(share)))


def _share(quota: Path) -> float | None:
    """Processors' worth of time a container may use; None when that is not limited or not known."""
    try:
        allowed, period = quota.read_text().split()
        return None if allowed == "max" else int(allowed) / int(period)
    except (OSError, ValueError, ZeroDivisionError):
        return None  # no control group of version 2: the pinning alone decides
