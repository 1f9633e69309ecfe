"""The final round: a category's best few configurations again, under other seeds, so that what wins has earned it.

Seeds spread as far as configurations do: the best of many single runs is in part the luckiest, and falls back when it
is trained again. So the best few are compared by their mean over the same seeds, on the same images, and so is the
configuration of the published champion, which stays unless it is beaten by more than the standard error of the
difference.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from math import sqrt
from statistics import fmean, stdev
from typing import Any, Final, Self

PUBLISHED: Final = -1
"""Stands for the champion's configuration where others have the number of their trial."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FinalTrial:
    """One training of the final round.

    Attributes:
        of: number of the trial whose configuration it is, or `PUBLISHED`.
        seed: of weights, batches and synthetic anomalies.
        config: the whole configuration.
    """

    of: int
    seed: int
    config: Mapping[str, Any]

    def as_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {**asdict(self), "config": dict(self.config)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The inverse of `as_dict`."""
        return cls(of=int(values["of"]), seed=int(values["seed"]), config=dict(values["config"]))


@dataclass(frozen=True, kw_only=True, slots=True)
class Scored:
    """What a trial of a final's configuration reached.

    Attributes:
        of: as in `FinalTrial`; a trial of the search is of itself.
        seed: its seed.
        number: of the trial.
        objective: the best value; None where it failed.
    """

    of: int
    seed: int
    number: int
    objective: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """What a final round came to.

    Attributes:
        number: of the trial that is to be published: the best seed of the configuration whose mean is the highest.
        means: number of each configuration's first trial, or `PUBLISHED`, to its mean over the seeds.
        values: the same to what each seed reached, in the order of the seeds.
        seeds: that all were trained under.
        stays: whether the published one stays, since it is not beaten by more than the standard error.
        difference: of the means, the winner's less the published one's; None where none was compared.
        error: the standard error of that.
    """

    number: int
    means: Mapping[int, float]
    values: Mapping[int, tuple[float, ...]]
    seeds: tuple[int, ...]
    stays: bool = False
    difference: float | None = None
    error: float | None = None

    def as_document(self) -> dict[str, Any]:
        """What a release says of it: the means are what may be expected, and its own objective is the best of them."""
        told: dict[str, Any] = {
            "seeds": list(self.seeds),
            "configurations": [
                {"trial": None if of == PUBLISHED else of, "mean": self.means[of], "values": list(self.values[of])}
                for of in sorted(self.means, key=lambda each: -self.means[each])
            ],
        }
        if self.difference is not None:
            told |= {"against_published": self.difference, "standard_error": self.error}
        return told

    def note(self) -> str:
        """Why the published one stays, in a line."""
        return (
            f"the champion's configuration stays: over {len(self.seeds)} seeds the difference of the means is "
            f"{self.difference:+.4f}, with a standard error of {self.error:.4f}"
        )


def plan_finals(
    ranked: Iterable[tuple[int, Mapping[str, Any]]],
    published: Mapping[str, Any] | None,
    *,
    finalists: int,
    seeds: Sequence[int],
) -> list[FinalTrial]:
    """The trainings of a final round, seed by seed, so that an early end leaves whole comparisons.

    Args:
        ranked: number and configuration of the usable trials, the best first; each was trained under the first seed.
        published: the champion's configuration; None where there is none to compare with.
        finalists: configurations that take part beside it.
        seeds: of every one; without a second one there is no final round.

    Returns:
        None at all where only one configuration would take part.
    """
    chosen: dict[int, Mapping[str, Any]] = {}
    for number, config in ranked:
        if len(chosen) < finalists and all(dict(config) != dict(other) for other in chosen.values()):
            chosen[number] = config
    other = (
        published if published is not None and all(dict(published) != dict(one) for one in chosen.values()) else None
    )
    if len(seeds) < 2 or not chosen or len(chosen) + (other is not None) < 2:
        return []
    found = []
    for place, seed in enumerate(seeds):
        if place:
            found += [FinalTrial(of=number, seed=seed, config=config) for number, config in chosen.items()]
        if other is not None:
            found.append(FinalTrial(of=PUBLISHED, seed=seed, config=other))
    return found


def decide(scored: Iterable[Scored], *, seeds: Sequence[int]) -> Verdict | None:
    """Who wins a final round.

    A configuration that failed under a seed takes no part. Of equal means the earlier trial's wins.

    Args:
        scored: the trials of all configurations that took part, the search's own included.
        seeds: as in `plan_finals`.

    Returns:
        None where no configuration was trained under all seeds.
    """
    by: dict[int, dict[int, Scored]] = {}
    for one in scored:
        if one.objective is not None:
            by.setdefault(one.of, {})[one.seed] = one
    whole = {of: [found[seed] for seed in seeds] for of, found in by.items() if set(seeds) <= found.keys()}
    values = {of: tuple(float(one.objective or 0.0) for one in found) for of, found in whole.items()}
    means = {of: fmean(reached) for of, reached in values.items()}
    ours = [of for of in means if of != PUBLISHED]
    if not ours:
        return None
    winner = min(ours, key=lambda of: (-means[of], of))
    best = min(whole[winner], key=lambda one: (-(one.objective or 0.0), one.number))
    verdict = Verdict(number=best.number, means=means, values=values, seeds=tuple(seeds))
    if PUBLISHED not in means or len(seeds) < 2:
        return verdict
    differences = [mine - its for mine, its in zip(values[winner], values[PUBLISHED], strict=True)]
    difference, error = fmean(differences), stdev(differences) / sqrt(len(differences))
    return Verdict(
        number=best.number,
        means=means,
        values=values,
        seeds=tuple(seeds),
        stays=difference <= error,
        difference=difference,
        error=error,
    )
