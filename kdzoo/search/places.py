"""Which machines trials keep away from. A broken one is always free, and would take a try from trial after trial."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import ray
from ray.tune import PlacementGroupFactory

_SHUNNED_AFTER = 2
NODE_LABEL = "ray.io/node-id"
"""A label that Ray gives to every node by itself."""


class Places:
    """Says where a trial may run.

    A trial does not go back to a node that failed it, and no trial goes to a node on which two tries in a row failed,
    as long as there is another node that could take it.

    Args:
        note: told when a node is shunned.
        living: the nodes as `ray.nodes` gives them.
    """

    def __init__(
        self, note: Callable[[str], None], *, living: Callable[[], Sequence[dict[str, Any]]] | None = None
    ) -> None:
        self._note, self._living = note, living or (lambda: list(ray.nodes()))
        self._in_a_row: dict[str, int] = {}
        self._failed: dict[str, set[str]] = {}

    def __getstate__(self) -> dict[str, Any]:
        """Ray writes its scheduler into the run's folder; all of this belongs to the living driver."""
        return {}

    def failed(self, trial: str, node: str | None, why: str) -> None:
        """A try of a trial failed on a node.

        Args:
            trial: its id.
            node: the node's id; None where it is not known.
            why: for people.
        """
        if node is None:
            return
        self._failed.setdefault(trial, set()).add(node)
        self._in_a_row[node] = self._in_a_row.get(node, 0) + 1
        found = next((one for one in self._living() if one["NodeID"] == node and one["Alive"]), None)
        if found is not None and self._in_a_row[node] == _SHUNNED_AFTER:
            name = found.get("NodeManagerHostname") or found.get("NodeManagerAddress") or node
            self._note(f"trials keep away from node {name} ({node[:8]}): {why}")

    def worked(self, node: str) -> None:
        """An epoch ended well on a node."""
        self._in_a_row.pop(node, None)

    def over(self, trial: str) -> None:
        """A trial has ended."""
        self._failed.pop(trial, None)

    def resources(self, trial: str, asked: PlacementGroupFactory) -> PlacementGroupFactory:
        """What a trial asks Ray for: what every trial does, on certain nodes.

        Args:
            trial: its id.
            asked: what every trial asks for.
        """
        shunned = {node for node, times in self._in_a_row.items() if times >= _SHUNNED_AFTER}
        own = self._failed.get(trial, set())
        if not own | shunned:
            return asked
        able = self._able(asked.bundles[0])
        for avoided in (own | shunned, own, shunned):
            if avoided & able and able - avoided:
                selector = _others(avoided & able)
                selectors = [selector] * len(asked.bundles)
                return PlacementGroupFactory(asked.bundles, strategy=asked.strategy, bundle_label_selector=selectors)
        return asked

    def for_tasks(self, needs: Mapping[str, float]) -> dict[str, str]:
        """The label selector of work that has no tries of its own: not where anything has failed since it last worked.

        Args:
            needs: kind of resource to how much of it.
        """
        able = self._able(needs)
        avoided = self._in_a_row.keys() & able
        return _others(avoided) if avoided and able - avoided else {}

    def _able(self, needs: Mapping[str, float]) -> set[str]:
        return {node["NodeID"] for node in self._living() if node["Alive"] and _has(node, needs)}


def _others(nodes: set[str]) -> dict[str, str]:
    return {NODE_LABEL: f"!in({','.join(sorted(nodes))})"}


def _has(node: Mapping[str, Any], bundle: Mapping[str, float]) -> bool:
    return all(node["Resources"].get(kind, 0.0) >= wanted for kind, wanted in bundle.items())
