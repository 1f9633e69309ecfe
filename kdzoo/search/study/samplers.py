"""Optuna's samplers by name: what each can do in a sweep, and how it is made."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

from kdzoo.errors import MissingDependencyError, UnknownNameError, UsageError

if TYPE_CHECKING:
    import optuna

    from kdzoo.search.space.space import SearchSpace


@dataclass(frozen=True, kw_only=True, slots=True)
class _Kind:
    """What a sampler needs and can do.

    Attributes:
        package: what it needs beside Optuna.
        several: whether it takes several objectives.
        left: which knobs it leaves to chance: none, those under a condition, or categorical ones as well.
    """

    package: str | None = None
    several: bool = True
    left: tuple[str, ...] = ()


_KINDS: Final[Mapping[str, _Kind]] = {
    "tpe": _Kind(),
    "random": _Kind(),
    "cmaes": _Kind(package="cmaes", several=False, left=("conditional", "categorical")),
    "gp": _Kind(package="torch", left=("conditional",)),
    "qmc": _Kind(package="scipy", left=("conditional", "categorical")),
    "nsgaii": _Kind(),
    "nsgaiii": _Kind(),
}

_UNFIT: Final[Mapping[str, str]] = dict.fromkeys(
    ("grid", "bruteforce"), "goes through all combinations and then ends the study itself, which a sweep does not allow"
)
"""Samplers of Optuna's that cannot work here, and why."""

SAMPLERS: Final = tuple(_KINDS)
"""What `--sampler` takes."""


def check_sampler(name: str, *, objectives: int = 1) -> None:
    """Refuses a sampler that could not run.

    Args:
        name: one of `SAMPLERS`.
        objectives: how many the sweep has.

    Raises:
        UnknownNameError: there is none of that name.
        MissingDependencyError: its package is not installed.
        UsageError: it cannot work in a sweep, or takes one objective only and there are more.
    """
    if name in _UNFIT:
        raise UsageError(f"the sampler '{name}' {_UNFIT[name]}", hint=f"one of: {', '.join(SAMPLERS)}")
    if name not in _KINDS:
        raise UnknownNameError("sampler", name, SAMPLERS)
    kind = _KINDS[name]
    if kind.package is not None and find_spec(kind.package) is None:
        raise MissingDependencyError(
            f"the sampler '{name}' needs the package '{kind.package}'", hint="pip install 'kdzoo[samplers]'"
        )
    if objectives > 1 and not kind.several:
        able = ", ".join(other for other, its in _KINDS.items() if its.several)
        raise UsageError(f"the sampler '{name}' takes one objective, got {objectives}", hint=f"one of: {able}")


def sampler_notes(name: str, spaces: Mapping[str, SearchSpace]) -> list[str]:
    """What a person should know of a sampler on these spaces: knobs that it leaves to chance."""
    left: dict[str, None] = {}
    for space in spaces.values():
        for key, dimension in space.dimensions.items():
            conditional = bool(dimension.when) and "conditional" in _KINDS[name].left
            if conditional or (dimension.kind == "categorical" and "categorical" in _KINDS[name].left):
                left[key] = None
    return [f"the sampler '{name}' draws these knobs at random: {', '.join(left)}"] if left else []


def make_sampler(name: str, *, seed: int, trials: int) -> optuna.samplers.BaseSampler:
    """A sampler for one study.

    Args:
        name: one of `SAMPLERS`.
        seed: of its random numbers.
        trials: planned for the study; decides how many are random before a model of them takes over.
    """
    import optuna

    kinds = optuna.samplers
    startup = min(10, max(4, trials // 4))
    with warnings.catch_warnings():
        # Parts of Optuna that it calls experimental, and knobs that fall back to chance, which `sampler_notes` tells.
        warnings.simplefilter("ignore")
        match name:
            case "tpe":
                # Grouped: knobs that are drawn together are modelled together, whichever conditions hold.
                return kinds.TPESampler(
                    seed=seed, n_startup_trials=startup, multivariate=True, group=True, constant_liar=True
                )
            case "random":
                return kinds.RandomSampler(seed=seed)
            case "cmaes":
                return kinds.CmaEsSampler(seed=seed, n_startup_trials=startup, warn_independent_sampling=False)
            case "gp":
                return kinds.GPSampler(seed=seed, n_startup_trials=startup, warn_independent_sampling=False)
            case "qmc":
                return kinds.QMCSampler(seed=seed, scramble=True, warn_independent_sampling=False)
            case "nsgaii" | "nsgaiii":
                # Its own 50 would make random search of any study that is shorter.
                population = min(50, max(4, trials // 4))
                made = kinds.NSGAIISampler if name == "nsgaii" else kinds.NSGAIIISampler
                return made(seed=seed, population_size=population)
            case _:
                raise UnknownNameError("sampler", name, SAMPLERS)
