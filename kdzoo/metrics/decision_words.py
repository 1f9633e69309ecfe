"""The operating point in words: counts with intervals, and what may be stated of images to come.

Takes the part `operating_point` of a document as it stands there: a stranger may have written it, or an older kdzoo
nothing of the kind.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeGuard

_PARTS = ("selection", "report")
_ORIGINS = {
    "selection": "normal images of the selection part",
    "folds": "train images, scored by models that had not seen them",
    "given": "normal images given for it",
}


def decision_rows(point: Mapping[str, Any]) -> dict[str, str]:
    """Name to text, in the order in which they are shown; what the operating point lacks is left out."""
    rows = {}
    for kind, title in (("false_alarms", "false alarms"), ("misses", "misses")):
        shares = {part: share_text(_of(_of(point, part), kind)) for part in _PARTS}
        rows[title] = ", ".join(f"{text} in {part}" for part, text in shares.items() if text)
    rows["calibrated on"] = calibrated_text(point)
    rows["stated"] = stated_text(point)
    return {title: text for title, text in rows.items() if text}


def calibrated_text(point: Mapping[str, Any]) -> str:
    """On which images the threshold rests."""
    stated = _of(point, "calibration")
    share = _of(stated, "false_alarms")
    count, images = share.get("count"), share.get("of")
    if not _counts(count, images):
        return ""
    text = f"{images} {_ORIGINS.get(str(stated.get('origin')), 'normal images')}, {count} of them above the threshold"
    missed = share_text(_of(stated, "misses"), interval=False)
    return f"{text}; {missed} defects given for it missed" if missed else text


def stated_text(point: Mapping[str, Any]) -> str:
    """What may be stated of the false alarms on images to come; no less than the calibration's images can show."""
    stated = _of(point, "calibration")
    if stated.get("chosen_by") == "cost":
        return _stated_by_cost(stated)
    bound, lacking = bound_text(point), lacking_text(point)
    if not bound:
        return ""
    return f"{bound} false alarms with 95 % confidence" + (f"; {lacking}" if lacking else "")


def bound_text(point: Mapping[str, Any]) -> str:
    """The same in a few words: ``1.0 % expected, at most 2.9 %``, or the bound alone where no more may be stated."""
    stated = _of(point, "calibration")
    expected, most = stated.get("expected_rate"), stated.get("at_most")
    if not _is_number(most):
        return ""
    bound = f"at most {percent(most)}"
    return f"{percent(expected)} expected, {bound}" if stated.get("holds") is True and _is_number(expected) else bound


def lacking_text(point: Mapping[str, Any]) -> str:
    """How many images it would take to state what was asked for; empty where there are enough."""
    stated = _of(point, "calibration")
    asked, images = stated.get("asked_rate"), _of(stated, "false_alarms").get("of")
    if stated.get("holds") is not False or not _is_number(asked) or not _counts(images):
        return ""
    said = f"{images} normal images cannot show {percent(asked)}"
    to_hold, to_show = stated.get("images_to_hold"), stated.get("images_to_show")
    if not _counts(to_hold, to_show):
        return f"{said}, and no number of them can"
    return f"{said}: {to_hold} would hold it on average, {to_show} without an alarm would show it"


def _stated_by_cost(stated: Mapping[str, Any]) -> str:
    """The bounds hold although the threshold was chosen by looking at these images."""
    alarms, misses = stated.get("at_most"), stated.get("misses_at_most")
    if not (_is_number(alarms) and _is_number(misses)):
        return ""
    return f"chosen by cost: at most {percent(alarms)} false alarms and {percent(misses)} misses with 95 % confidence"


def share_text(share: Mapping[str, Any], *, interval: bool = True) -> str:
    """A share as ``2 of 9 (2.8 to 60.0 %)``; empty where there is none."""
    count, images, low, high = (share.get(name) for name in ("count", "of", "low", "high"))
    if not _counts(count, images):
        return ""
    text = f"{count} of {images}"
    if interval and _is_number(low) and _is_number(high):
        text += f" ({percent(low).removesuffix(' %')} to {percent(high)})"
    return text


def percent(rate: float) -> str:
    """A fraction as a percentage of one decimal, or two digits where that would be less."""
    value = 100 * rate
    return f"{value:.2g} %" if 0 < value < 0.1 else f"{value:.0f} %" if value in (0, 100) else f"{value:.1f} %"


def _of(values: Mapping[str, Any], key: str) -> dict[str, Any]:
    found = values.get(key)
    return found if isinstance(found, dict) else {}


def _counts(*values: Any) -> bool:
    return all(isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**12 for value in values)


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e12
