"""`kdzoo space`: what a sweep would search."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kdzoo.cli.groups import DefaultGroup
from kdzoo.cli.notes import tell_notes
from kdzoo.cli.options import json_option, parse_changes
from kdzoo.cli.say import say_result
from kdzoo.cli.sweep.spaces import full_space
from kdzoo.errors import UnknownNameError, UsageError

if TYPE_CHECKING:
    from kdzoo.search.space.dimension import Dimension
    from kdzoo.search.space.space import SearchSpace

_MARK = "*"


@click.group(cls=DefaultGroup, default="show", takes_words="show")
def space() -> None:
    """Show what a sweep would search.

    \b
    Examples:
      kdzoo space show aand
      kdzoo space show mrkd --dataset mvtec --category bottle
    """


@space.command(short_help="Show the knobs that a sweep of METHOD turns.")
@click.argument("method")
@click.option("--dataset", "-d", metavar="NAME|PATH", help="With the overrides for a data set.")
@click.option("--category", "-c", metavar="NAME", help="With the overrides for one of its categories.")
@click.option("--set", "changes", multiple=True, metavar="KEY=VALUE", help="Fix a knob, as for a sweep; repeatable.")
@click.option(
    "--space",
    "file",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="full|FILE",
    help="As for a sweep: all knobs, or a search space file of your own.",
)
@json_option
def show(
    method: str, dataset: str | None, category: str | None, changes: tuple[str, ...], file: Path | None, as_json: bool
) -> None:
    """Show the knobs that a sweep of METHOD turns, how far and when, and the values of all others.

    \b
    Examples:
      kdzoo space show aand --dataset demo
      kdzoo space show aand --space full --set amplify_epochs=0 --json
    """
    from kdzoo.search.space.odd import space_notes
    from kdzoo.search.space.space import SpaceFile

    if category and not dataset:
        raise UsageError(f"--category {category} needs its data set", hint="for example --dataset mvtec")
    full, path = full_space(file)
    described = SpaceFile(method, path, full=full)
    name = _dataset_name(dataset, category) if dataset else ""
    effective = described.space(name, category or "", changes=parse_changes(changes))
    tell_notes(space_notes({"": effective}))
    result = {
        "method": method,
        "dataset": name or None,
        "category": category,
        "overrides": list(described.overrides(name, category or "")),
        "foreground": effective.foreground,
        "knobs": _knobs(effective, described.space("", "")),
    }
    say_result(result, _lines, as_json=as_json)


def _dataset_name(dataset: str, category: str | None) -> str:
    """The data set's name; its images are not needed, so one of the catalog need not lie on this machine.

    Raises:
        UnknownNameError: there is no such data set or category.
        DatasetError: a path that holds no data set.
    """
    from kdzoo.data.catalog import CATALOG, Dataset, open_dataset
    from kdzoo.settings import Settings

    settings = Settings.from_environment()
    if dataset in CATALOG:
        opened = Dataset(info=CATALOG[dataset], root=settings.data / dataset)
        known = opened.info.all_categories or (opened.categories() if opened.root.is_dir() else None)
    else:
        opened = open_dataset(dataset, settings)
        known = opened.categories()
    if category and known is not None and category not in known:
        raise UnknownNameError("category", category, known)
    return opened.name


def _knobs(effective: SearchSpace, base: SearchSpace) -> list[dict[str, Any]]:
    """Every knob of the method: the searched ones in the order in which they are drawn, then the fixed ones."""
    defaults, before = effective.defaults.as_dict(), base.defaults.as_dict()
    published = type(effective.defaults)().as_dict()
    order = [*effective.dimensions, *(key for key in defaults if key not in effective.dimensions)]
    return [
        {
            "key": key,
            "default": defaults[key],
            "published": published[key],
            "searched": _dimension(effective.dimensions.get(key)),
            "changed": defaults[key] != before[key] or effective.dimensions.get(key) != base.dimensions.get(key),
        }
        for key in order
    ]


def _dimension(dimension: Dimension | None) -> dict[str, Any] | None:
    """A knob's range as JSON values; None for one that is not searched."""
    if dimension is None:
        return None
    found: dict[str, Any] = {"type": dimension.kind}
    if dimension.kind == "categorical":
        found["choices"] = list(dimension.choices)
    else:
        found |= {"low": dimension.low, "high": dimension.high, "log": dimension.log, "step": dimension.step}
    conditions = {each.key: each.as_dict() for each in dimension.when}
    words = " and ".join(map(str, dimension.when))
    return found | {"text": str(dimension), "when": conditions, "when_text": words}


def _lines(result: dict[str, Any]) -> list[str]:
    """The space as a page of text."""
    place = "/".join(filter(None, (result["dataset"], result["category"])))
    title = f"{result['method']} on {place}" if place else result["method"]
    named = ", ".join(result["overrides"])
    lines = [f"{title}, overrides: {named}" if named else f"{title}, no overrides"]
    knobs = result["knobs"]
    widths = [max(len(each["key"]) for each in knobs), max(len(_shown(each["default"])) for each in knobs)]
    searched = [each for each in knobs if each["searched"]]
    wide = max((len(each["searched"]["text"]) for each in searched), default=0)
    lines += ["", "searched: default, range, condition" if searched else "nothing is searched"]
    for each in searched:
        text, when = each["searched"]["text"], each["searched"]["when_text"]
        lines.append(_line(each, widths, f"{text:{wide}}  when {when}" if when else text))
    lines += ["", "fixed"]
    for each in knobs:
        if not each["searched"]:
            published = "" if each["default"] == each["published"] else f"default {_shown(each['published'])}"
            lines.append(_line(each, widths, published))
    if result["foreground"]:
        lines += ["", f"foreground: {result['foreground']}"]
    if any(each["changed"] for each in knobs):
        lines += ["", f"{_MARK} not as in the method's own space: an override or --set changed its value or its range"]
    return lines


def _line(knob: dict[str, Any], widths: list[int], more: str) -> str:
    mark = _MARK if knob["changed"] else " "
    return f"{mark} {knob['key']:{widths[0]}}  {_shown(knob['default']):{widths[1]}}  {more}".rstrip()


def _shown(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
