"""The final round of each category: planned when its search is over, decided when the round is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from kdzoo.errors import KdzooError
from kdzoo.search.record.board import SweepBoard, TrialRow
from kdzoo.search.record.plan import SweepPlan
from kdzoo.search.record.plan_file import DataDigests
from kdzoo.search.study.finals import Scored, decide, plan_finals
from kdzoo.search.study.studies import CategoryStudies
from zoo_registry import EntryName, Registry, RegistryError

Champion = Callable[[str], Mapping[str, Any] | None]
"""The configuration of a category's champion, where it can be compared with the sweep's trials."""

_APART = frozenset({"seed", "false_positive_rate", "calibration_folds", "aupro_limit", "evaluations"})
"""Options that may differ between two trainings that are compared by their configurations."""


class FinalRound:
    """Says when a category is over, and which of its trials has won.

    Args:
        plan: the sweep.
        board: its state.
        studies: keep the round's trials like all others, so that it is gone on with after an interruption.
        champion: what is published.
    """

    def __init__(self, plan: SweepPlan, board: SweepBoard, studies: CategoryStudies, champion: Champion) -> None:
        self._plan, self._board, self._studies, self._champion = plan, board, studies, champion
        self._planned: set[str] = set()

    def is_over(self, category: str) -> bool:
        """Whether nothing of a category is left to train; plans its round, or decides it, where it is time for that."""
        board = self._board
        if board.searched(category) < self._plan.trials:
            return False
        if len(self._plan.seeds) < 2:
            return True
        if category not in self._planned:
            self._planned.add(category)
            self._plan_round(category)
        if board.done(category) < self._plan.trials + board.finals.get(category, 0):
            return False
        self._decide(category)
        return True

    def _plan_round(self, category: str) -> None:
        there = {(final.of, final.seed): final for final in self._studies.finals(category)}
        ranked = [(row.number, row.config) for row in self._board.ranked(category) if _is_of_search(row)]
        wanted = plan_finals(
            ranked,
            self._champion(category),
            finalists=self._plan.strategy.finalists,
            seeds=self._plan.seeds,
        )
        self._studies.enqueue_finals(category, [one for one in wanted if (one.of, one.seed) not in there])
        self._board.finals[category] = len(there) + sum((one.of, one.seed) not in there for one in wanted)

    def _decide(self, category: str) -> None:
        rows = self._board.of(category)
        taking_part = {row.final.of for row in rows if row.final is not None}
        first = self._plan.seeds[0]
        scored = [_scored(row, first) for row in rows if row.final is not None or row.number in taking_part]
        verdict = decide(scored, seeds=self._plan.seeds)
        if verdict is not None:
            self._board.verdicts[category] = verdict


def _is_of_search(row: TrialRow) -> bool:
    return row.final is None and row.status != "interrupted"


def _scored(row: TrialRow, first: int) -> Scored:
    value = row.objective if row.ended and not row.failed and row.status != "interrupted" else None
    if row.final is None:
        return Scored(of=row.number, seed=first, number=row.number, objective=value)
    return Scored(of=row.final.of, seed=row.final.seed, number=row.number, objective=value)


def champion_config(
    registry: Registry, plan: SweepPlan, category: str, data: DataDigests, warn: Callable[[str], None]
) -> Mapping[str, Any] | None:
    """The configuration of a category's champion, if it was trained and judged as this sweep's trials are.

    Args:
        registry: the zoo.
        plan: the sweep.
        category: whose.
        data: of the category as it is now.
        warn: told why a champion cannot be read.

    Returns:
        None where there is none, or where it cannot be compared or trained again.
    """
    from kdzoo.champions import CHAMPION
    from zoo_registry.errors import EntryNotFoundError, ReleaseNotFoundError

    entry = EntryName(method=plan.method, dataset=plan.dataset.name, category=category)
    try:
        document = registry.resolve(entry, registry.read_alias(entry, CHAMPION).release).document
    except (EntryNotFoundError, ReleaseNotFoundError):
        return None
    except RegistryError as error:
        warn(f"{category}: the champion takes no part in the final round: {error}")
        return None
    asked = {key: value for key, value in plan.options_of(category).published().items() if key not in _APART}
    try:
        had = {key: value for key, value in dict(document["options"]).items() if key not in _APART}
        if asked != had or data != _digests(document):
            return None
        return plan.spec_of(category, document["config"]).config.as_dict()
    except (KdzooError, LookupError, TypeError, ValueError, AttributeError):
        return None  # of a kdzoo with other knobs, or written by a stranger


def _digests(document: Mapping[str, Any]) -> DataDigests:
    """What a release says of the data that it was trained on."""
    dataset = document["dataset"]
    masks, textures = (dataset.get(key, {}).get("sha256") for key in ("foreground", "textures"))
    return DataDigests(
        fingerprint=dataset["fingerprint"], split=document["split"]["digest"], foreground=masks, textures=textures
    )
