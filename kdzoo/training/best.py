"""The epoch that selection likes best so far, and its weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from kdzoo.errors import ConfigError
from kdzoo.metrics.report import Report
from kdzoo.metrics.ties import tie_breaker


@dataclass
class BestEpoch:
    """The best epoch of a trial.

    Of two with the same objective the one with the higher pixel AP is better, or AUPRO where that is undefined; of two
    that tie there too, the later: it has learned more, and nothing speaks against it.

    Attributes:
        objective: what selection maximises; minus infinity before anything was measured.
        tie: what decides between equal objectives.
        epoch: over all stages, from 1.
        weights: on the CPU, those that were measured; empty before anything was.
        metrics: all that are defined, by name.
    """

    objective: float = -float("inf")
    tie: float = 0.0
    epoch: int = 0
    weights: dict[str, Tensor] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)

    def as_state(self) -> dict[str, Any]:
        """As a trial's resume state has it; the weights are the same tensors."""
        return {f"best_{name}": getattr(self, name) for name in ("objective", "tie", "epoch", "weights", "metrics")}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> BestEpoch:
        """What `as_state` gave.

        Raises:
            LookupError, TypeError, ValueError, AttributeError: the state is no such thing.
        """
        return cls(
            objective=float(state["best_objective"]),
            tie=float(state.get("best_tie", 0.0)),
            epoch=int(state["best_epoch"]),
            weights=dict(state["best_weights"]),
            metrics={str(name): float(value) for name, value in state["best_metrics"].items()},
        )

    def offer(self, report: Report, objective: str, epoch: int, weights: Mapping[str, Tensor]) -> None:
        """Takes a measured epoch in place of the best one if it is at least as good; then copies its weights.

        Raises:
            ConfigError: the report does not define the objective.
        """
        metrics = report.as_dict("")
        standing = objective_value(report, objective), tie_breaker(metrics, objective)
        if standing >= (self.objective, self.tie):
            # The copy comes first: whoever is interrupted in it keeps the best that there was.
            copied = {name: tensor.to("cpu", copy=True) for name, tensor in weights.items()}
            self.weights, (self.objective, self.tie), self.epoch, self.metrics = copied, standing, epoch, metrics


def objective_value(report: Report, objective: str) -> float:
    """The value that selection maximises.

    Raises:
        ConfigError: the selection part does not define it, such as pixel metrics without masks.
    """
    value = getattr(report, objective)
    if value is None:
        reason = dict(report.undefined).get(objective, "undefined")
        raise ConfigError(
            f"the objective '{objective}' cannot be measured: {reason}", hint="choose another --objective"
        )
    return float(value)
