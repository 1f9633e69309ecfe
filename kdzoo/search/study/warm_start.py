"""Warm start: categories lend each other the configurations that did best.

A category whose best fully trained configuration beat its own first one, the published configuration, lends it. Another
one borrows

- no configuration before it has asked for its own first one, and none in two trials running;
- at most `QUOTA` of its trials and at most one of `SHARE`, so that most of the search stays its own;
- first what beat the first configuration in the largest share of the categories that tried it, then what was the best
  of the most trials. Values are compared within a category only, so that scales do not mix;
- nothing that is nearly what it has tried already.

All of it follows from what the studies' storage holds, so that a resumed sweep goes on as it was. Objectives come from
selection parts: nothing of a report part has a say.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from kdzoo.search.space.space import SearchSpace

QUOTA: Final = 4
"""Configurations that a category borrows at most."""
SHARE: Final = 3
"""At most one of so many trials is borrowed."""

_Key = tuple[tuple[str, Any], ...]


@dataclass(frozen=True, kw_only=True)
class Loan:
    """A configuration that an earlier sweep lends.

    Attributes:
        category: whose best it was there.
        config: the whole configuration, knob to value.
        trials: of how many trials it was the best.
    """

    category: str
    config: Mapping[str, Any]
    trials: int


@dataclass
class _Ledger:
    """What one category has tried.

    Attributes:
        first: key of its first configuration.
        tried: values of all trials that were asked for.
        results: key of an ended trial's values to the objective it reached fully trained, the highest where it was
            tried again; None where it never came to its end.
        best: the key with the highest of these.
        borrowed: how many trials were borrowed.
        borrowed_last: whether the latest one was.
    """

    first: _Key
    tried: list[Mapping[str, Any]] = field(default_factory=list)
    results: dict[_Key, float | None] = field(default_factory=dict)
    best: _Key | None = None
    borrowed: int = 0
    borrowed_last: bool = False


@dataclass(frozen=True)
class _Offer:
    """A configuration that can be borrowed, either a loan's or a category's best, and what speaks for it."""

    lender: str
    loan: Loan | None
    key: _Key
    worth: tuple[float, bool, int]


class WarmStart:
    """Who lends what to whom. Cheap to ask, however many categories there are.

    Args:
        spaces: category to its effective space.
        trials: planned a category.
        loans: what an earlier sweep lends.
    """

    def __init__(self, spaces: Mapping[str, SearchSpace], *, trials: int, loans: Iterable[Loan] = ()) -> None:
        self._spaces, self._loans = spaces, tuple(loans)
        self._quota = min(QUOTA, max(1, trials // SHARE))
        self._ledgers: dict[str, _Ledger] = {}
        self._judged: dict[_Key, dict[str, bool]] = {}

    def asked(self, category: str, values: Mapping[str, Any], *, borrowed: bool) -> None:
        """A trial was handed out."""
        ledger = self._ledger(category)
        ledger.tried.append(values)
        ledger.borrowed += borrowed
        ledger.borrowed_last = borrowed

    def ended(self, category: str, values: Mapping[str, Any], objective: float | None) -> None:
        """A trial ended.

        Args:
            category: whose.
            values: knob to value.
            objective: what it reached; None when it failed or was stopped early.
        """
        ledger, key = self._ledger(category), _key(values)
        before = ledger.results.get(key)
        if before is not None and (objective is None or objective <= before):
            return
        ledger.results[key] = objective
        best = None if ledger.best is None else ledger.results[ledger.best]
        if objective is not None and (best is None or objective > best):
            ledger.best = key
        first = ledger.results.get(ledger.first)
        if first is not None:
            # Trials may end before the first one does: only now can they be compared with it.
            for other in ledger.results if key == ledger.first else (key,):
                reached = ledger.results[other]
                self._judged.setdefault(other, {})[category] = reached is not None and reached > first

    def tried(self, category: str) -> list[Mapping[str, Any]]:
        """The values of all trials of a category that were asked for."""
        return self._ledger(category).tried

    def borrowed(self, category: str) -> int:
        """How many trials of a category were borrowed."""
        return self._ledger(category).borrowed

    def offer(self, category: str) -> tuple[str, dict[str, Any]] | None:
        """The lender and the values that a category is to try next; None when it goes on by itself."""
        ledger, space = self._ledger(category), self._spaces[category]
        if not ledger.tried or ledger.borrowed >= self._quota or ledger.borrowed_last:
            return None
        for offered in sorted(self._offers(category), key=lambda each: each.worth, reverse=True):
            values = space.fitted(self._config(offered))
            if space.is_new(values, ledger.tried):
                return offered.lender, values
        return None

    def _offers(self, borrower: str) -> list[_Offer]:
        offers = {}
        for loan in self._loans:
            key = _key(loan.config)
            offers[key] = _Offer(loan.category, loan, key, (0.5, loan.category == borrower, loan.trials))
        for lender, ledger in self._ledgers.items():
            key = ledger.best or ()
            judged = self._judged.get(key, {})
            if lender == borrower or not judged.get(lender):
                continue
            # The share of categories in which it beat the first one, moved towards a half when few tell.
            worth = ((sum(judged.values()) + 1) / (len(judged) + 2), False, len(ledger.results))
            if key not in offers or offers[key].worth < worth:
                offers[key] = _Offer(lender, None, key, worth)
        return list(offers.values())

    def _config(self, offer: _Offer) -> Mapping[str, Any]:
        """The whole configuration; made for those few offers that are looked at."""
        if offer.loan is not None:
            return offer.loan.config
        return self._spaces[offer.lender].config(dict(offer.key)).as_dict()

    def _ledger(self, category: str) -> _Ledger:
        if category not in self._ledgers:
            self._ledgers[category] = _Ledger(_key(self._spaces[category].start()))
        return self._ledgers[category]


def _key(values: Mapping[str, Any]) -> _Key:
    return tuple(sorted(values.items()))
