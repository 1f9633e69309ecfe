"""The trials of a category that no other one beats in every objective."""

from __future__ import annotations

from collections.abc import Sequence

from kdzoo.search.record.board import ParetoTrial, TrialRow
from kdzoo.search.study.strategy import Direction, direction


def front(points: Sequence[Sequence[float]], directions: Sequence[Direction]) -> list[int]:
    """Which points are dominated by no other.

    Args:
        points: values of each, in the order of the directions.
        directions: which way each value is better.

    Returns:
        Their places, in order; equal points are all among them.
    """
    signs = [1.0 if each == "maximize" else -1.0 for each in directions]
    gains = [[sign * value for sign, value in zip(signs, point, strict=True)] for point in points]
    return [place for place, gain in enumerate(gains) if not any(_dominates(other, gain) for other in gains)]


def pareto_trials(rows: Sequence[TrialRow], objective: str, also: Sequence[str]) -> list[ParetoTrial]:
    """The Pareto front of trials, the best by the first objective first; none where there is one objective only.

    Only trials that were trained to their end have all values, and take part. Those whose latency was measured on
    unlike devices are not compared: there is a front for each device.

    Args:
        rows: of one category.
        objective: the sweep's first.
        also: its further ones.
    """
    if not also:
        return []
    names = (objective, *also)
    candidates: dict[str, list[tuple[TrialRow, tuple[float, ...]]]] = {}
    for row in rows:
        if row.status == "finished" and row.objective is not None and all(name in row.also for name in also):
            values = (row.objective, *(row.also[name] for name in also))
            candidates.setdefault(row.timed_on, []).append((row, values))
    found = []
    for device, alike in candidates.items():
        for place in front([values for _, values in alike], [direction(name) for name in names]):
            row, values = alike[place]
            objectives = dict(zip(names, values, strict=True))
            found.append(ParetoTrial(number=row.number, objectives=objectives, config=row.config, timed_on=device))
    return sorted(found, key=lambda trial: (trial.timed_on, -trial.objectives[objective], trial.number))


def _dominates(one: Sequence[float], other: Sequence[float]) -> bool:
    return all(a >= b for a, b in zip(one, other, strict=True)) and any(a > b for a, b in zip(one, other, strict=True))
