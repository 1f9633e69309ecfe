"""What is written to MLflow, and the leaderboard read back from it.

Names load on first use: MLflow takes seconds to import, and reads its switches while it does
(`kdzoo.tracking.environment`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kdzoo.tracking.leaderboard import CategoryResult, Leaderboard, LeaderboardTable, MethodMean, read_leaderboard
    from kdzoo.tracking.notes import CategoryEnd
    from kdzoo.tracking.records import Cost, SweepStatus, TrialStatus
    from kdzoo.tracking.reference import ReleaseRef
    from kdzoo.tracking.sender import replay
    from kdzoo.tracking.tracker import SweepTracker

__all__ = [
    "CategoryEnd",
    "CategoryResult",
    "Cost",
    "Leaderboard",
    "LeaderboardTable",
    "MethodMean",
    "ReleaseRef",
    "SweepStatus",
    "SweepTracker",
    "TrialStatus",
    "read_leaderboard",
    "replay",
]

_LAZY = {
    "CategoryEnd": "notes",
    "CategoryResult": "leaderboard",
    "Cost": "records",
    "Leaderboard": "leaderboard",
    "LeaderboardTable": "leaderboard",
    "MethodMean": "leaderboard",
    "ReleaseRef": "reference",
    "SweepStatus": "records",
    "SweepTracker": "tracker",
    "TrialStatus": "records",
    "read_leaderboard": "leaderboard",
    "replay": "sender",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'kdzoo.tracking' has no attribute '{name}'")
    from importlib import import_module

    return getattr(import_module(f"kdzoo.tracking.{_LAZY[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
