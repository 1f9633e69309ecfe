"""Which machines trials keep away from. A broken one is always free, and would take a try from trial after trial."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Final

import ray
from ray.tune import PlacementGroupFactory

_SHUNNED_AFTER: Final = 2
_NAMED: Final = 3
"""Nodes that a message names."""
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
        self._unfit: set[str] = set()
        self._failed: dict[str, set[str]] = {}
        self._why: dict[str, str] = {}
        self._kept_from: dict[str, frozenset[str]] = {}

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
        self._why[node] = why
        found = next((one for one in self._living() if one["NodeID"] == node and one["Alive"]), None)
        if found is not None and self._in_a_row[node] == _SHUNNED_AFTER:
            self._note(f"trials keep away from node {_name(found)}: {why}")

    def keep_away(self, node: str, why: str) -> None:
        """A node was found to lack what a trial needs, whatever a trial's first epochs may look like there.

        Args:
            node: its id.
            why: for people.
        """
        known = node in self._unfit and self._why.get(node) == why
        self._unfit.add(node)
        self._why[node] = why
        if known:
            return
        found = next((one for one in self._living() if one["NodeID"] == node and one["Alive"]), None)
        if found is not None:
            self._note(f"trials keep away from node {_name(found)}: {why}")

    def let_back(self, node: str) -> None:
        """A node that was not fit is by now.

        Args:
            node: its id.
        """
        self._unfit.discard(node)
        found = next((one for one in self._living() if one["NodeID"] == node and one["Alive"]), None)
        if found is not None:
            self._note(f"trials go to node {_name(found)} again: it has all that they need")

    def worked(self, node: str) -> None:
        """An epoch ended well on a node."""
        self._in_a_row.pop(node, None)

    def over(self, trial: str) -> None:
        """A trial has ended."""
        self._failed.pop(trial, None)
        self._kept_from.pop(trial, None)

    def resources(self, trial: str, asked: PlacementGroupFactory) -> PlacementGroupFactory:
        """What a trial asks Ray for: what every trial does, on certain nodes.

        Args:
            trial: its id.
            asked: what every trial asks for.
        """
        self._kept_from.pop(trial, None)
        shunned = self._shunned()
        own = self._failed.get(trial, set())
        if not own | shunned:
            return asked
        able = self._able(asked.bundles[0])
        for avoided in (own | shunned, own, shunned):
            if avoided & able and able - avoided:
                self._kept_from[trial] = frozenset(avoided & able)
                selectors = [others(self._kept_from[trial])] * len(asked.bundles)
                return PlacementGroupFactory(asked.bundles, strategy=asked.strategy, bundle_label_selector=selectors)
        return asked

    def kept_from(self, trial: str) -> frozenset[str]:
        """The nodes that a trial keeps away from, as it was last told by `resources`."""
        return self._kept_from.get(trial, frozenset())

    def closed(self, needs: Mapping[str, float]) -> frozenset[str]:
        """The nodes that no trial goes to, as long as another one could take it.

        Args:
            needs: what a trial holds.
        """
        shunned = self._shunned()
        able = self._able(needs) if shunned else set()
        return frozenset(shunned & able) if able - shunned else frozenset()

    def kept_from_tasks(self, needs: Mapping[str, float]) -> frozenset[str]:
        """The nodes that work without tries of its own keeps away from: where anything failed since it last worked.

        Args:
            needs: kind of resource to how much of it.
        """
        able = self._able(needs)
        avoided = (self._in_a_row.keys() | self._unfit) & able
        return frozenset(avoided) if able - avoided else frozenset()

    def any_can_go(self, asked: Iterable[tuple[Mapping[str, float], frozenset[str]]]) -> bool:
        """Whether a living node could take any of some work, be it busy now.

        Args:
            asked: what each needs, and the nodes it keeps away from.
        """
        living = [node for node in self._living() if node["Alive"]]
        return any(
            can_take(node, needs) and node["NodeID"] not in kept_from for needs, kept_from in asked for node in living
        )

    def told(self) -> str:
        """What is wrong with the nodes, for people: where tries failed and why, and which nodes are gone."""
        nodes = self._living()
        gone = [node for node in nodes if not node["Alive"]]
        failed = [node for node in nodes if node["Alive"] and node["NodeID"] in self._in_a_row.keys() | self._unfit]
        said = [f"tries failed on node {_name(node)}: {self._why[node['NodeID']]}" for node in failed[:_NAMED]]
        if len(failed) > _NAMED:
            said.append(f"and on {len(failed) - _NAMED} more")
        if gone:
            more = f" and {len(gone) - _NAMED} more" if len(gone) > _NAMED else ""
            said.append(f"gone: node {', '.join(map(_name, gone[:_NAMED]))}{more}")
        return "; ".join(said) or "Ray has none that is large enough"

    def _shunned(self) -> set[str]:
        """Nodes on which tries in a row failed, and those that are not fit."""
        return {node for node, times in self._in_a_row.items() if times >= _SHUNNED_AFTER} | self._unfit

    def _able(self, needs: Mapping[str, float]) -> set[str]:
        return {node["NodeID"] for node in self._living() if node["Alive"] and can_take(node, needs)}


def others(nodes: Collection[str]) -> dict[str, str]:
    """The label selector of all nodes but some."""
    return {NODE_LABEL: f"!in({','.join(sorted(nodes))})"}


def _name(node: Mapping[str, Any]) -> str:
    known = node.get("NodeManagerHostname") or node.get("NodeManagerAddress") or "unknown"
    return f"{known} ({node['NodeID'][:8]})"


def can_take(node: Mapping[str, Any], bundle: Mapping[str, float]) -> bool:
    """Whether a node has what some work needs, be it in use now.

    Args:
        node: as `ray.nodes` gives it.
        bundle: kind of resource to how much of it.
    """
    return all(node["Resources"].get(kind, 0.0) >= wanted for kind, wanted in bundle.items())
