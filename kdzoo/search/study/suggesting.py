"""What a study suggests, as values of a search space."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import optuna

    from kdzoo.search.space.dimension import Dimension
    from kdzoo.search.space.space import SearchSpace


def suggested(trial: optuna.trial.Trial, space: SearchSpace) -> dict[str, Any]:
    """Draws a trial's values of the knobs that matter in it, and of no others; what was enqueued is taken as it is."""
    values = dict[str, Any]()
    for key, dimension in space.dimensions.items():
        if space.matters(key, values):
            values[key] = _suggested(trial, key, dimension)
    return values


def _suggested(trial: optuna.trial.Trial, key: str, dimension: Dimension) -> Any:
    """The value of one knob in a trial."""
    if dimension.kind == "categorical":
        return trial.suggest_categorical(key, dimension.choices)
    if dimension.kind == "int":
        step = int(dimension.step or 1)
        return trial.suggest_int(key, int(dimension.low), int(dimension.high), log=dimension.log, step=step)
    return trial.suggest_float(key, dimension.low, dimension.high, log=dimension.log, step=dimension.step)
