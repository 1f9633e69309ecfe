"""Whether two documents of detectors can be compared, and whether the images that both have judged tell them apart."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from kdzoo.metrics.comparison import COMPARED, paired_difference
from kdzoo.training.kept_scores import KeptScores

_FORMER_RESIZE = "bilinear-antialiased-square"
"""What a document does not say that is older than any other way."""
_FORMER_MASKS = "nearest-pixel"


def beats(document: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether a document is known to be better than another: both can be compared, and the images tell them apart."""
    ours, theirs = objective_of(document), objective_of(other)
    if ours is None or theirs is None or differences(terms_of(document), terms_of(other)):
        return False
    return ours > theirs and told_apart(document, other)[0]


def told_apart(document: Mapping[str, Any], champion: Mapping[str, Any]) -> tuple[bool, str]:
    """Whether the images that both have judged tell a better document from the champion's, and a clause that says why.

    The selection part's images, as for every choice: what the report part says is to be read and not to be chosen by.
    Where single scores are not kept, or the objective does not follow from them, the value of the objective decides
    alone.
    """
    metric = document["objective"]["name"]
    if metric not in COMPARED:
        return True, f"by the value alone: {metric} does not follow from single images' scores"
    ours, theirs = KeptScores.find(document, "selection"), KeptScores.find(champion, "selection")
    if (
        ours is not None
        and theirs is not None
        and (ours.images, ours.labels.tolist()) == (theirs.images, theirs.labels.tolist())
        and len(set(ours.labels.tolist())) == 2
    ):
        found = paired_difference(metric, ours.scores, theirs.scores, ours.labels)
        shown = f"{found.value:+.4f}, 95 % interval {found.low:+.4f} to {found.high:+.4f}"
        if found.low > 0:
            return True, f"and {found.images} selection images tell them apart ({shown})"
        return False, f"{found.images} selection images do not tell them apart ({shown})"
    return True, "by the value alone: scores of single images are not kept of both"


def is_of_one_group(document: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether one command found both: then neither is in use yet, and the better value leads without a proof."""
    group = document.get("group")
    return isinstance(group, str) and bool(group) and group == other.get("group")


def terms_of(document: Mapping[str, Any]) -> dict[str, str | None]:
    """What two results must share to be compared, as texts by what it is called; None for what a document does not say.

    The leaderboard goes by the same.
    """
    seen = _part(document, "input")
    cut = "".join(f", {name} {seen[name]}" for name in ("overlap", "scale") if seen.get(name) is not None)
    said = {
        "protocol": document.get("protocol"),
        "split": _part(document, "split").get("digest"),
        "objective": _part(document, "objective").get("name"),
        "data": _part(document, "dataset").get("fingerprint"),
        "input size": seen.get("size"),
        "resizing": f"{seen.get('resize', _FORMER_RESIZE)}{cut}" if seen else None,
        # Of images alone nothing depends on how masks are made smaller.
        "masks": _part(document, "dataset").get("masks", _FORMER_MASKS)
        if not str(_part(document, "objective").get("name")).startswith("image_")
        else "any",
    }
    return {name: None if value is None else str(value) for name, value in said.items()}


def differences(ours: Mapping[str, str | None], theirs: Mapping[str, str | None]) -> str:
    """Which terms keep two results from being compared, in words; empty where they can be."""
    other = [name for name, value in ours.items() if None not in (value, theirs[name]) and value != theirs[name]]
    if "objective" in other and "masks" in other:
        other.remove("masks")  # which follows from it
    unsaid = [name for name, value in ours.items() if None in (value, theirs[name])]
    said = [f"another {_listed(other)}"] if other else []
    return "; ".join([*said, *([f"{_listed(unsaid)} not said by both"] if unsaid else [])])


def _listed(names: list[str]) -> str:
    return " and ".join([*([", ".join(names[:-1])] if names[1:] else []), *names[-1:]])


def _part(document: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = document.get(name)
    return found if isinstance(found, Mapping) else {}


def objective_of(document: Mapping[str, Any]) -> float | None:
    """What a document is compared by; None where it does not say."""
    value = _part(document, "objective").get("value")
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)
