"""The leaderboard: what is the best known result of each method on each category, read back from MLflow."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from operator import attrgetter
from statistics import fmean
from typing import Any, Final, TypeVar

from kdzoo.addresses import sqlite_path
from kdzoo.errors import KdzooError, TrackingError, UnknownNameError
from kdzoo.metrics.binomial import Share
from kdzoo.metrics.names import METRIC_NAMES
from kdzoo.tracking.environment import prepare_mlflow
from kdzoo.tracking.hints import is_web_page, no_mlflow, what_to_do
from kdzoo.tracking.pages import all_pages
from zoo_registry.addresses import without_credentials

_PAGE: Final = 1000

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class CategoryResult:
    """One method's best measured result on one category.

    Attributes:
        objective: the metric that selection maximised.
        objective_value: its value on the selection part, ``val_<objective>``.
        test: metrics of the test part, without the ``test_`` prefix; fractions.
        false_alarms: alarms of the calibrated threshold on the report's normal images; None where it was not logged.
        misses: likewise, its misses among the report's defects.
        cost_seconds: wall time of all trials of the category; None if not logged.
        cost_gpu_seconds: GPU time of the same.
        release: the zoo's release number; None when it was not published.
        champion: whether that release is the zoo's champion.
        split_digest: which images selected and which reported.
        data: digest of the images that there were; None where an earlier kdzoo did not log it.
        image_size: side of the square that networks see, in pixels; likewise.
        resize: how images come to that square; likewise.
        finished_ms: when it ended, milliseconds since 1970.
        run_id: MLflow run of the category.
    """

    method: str
    dataset: str
    category: str
    protocol: str
    teacher: str | None
    sweep: str | None
    objective: str
    objective_value: float
    test: Mapping[str, float]
    cost_seconds: float | None
    cost_gpu_seconds: float | None
    release: int | None
    split_digest: str | None
    finished_ms: int
    run_id: str
    false_alarms: Share | None = None
    misses: Share | None = None
    champion: bool = False
    data: str | None = None
    image_size: str | None = None
    resize: str | None = None


@dataclass(frozen=True, kw_only=True)
class MethodMean:
    """A method's means, with one teacher, over the categories in which all of the table compare.

    Attributes:
        test: mean of each test metric that is defined on all of these categories.
        categories: how many categories that is.
        cost_seconds: mean wall time a category; None if one was not logged.
    """

    method: str
    test: Mapping[str, float]
    categories: int
    cost_seconds: float | None
    teacher: str | None = None


@dataclass(frozen=True, kw_only=True)
class LeaderboardTable:
    """What may be compared: one data set under one protocol and objective, at one input size and way of resizing.

    These are the terms by which a champion is compared; what is left of them, split and data, is said by category.

    Attributes:
        objective: what selection maximised.
        image_size, resize: of the input; None where an earlier kdzoo did not log it.
        rows: by category; in it those that compare are together, best first by the ranking metric; without it last.
        means: best first; empty when there is no category that all have and compare in.
        shared_categories: the categories behind the means.
        mixed_splits: categories whose rows do not all compare.
        not_compared: for each of these, in what they differ: ``split``, ``data`` or both.
    """

    dataset: str
    protocol: str
    objective: str
    image_size: str | None
    resize: str | None
    rows: tuple[CategoryResult, ...]
    means: tuple[MethodMean, ...]
    shared_categories: tuple[str, ...]
    mixed_splits: tuple[str, ...]
    not_compared: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, kw_only=True)
class Leaderboard:
    """All tables, by data set and protocol.

    Attributes:
        metric: what rows and means are ranked by, measured on the test part.
    """

    metric: str
    tables: tuple[LeaderboardTable, ...]

    def as_json(self) -> dict[str, Any]:
        """A plain dict, ready for JSON."""
        return asdict(self)


def read_leaderboard(uri: str, *, dataset: str | None = None, metric: str = "image_auroc") -> Leaderboard:
    """Reads the finished category runs of all ``kdzoo/*`` experiments.

    Of several runs of one method with one teacher in a table's category, the one with the best objective on the
    selection part counts (never the test part), then the latest. Where split or data were changed between sweeps, only
    runs with the latest run's compete: a value on other images says nothing.

    Args:
        uri: MLflow tracking URI.
        dataset: only this data set.
        metric: test metric to rank by.

    Returns:
        The leaderboard; without tables when nothing was tracked yet.

    Raises:
        TrackingError: the server cannot be reached; after seconds, not minutes.
        UnknownNameError: no such metric.
    """
    if metric not in METRIC_NAMES:
        raise UnknownNameError("metric", metric, METRIC_NAMES)
    results = [result for run in _category_runs(uri) if (result := _result(run)) is not None]
    chosen = [result for result in results if dataset in (None, result.dataset)]
    return Leaderboard(metric=metric, tables=_tables(_best(chosen), metric))


def find_experiments(uri: str) -> dict[str, str]:
    """The MLflow ids of all experiments ``kdzoo/<method>/<dataset>``, by name; none where nothing was tracked yet.

    Raises:
        TrackingError: the server cannot be reached; after seconds, not minutes.
    """
    return _read(uri, lambda client: {found.name: found.experiment_id for found in _experiments(client)}) or {}


def _category_runs(uri: str) -> list[Any]:
    query = "tags.`kdzoo.level` = 'category' AND attributes.status = 'FINISHED'"

    def search(client: Any) -> list[Any]:
        experiments = [experiment.experiment_id for experiment in _experiments(client)]
        if not experiments:
            return []
        return list(all_pages(lambda token: client.search_runs(experiments, query, 1, _PAGE, None, token)))

    return _read(uri, search) or []


def _experiments(client: Any) -> list[Any]:
    names = "name LIKE 'kdzoo/%'"
    return list(all_pages(lambda token: client.search_experiments(filter_string=names, page_token=token)))


def _read(uri: str, ask: Callable[[Any], T]) -> T | None:
    """What a client answers; None where there is no database, which reading must not make."""
    path = sqlite_path(uri)
    if path is not None and not path.exists():
        return None
    prepare_mlflow()
    from kdzoo.tracking.store import open_client

    try:
        return ask(open_client(uri))
    except KdzooError:
        raise
    except Exception as error:
        if is_web_page(error):
            raise no_mlflow(uri) from error
        # MLflow lets through whatever its database, its HTTP library or the disk raises.
        reason = (without_credentials(str(error)).strip().splitlines() or [type(error).__name__])[0][:300]
        raise TrackingError(
            f"cannot read the leaderboard from MLflow at {without_credentials(uri)}: {reason}",
            hint=what_to_do(uri, error),
        ) from error


def _result(run: Any) -> CategoryResult | None:
    """A run as a result; None when it holds no measured result of ours."""
    tags, metrics = run.data.tags, run.data.metrics
    needed = [tags.get(f"kdzoo.{name}") for name in ("method", "dataset", "category", "protocol", "objective")]
    objective_value = metrics.get(f"val_{needed[-1]}")
    test = {name: metrics[f"test_{name}"] for name in METRIC_NAMES if f"test_{name}" in metrics}
    if None in needed or objective_value is None or not test:
        return None
    release = tags.get("kdzoo.release", "")
    method, dataset, category, protocol, objective = (str(value) for value in needed)
    return CategoryResult(
        method=method,
        dataset=dataset,
        category=category,
        protocol=protocol,
        teacher=tags.get("kdzoo.teacher"),
        sweep=tags.get("kdzoo.sweep"),
        objective=objective,
        objective_value=objective_value,
        test=test,
        cost_seconds=metrics.get("cost_seconds"),
        cost_gpu_seconds=metrics.get("cost_gpu_seconds"),
        release=int(release) if release.isdecimal() else None,
        split_digest=tags.get("kdzoo.split_digest"),
        finished_ms=int(run.info.end_time or run.info.start_time),
        run_id=str(run.info.run_id),
        false_alarms=_share(metrics, "false_alarms", "normal_images", "false_alarm_rate"),
        misses=_share(metrics, "misses", "defective_images", "miss_rate"),
        champion=tags.get("kdzoo.champion") == "true",
        data=tags.get("kdzoo.data"),
        image_size=tags.get("kdzoo.image_size"),
        resize=tags.get("kdzoo.resize"),
    )


def _share(metrics: Mapping[str, float], count: str, images: str, rate: str) -> Share | None:
    """A share of the report's images, as `kdzoo.training.operating_point.as_metrics` names its numbers."""
    names = (f"test_{count}", f"test_{images}", f"test_{rate}_low", f"test_{rate}_high")
    if not all(math.isfinite(metrics.get(name, math.nan)) for name in names):  # a stranger may have logged NaN
        return None
    counted, of, low, high = (metrics[name] for name in names)
    return Share(count=int(counted), of=int(of), low=low, high=high)


def _table_of(row: CategoryResult) -> tuple[str, ...]:
    """What all rows of a table share."""
    return (row.dataset, row.protocol, row.objective, row.image_size or "", row.resize or "")


def _entrant(row: CategoryResult) -> tuple[str, str]:
    return row.method, row.teacher or ""


def _images(row: CategoryResult) -> tuple[str, str]:
    """What rows of a table must share beside that to be compared: which images were looked at."""
    return row.split_digest or "", row.data or ""


def _best(results: Iterable[CategoryResult]) -> list[CategoryResult]:
    def key(row: CategoryResult) -> tuple[Any, ...]:
        return (*_table_of(row), row.category, *_entrant(row))

    best = []
    for _, group in groupby(sorted(results, key=key), key):
        rivals = list(group)
        latest = max(rivals, key=attrgetter("finished_ms"))
        comparable = [rival for rival in rivals if _images(rival) == _images(latest)]
        best.append(max(comparable, key=attrgetter("objective_value", "finished_ms")))
    return best


def _tables(results: Sequence[CategoryResult], metric: str) -> tuple[LeaderboardTable, ...]:
    tables = []
    for _, group in groupby(sorted(results, key=_table_of), _table_of):
        rows = _ranked(list(group), metric)
        mixed = _not_compared(rows)
        shared = _shared_categories(rows, mixed)
        first = rows[0]
        tables.append(
            LeaderboardTable(
                dataset=first.dataset,
                protocol=first.protocol,
                objective=first.objective,
                image_size=first.image_size,
                resize=first.resize,
                rows=tuple(rows),
                means=_means(rows, shared, metric),
                shared_categories=shared,
                mixed_splits=tuple(mixed),
                not_compared=mixed,
            )
        )
    return tuple(tables)


def _ranked(rows: Sequence[CategoryResult], metric: str) -> list[CategoryResult]:
    """By category; in it what compares is together, the latest of it first, and within that the best first."""
    latest: dict[tuple[str, ...], int] = {}
    for row in rows:
        there = (row.category, *_images(row))
        latest[there] = max(latest.get(there, 0), row.finished_ms)

    def key(row: CategoryResult) -> tuple[Any, ...]:
        images = _images(row)
        return row.category, -latest[(row.category, *images)], images, -row.test.get(metric, -1.0), *_entrant(row)

    return sorted(rows, key=key)


def _not_compared(rows: Sequence[CategoryResult]) -> dict[str, tuple[str, ...]]:
    found = {}
    for category in sorted({row.category for row in rows}):
        images = {_images(row) for row in rows if row.category == category}
        differs = tuple(name for place, name in enumerate(("split", "data")) if len({one[place] for one in images}) > 1)
        if differs:
            found[category] = differs
    return found


def _shared_categories(rows: Sequence[CategoryResult], mixed: Iterable[str]) -> tuple[str, ...]:
    of_entrant = [{row.category for row in rows if _entrant(row) == one} for one in {_entrant(row) for row in rows}]
    return tuple(sorted(set.intersection(*of_entrant) - set(mixed)))


def _means(rows: Sequence[CategoryResult], shared: Sequence[str], metric: str) -> tuple[MethodMean, ...]:
    if not shared:
        return ()
    means = []
    for entrant in sorted({_entrant(row) for row in rows}):
        own = [row for row in rows if _entrant(row) == entrant and row.category in shared]
        names = [name for name in METRIC_NAMES if all(name in row.test for row in own)]
        costs = [row.cost_seconds for row in own if row.cost_seconds is not None]
        means.append(
            MethodMean(
                method=own[0].method,
                test={name: fmean(row.test[name] for row in own) for name in names},
                categories=len(shared),
                cost_seconds=fmean(costs) if len(costs) == len(own) else None,
                teacher=own[0].teacher,
            )
        )
    return tuple(sorted(means, key=lambda mean: (-mean.test.get(metric, -1.0), mean.method, mean.teacher or "")))
