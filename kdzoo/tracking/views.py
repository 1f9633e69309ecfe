"""Saved views of an experiment on MLflow's page: which runs, which columns, in which order.

The page keeps a saved view in a tag of the experiment, a small JSON document with the page's state in it. Pages before
MLflow 3.13 show such a view without its columns, or not at all; nothing else depends on it.
"""

from __future__ import annotations

import json
from typing import Final

RESULTS: Final = "kdzoo-results"
"""Key of the view that is the leaderboard."""
RESULTS_METRIC: Final = "image_auroc"
"""What that view is sorted by."""
RESULTS_FILTER: Final = "tags.`kdzoo.level` = 'category' AND attributes.status = 'FINISHED'"

_TAG: Final = "mlflow.sharedViewState."
_TESTED: Final = ("image_auroc", "pixel_auroc", "pixel_ap", "aupro")
_KNOWN: Final = ("kdzoo.category", "kdzoo.protocol", "kdzoo.release", "kdzoo.champion", "kdzoo.sweep")


def view_tags(now_ms: int) -> dict[str, str]:
    """The tags of an experiment that give its page the views *Results*, *Champions* and *Trials*.

    Args:
        now_ms: milliseconds since 1970.
    """
    results = [*(_column("metrics", f"test_{name}") for name in _TESTED), *(_column("tags", name) for name in _KNOWN)]
    results.append(_column("metrics", "cost_seconds"))
    trials = [_column("tags", "kdzoo.category"), _column("metrics", "objective")]
    trials += [_column("metrics", f"val_{name}") for name in _TESTED]
    trials += [_column("tags", "kdzoo.status"), _column("metrics", "cost_seconds"), _column("tags", "kdzoo.reason")]
    by_test = _column("metrics", f"test_{RESULTS_METRIC}")
    views = {
        RESULTS: ("Results", RESULTS_FILTER, by_test, results),
        "kdzoo-champions": ("Champions", "tags.`kdzoo.champion` = 'true'", by_test, results),
        "kdzoo-trials": ("Trials", "tags.`kdzoo.level` = 'trial'", _column("metrics", "objective"), trials),
    }
    return {f"{_TAG}{key}": _view(*view, now_ms) for key, view in views.items()}


def _view(name: str, asked: str, order: str, columns: list[str], now_ms: int) -> str:
    state = {
        "searchFilter": asked,
        "orderByKey": order,
        "orderByAsc": False,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "selectedColumns": columns,
    }
    return json.dumps({"name": name, "createdAt": now_ms, "updatedAt": now_ms, "state": json.dumps(state)})


def _column(kind: str, name: str) -> str:
    return f"{kind}.`{name}`"
