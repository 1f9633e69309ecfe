"""Whose trial is next."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from kdzoo.search.study.strategy import Priority

FIRST: Final = 3
"""Trials that every category gets before the worst one goes first."""
TURN: Final = 4
"""Of so many trials one goes to the category that had the fewest, however well it does."""


class Turns:
    """Shares trials out among categories. Every category that is not given up has had its planned trials in the end.

    ``fair`` gives the next trial to the category that had the fewest so far. ``worst-first`` does so too until each has
    had `FIRST`; from then on it is for the category whose best objective is the lowest (one without any result comes
    before all others), except that

    - one of `TURN` trials still goes to the category that had the fewest, so that none starves while a budget lasts;
    - a category with two running trials more than the least busy one is passed over: asking the same study again and
      again before anything comes back teaches it nothing.

    Args:
        categories: of the sweep, in order.
        trials: planned a category.
        priority: the rule.
        done: category to trials that need not run any more; default none.
        more: category to trials beyond those, looked at anew each time; default none.
    """

    def __init__(
        self,
        categories: Iterable[str],
        *,
        trials: int,
        priority: Priority,
        done: Mapping[str, int] | None = None,
        more: Mapping[str, int] | None = None,
    ) -> None:
        self._trials, self._priority = trials, priority
        self._more = {} if more is None else more
        self.asked = {**dict.fromkeys(categories, 0), **(done or {})}
        self._running: Counter[str] = Counter()
        self._given_up: set[str] = set()

    def next(self, best: Callable[[str], float | None]) -> str | None:
        """The category whose trial is next; None when all have had theirs.

        Args:
            best: the highest objective that a category has reached, if any.
        """
        planned = {name: self._trials + self._more.get(name, 0) for name in self.asked if name not in self._given_up}
        due = [name for name, trials in planned.items() if self.asked[name] < trials]
        if not due:
            return None
        fewest = min(due, key=lambda name: self.asked[name])
        in_turn = sum(self.asked.values()) % TURN == 0
        if self._priority == "fair" or self.asked[fewest] < FIRST or in_turn:
            return fewest
        busiest = min(self._running[name] for name in due) + 1
        free = [name for name in due if self._running[name] <= busiest]
        return min(free, key=lambda name: (_or_lowest(best(name)), self.asked[name]))

    def give_up(self, category: str) -> None:
        """No more trials of a category."""
        self._given_up.add(category)

    def began(self, category: str) -> None:
        """A trial of a category was handed out."""
        self.asked[category] += 1
        self._running[category] += 1

    def ended(self, category: str) -> None:
        """A trial of a category came to its end."""
        self._running[category] -= 1


def _or_lowest(objective: float | None) -> float:
    return float("-inf") if objective is None else objective
