"""Whether two documents of detectors can be compared, on which images, and whether these tell them apart."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from kdzoo.metrics.comparison import COMPARED, paired_difference
from kdzoo.training.kept_scores import KeptScores

_FORMER_RESIZE = "bilinear-antialiased-square"
"""What a document does not say that is older than any other way."""
_FORMER_MASKS = "nearest-pixel"
_IMAGES: Final = ("split", "data")
"""The terms that say which images there were, and which of them trained, selected and reported."""
_COUNTS: Final = {"train": "train_images", "selection": "select_images", "report": "report_images"}
_NAMES: Final = tuple(_COUNTS)


Part = Literal["selection", "report"]


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """On which images two documents are compared.

    Attributes:
        part: on which both have the same images.
        ours, theirs: what is compared: the objective on that part.
        said: what else differs, in words; empty where nothing does.
        why_not: why they are not compared at all, in words; empty where they are.
    """

    part: Part = "selection"
    ours: float = 0.0
    theirs: float = 0.0
    said: str = ""
    why_not: str = ""


def compare(document: Mapping[str, Any], other: Mapping[str, Any]) -> Comparison:
    """Finds the images on which two documents can be compared.

    Those of the selection part, where these and the report part are the same. Where the selection part alone is another
    (train images that were added have changed which of them are held out), those of the report part, which neither has
    seen before it was done: there is nothing else that both have judged.

    Args:
        document: of the challenger.
        other: of the champion.
    """
    ours, theirs = terms_of(document), terms_of(other)
    part: Part = "selection"
    said = other_images = ""
    if any(ours[name] != theirs[name] for name in _IMAGES):
        changed = _changed_parts(document, other)
        if changed is not None and "report" not in changed:
            part = "report" if "selection" in changed else "selection"
            if changed:
                said = f"on the same {part} images, with other {_listed(_counted(changed, document, other))} images"
            ours, theirs = ({**terms, **dict.fromkeys(_IMAGES, "")} for terms in (ours, theirs))
        elif changed:
            other_images = f"other {_listed(_counted(changed, document, other))} images"
            ours, theirs = ({**terms, **dict.fromkeys(_IMAGES, "")} for terms in (ours, theirs))
    why_not = "; ".join(filter(None, (differences(ours, theirs), other_images)))
    value, against = (_value_on(each, part) for each in (document, other))
    if why_not or value is None or against is None:
        return Comparison(part=part, why_not=why_not or _unsaid(value, part))
    return Comparison(part=part, ours=value, theirs=against, said=said)


def beats(document: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether a document is known to be better than another: both can be compared, and the images tell them apart."""
    found = compare(document, other)
    return not found.why_not and found.ours > found.theirs and told_apart(document, other, found.part)[0]


def told_apart(document: Mapping[str, Any], champion: Mapping[str, Any], part: Part) -> tuple[bool, str]:
    """Whether the images that both have judged tell a better document from the champion's, and a clause that says why.

    Where single scores are not kept, or the objective does not follow from them, the value of the objective decides
    alone.
    """
    metric = document["objective"]["name"]
    if metric not in COMPARED:
        return True, f"by the value alone: {metric} does not follow from single images' scores"
    ours, theirs = KeptScores.find(document, part), KeptScores.find(champion, part)
    if (
        ours is not None
        and theirs is not None
        and (ours.images, ours.labels.tolist()) == (theirs.images, theirs.labels.tolist())
        and len(set(ours.labels.tolist())) == 2
    ):
        found = paired_difference(metric, ours.scores, theirs.scores, ours.labels)
        shown = f"{found.value:+.4f}, 95 % interval {found.low:+.4f} to {found.high:+.4f}"
        if found.low > 0:
            return True, f"and {found.images} {part} images tell them apart ({shown})"
        return False, f"{found.images} {part} images do not tell them apart ({shown})"
    return True, "by the value alone: scores of single images are not kept of both"


def is_rival_of_one_command(document: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether one command found both, of different methods: then the better value leads without a proof.

    Of two methods that are swept as one neither is in use yet. Within a method a champion may be for long, whichever
    command goes on with the sweep; and a name may be given twice, which the command's id is not.
    """
    command, methods = document.get("group_id"), (document.get("method"), other.get("method"))
    if not isinstance(command, str) or not command or command != other.get("group_id"):
        return False
    return all(isinstance(method, str) for method in methods) and methods[0] != methods[1]


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


def _changed_parts(document: Mapping[str, Any], other: Mapping[str, Any]) -> list[str] | None:
    """Which of the parts have other images; None where one of the two does not say which it has."""
    ours, theirs = (_part(_part(each, "split"), "parts") for each in (document, other))
    if not all(isinstance(each.get(name), str) for each in (ours, theirs) for name in _NAMES):
        return None
    return [name for name in _NAMES if ours[name] != theirs[name]]


def _counted(changed: list[str], document: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """Names of parts with how many images each has here and had there, where that differs."""
    told = []
    for name in changed:
        here, there = (_part(each, "dataset").get(_COUNTS[name]) for each in (document, other))
        told.append(f"{name} ({here} here, {there} there)" if here != there else name)
    return told


def _value_on(document: Mapping[str, Any], part: Part) -> float | None:
    """What a document is compared by on a part; None where it does not say."""
    objective = _part(document, "objective")
    value = objective.get("value")
    if part == "report":
        value = _part(document, "metrics").get(f"test_{objective.get('name')}")
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def _unsaid(value: float | None, part: Part) -> str:
    what = "its value" if part == "selection" else "its value on the report images"
    return f"this one does not say {what}" if value is None else f"the champion does not say {what}"
