"""The pool: configurations that all categories try, so that one is judged by more than the few images of a category.

The first trials of every category are the same configurations: its defaults, those that did best in an earlier sweep
(`kdzoo.search.study.ranks.portfolio`), then such as a sampler draws that sees one study for all categories, in which a
configuration's value is its mean rank over them. Half of a category's trials are of the pool, `size`; with the other
half its own study refines what it found there.

A configuration that nearly always loses against the pool's best is spared the categories that have not tried it yet:
they try one more instead. All of it follows from what the studies' storage holds, so that a resumed sweep goes on as it
was. Objectives come from selection parts: nothing of a report part has a say.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import optuna

from kdzoo.search.space.space import SearchSpace
from kdzoo.search.study.ranks import mean_ranks, wins
from kdzoo.search.study.samplers import make_sampler
from kdzoo.search.study.suggesting import suggested

ENOUGH: Final = 8
"""Categories that must have tried two configurations before one is called worse than the other: of two that are alike
one would lose so clearly in one case of thirty."""
LARGEST_PORTFOLIO: Final = 4
"""Configurations of earlier sweeps that all categories try at most; half of the pool's trials at most, too."""
_LOSES: Final = 0.2
"""Worse is what was as good as the best one in this share of them at most."""
_LEARN: Final = ("tpe", "gp", "random")
"""Samplers that draw the pool by what is known of it; others keep what they have learned elsewhere, and TPE draws."""
_DRAWS: Final = 8
"""Draws until one is not nearly the same as what is in the pool; then the space is exhausted."""

Reached = tuple[float, ...]
"""Of a trial that came to its end: the values of all objectives, turned so that higher is better."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Pooled:
    """A configuration of the pool that a category is to try.

    Attributes:
        entry: its number in the pool, from 0; 0 are every category's own defaults.
        shared: knob to value in the space that the pool is drawn from.
        values: the same, as near as the category's space allows.
    """

    entry: int
    shared: Mapping[str, Any]
    values: Mapping[str, Any]


@dataclass
class _Entry:
    """A configuration of the pool, the trials it was given, and what they reached; None where one did not end."""

    shared: Mapping[str, Any]
    trials: dict[str, int] = field(default_factory=dict)
    reached: dict[str, Reached | None] = field(default_factory=dict)


def pool_size(trials: int) -> int:
    """How many of a category's trials are of the pool, the defaults among them."""
    return (trials + 1) // 2


class Pool:
    """What all categories try.

    Args:
        spaces: category to its effective space.
        size: trials of a category that are of the pool, the first one, of its defaults, among them.
        seed: of the sampler.
        sampler: its name; another one than those that learn from trials alone leaves the pool to TPE.
        objectives: how many there are.
        portfolio: whole configurations that come before those that are drawn.
        draws: whether any are drawn; without, the pool is the defaults and the portfolio.
    """

    def __init__(
        self,
        spaces: Mapping[str, SearchSpace],
        *,
        size: int,
        seed: int,
        sampler: str = "tpe",
        objectives: int = 1,
        portfolio: Iterable[Mapping[str, Any]] = (),
        draws: bool = True,
    ) -> None:
        self._spaces, self._size, self._seed = spaces, size, seed
        self._sampler = sampler if sampler in _LEARN else "tpe"
        self._objectives, self._draws = objectives, draws
        self._space = _most_common(spaces)
        self._entries: dict[int, _Entry] = {0: _Entry(self._space.start())}
        self._portfolio = [self._space.fitted(config) for config in portfolio]
        self._exhausted: dict[str, int] = {}
        self._lost: frozenset[int] | None = frozenset()

    def offer(self, category: str, tried: Sequence[Mapping[str, Any]]) -> Pooled | None:
        """What a category is to try next of the pool; None when it has had its share, or there is no more.

        Args:
            category: whose.
            tried: the values of all its trials.
        """
        taken = sum(category in entry.trials for entry in self._entries.values())
        if not tried or taken >= self._size:
            return None
        lost = self._losers()
        for number, entry in sorted(self._entries.items()):
            if category not in entry.trials and number not in lost:
                known = self._fit(number, entry.shared, category)
                if self._spaces[category].is_new(known.values, tried):
                    return known
        number = 1 + max(self._entries)
        if self._exhausted.get(category) == number:
            return None
        shared = self._next()
        offered = None if shared is None else self._fit(number, shared, category)
        if offered is None or not self._spaces[category].is_new(offered.values, tried):
            # Nothing more for this category, whose space may be smaller, until another one has added something.
            self._exhausted[category] = number
            return None
        self._entries[number] = _Entry(offered.shared)
        return offered

    def asked(self, category: str, trial: int, entry: int, shared: Mapping[str, Any]) -> None:
        """A trial of the pool was handed out, also by an earlier driver."""
        self._entries.setdefault(entry, _Entry(shared)).trials[category] = trial

    def ended(self, category: str, entry: int, reached: Reached | None) -> None:
        """A trial of the pool ended.

        Args:
            category: whose.
            entry: of the pool.
            reached: None when it failed or was stopped early.
        """
        known = self._entries[entry].reached
        if reached is not None or known.get(category) is None:
            known[category] = reached
            self._lost = None

    def judged(self) -> dict[int, float]:
        """The mean rank of each entry that has any result, by the first objective: 0 is the best everywhere."""
        return mean_ranks(self._table(0))

    def best(self, category: str) -> int | None:
        """The trial of a category that had the configuration with the best mean rank over at least two categories.

        None where no such trial of the category came to its end.
        """
        judged = self.judged()
        able = [
            number
            for number, entry in self._entries.items()
            if number in judged and len(entry.reached) > 1 and entry.reached.get(category) is not None
        ]
        if not able:
            return None
        return self._entries[min(able, key=lambda number: (judged[number], number))].trials[category]

    def _table(self, objective: int) -> dict[str, dict[int, float | None]]:
        """Category to what its entries reached."""
        table: dict[str, dict[int, float | None]] = {}
        for number, entry in self._entries.items():
            for category, reached in entry.reached.items():
                table.setdefault(category, {})[number] = None if reached is None else reached[objective]
        return table

    def _losers(self) -> frozenset[int]:
        """The entries that enough categories have shown not to be worth the others' time."""
        if self._lost is None:
            able = [number for number, entry in self._entries.items() if len(entry.reached) >= ENOUGH]
            table = self._table(0) if len(able) > 1 else {}
            judged = mean_ranks(table)
            best = min(able, key=lambda number: (judged[number], number)) if table else None
            found = set()
            for number in able:
                won = [] if best is None or number == best else wins(table, number, best)
                if len(won) >= ENOUGH and sum(won) <= _LOSES * len(won):
                    found.add(number)
            self._lost = frozenset(found)
        return self._lost

    def _fit(self, number: int, shared: Mapping[str, Any], category: str) -> Pooled:
        """A configuration as near as the category's space allows."""
        space = self._spaces[category]
        whole = self._space.config(dict(shared)).as_dict()
        return Pooled(entry=number, shared=shared, values=space.fitted(whole))

    def _next(self) -> Mapping[str, Any] | None:
        """The values of one more entry: of the portfolio while that lasts, then drawn."""
        there = [entry.shared for entry in self._entries.values()]
        for values in self._portfolio:
            if self._space.is_new(values, there):
                return values
        return self._drawn(there) if self._draws and self._space.dimensions else None

    def _drawn(self, there: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
        """Values of which the pool's study expects a good mean rank; the study is made anew, for ranks change."""
        study = optuna.create_study(
            directions=["minimize"] * self._objectives, sampler=optuna.samplers.RandomSampler(seed=0)
        )
        judged = [mean_ranks(self._table(objective)) for objective in range(self._objectives)]
        for number, entry in sorted(self._entries.items()):
            study.enqueue_trial(dict(entry.shared))
            trial = study.ask()
            suggested(trial, self._space)
            if number in judged[0]:
                study.tell(trial, [ranks[number] for ranks in judged])
        text = f"{self._seed}/pool/{len(self._entries)}"
        seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")
        study.sampler = make_sampler(self._sampler, seed=seed, trials=self._size)
        for _ in range(_DRAWS):
            values = suggested(study.ask(), self._space)
            if self._space.is_new(values, there):
                return values
        return None


def _most_common(spaces: Mapping[str, SearchSpace]) -> SearchSpace:
    """The space that most categories have, the first of several: overrides of a category are rare."""
    counted: list[tuple[SearchSpace, int]] = []
    for space in spaces.values():
        place = next((place for place, (other, _) in enumerate(counted) if other is space or other == space), None)
        if place is None:
            counted.append((space, 1))
        else:
            counted[place] = (counted[place][0], counted[place][1] + 1)
    return max(counted, key=lambda each: each[1])[0]
