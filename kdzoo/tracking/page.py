"""Where MLflow's own pages show the leaderboard."""

from __future__ import annotations

import json
from collections.abc import Sequence
from urllib.parse import quote, urlencode

from kdzoo.errors import TrackingError, UnknownNameError
from kdzoo.metrics.names import METRIC_NAMES
from kdzoo.tracking.leaderboard import find_experiments
from kdzoo.tracking.views import RESULTS, RESULTS_FILTER, RESULTS_METRIC


def leaderboard_path(uri: str, *, dataset: str | None = None, metric: str = "image_auroc") -> str:
    """The page of finished categories, best first, as what follows a server's address.

    Args:
        uri: MLflow tracking URI, of a server or of the database behind one.
        dataset: only this data set.
        metric: test metric to sort by.

    Raises:
        TrackingError: nothing was tracked yet, or MLflow cannot be reached.
        UnknownNameError: no such metric.
    """
    if metric not in METRIC_NAMES:
        raise UnknownNameError("metric", metric, METRIC_NAMES)
    found = find_experiments(uri)
    chosen = [key for name, key in found.items() if dataset in (None, name.split("/", 2)[-1])]
    if not chosen:
        what = f"data set '{dataset}'" if dataset is not None and found else "sweep"
        raise TrackingError(
            f"MLflow has no experiment of any {what}", hint="start one with: kdzoo sweep aand --dataset demo"
        )
    return _path(chosen, metric)


def _path(experiments: Sequence[str], metric: str) -> str:
    if len(experiments) == 1 and metric == RESULTS_METRIC:
        return f"/#/experiments/{experiments[0]}/runs?viewStateShareKey={RESULTS}"  # a view brings its columns along
    asked = {
        "searchFilter": RESULTS_FILTER,
        "orderByKey": f"metrics.`test_{metric}`",
        "orderByAsc": "false",
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "modelVersionFilter": "All Runs",
    }
    query = urlencode(asked, quote_via=quote)
    if len(experiments) == 1:
        return f"/#/experiments/{experiments[0]}/runs?{query}"
    return f"/#/compare-experiments/s?experiments={quote(json.dumps(list(experiments)))}&{query}"
