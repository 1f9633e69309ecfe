"""Search spaces: which knobs a study may turn and how far, read from YAML and checked against the method.

A space file, with every key it may have::

    schema: kdzoo-space/1
    method: aand
    defaults: {batch_size: 16}                 # in place of the paper's values
    space:
      margin: {type: float, low: 0.05, high: 1.0}
      hkd_top_k: {type: int, low: 1, high: 256, log: true, when: {hkd_weight: {above: 0}}}
    focus: [margin]                            # the knobs that are searched unless all are asked for
    foreground: auto                           # or whole, light, dark, masks:FOLDER (relative to this file)
    overrides:                                 # by data set, then by category; `own`: all that kdzoo does not list
      own: {defaults: {level_scale: zscore}}
      mvtec: {defaults: {distil_epochs: 100}}
      mvtec/bottle: {foreground: light, space: {margin: null}}    # null takes a knob out of the space
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import combinations, product
from pathlib import Path
from typing import Any

from kdzoo.data.catalog import CATALOG
from kdzoo.data.foreground.rule import ForegroundRule
from kdzoo.errors import ConfigError, SearchSpaceError, UnknownNameError, nearest
from kdzoo.methods.config import MethodConfig
from kdzoo.methods.registry import find_method
from kdzoo.search.space.activation import activating, settled
from kdzoo.search.space.checks import check_value, known_keys, known_name, meant, space_error
from kdzoo.search.space.dimension import Dimension, read_dimension
from kdzoo.search.space.yaml_lines import Section, read_yaml

SCHEMA = "kdzoo-space/1"

OWN = "own"
"""Override of the data sets that are a person's own, all but the catalog's; one by the set's name comes later."""


_NEAR = 0.05
"""Assignments whose knobs differ by less than this share of their ranges, on average, are nearly the same."""


@dataclass(frozen=True, kw_only=True)
class SearchSpace:
    """The effective space of one category.

    Attributes:
        method: the method's name.
        defaults: the configuration that a study tries first.
        dimensions: the knobs it may turn; one with conditions stands after those that they name.
        foreground: the rule by which the category's foreground is had; None when the file says nothing of it.
    """

    method: str
    defaults: MethodConfig
    dimensions: Mapping[str, Dimension] = field(default_factory=dict)
    foreground: str | None = None

    def config(self, values: Mapping[str, Any]) -> MethodConfig:
        """The configuration of a trial: the defaults with some knobs turned.

        Raises:
            ConfigError: a value is not valid, or values disagree with each other.
        """
        return self.defaults.replace(**values)

    def matters(self, key: str, values: Mapping[str, Any]) -> bool:
        """Whether a knob makes a difference, given the values of the knobs before it that do."""
        return all(each.key in values and each.holds(values[each.key]) for each in self.dimensions[key].when)

    def assignment(self, wanted: Mapping[str, Any]) -> dict[str, Any]:
        """Values of all knobs that matter: the wanted ones, for others the defaults' moved into their ranges."""
        values: dict[str, Any] = {}
        for key, dimension in self.dimensions.items():
            if self.matters(key, values):
                values[key] = wanted[key] if key in wanted else dimension.closest(getattr(self.defaults, key))
        return values

    def fitted(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """Values of all knobs that matter, as near as the space allows to a whole configuration of another space."""
        return self.assignment({key: each.closest(config[key]) for key, each in self.dimensions.items()})

    def distance(self, one: Mapping[str, Any], other: Mapping[str, Any]) -> float:
        """How far two assignments are from each other: 0 for the same, 1 for opposite ends of every knob's range."""
        keys = one.keys() | other.keys()
        apart = (
            self.dimensions[key].distance(one[key], other[key]) if key in one and key in other else 1.0 for key in keys
        )
        return sum(apart) / len(keys) if keys else 0.0

    def is_new(self, values: Mapping[str, Any], others: Iterable[Mapping[str, Any]]) -> bool:
        """Whether an assignment is not nearly the same as any of some others."""
        return all(self.distance(values, other) >= _NEAR for other in others)

    def start(self) -> dict[str, Any]:
        """The first trial of a study: the defaults' values of the knobs that matter, moved into their ranges."""
        return self.assignment({})


class SpaceFile:
    """A method's space file, wholly checked: every layer and every override against the method's configuration.

    Args:
        method: the method it must be for.
        path: the file; default the one that ships with kdzoo.
        full: whether all its knobs are searched, or those of its ``focus`` alone, where it has one.

    Raises:
        UnknownNameError: there is no such method.
        SearchSpaceError: naming file, line and key.
    """

    def __init__(self, method: str, path: Path | None = None, *, full: bool = True) -> None:
        entry = find_method(method)
        self.method, self._config, self._full = method, entry.config, full
        self._root = read_yaml(path or entry.space_file)
        self._folder = (path or entry.space_file).parent.absolute()
        self._made: dict[tuple[str, ...], SearchSpace] = {}
        self._check()

    def overrides(self, dataset: str, category: str) -> tuple[str, ...]:
        """Names of the overrides that apply to a category, in the order in which they do."""
        named = _subsection(self._root, "overrides")
        kind = (OWN,) if dataset and dataset not in CATALOG else ()
        return tuple(name for name in dict.fromkeys((*kind, dataset, f"{dataset}/{category}")) if name in named)

    def check_names(self, dataset: str, categories: Iterable[str], others: Iterable[str] = ()) -> None:
        """Checks that every override is of a data set and category that there are.

        Args:
            dataset: name of the one that is opened.
            categories: all of its categories.
            others: names of further data sets that there are, beside the catalog's.

        Raises:
            SearchSpaceError: naming the override and the nearest name.
        """
        overrides = _subsection(self._root, "overrides")
        known = dict.fromkeys((OWN, *CATALOG, dataset, *others))
        for name in overrides:
            of, _, category = name.partition("/")
            if of not in known:
                problem = f"override of an unknown data set '{of}'{meant(nearest(of, known))}"
                hint = f"known: {', '.join(known)}; `kdzoo data add` gives a folder a name"
                raise space_error(overrides, name, problem, hint)
            if of == dataset and category:
                known_name(overrides, name, [f"{dataset}/{other}" for other in categories], "category")

    def space(self, dataset: str, category: str, *, changes: Mapping[str, Any] | None = None) -> SearchSpace:
        """The effective space of a category.

        Args:
            dataset: name of the data set.
            category: name of the category.
            changes: values fixed by the person; such a knob leaves the space.

        Raises:
            SearchSpaceError: some values of the space make no valid configuration together.
            ConfigError: a change is not valid.
        """
        overrides = _subsection(self._root, "overrides")
        named = self.overrides(dataset, category)
        # Most categories share a space, and checking one takes milliseconds.
        key = (*named, repr(changes))
        if key not in self._made:
            layers = [self._root, *(_subsection(overrides, name) for name in named)]
            self._made[key] = self._make(layers, changes or {})
        return self._made[key]

    def _make(self, layers: list[Section], changes: Mapping[str, Any]) -> SearchSpace:
        values: dict[str, Any] = {}
        dimensions: dict[str, Dimension] = {}
        origins: dict[str, Section] = {}
        foreground: str | None = None
        focus: list[str] | None = None
        for layer in layers:
            focus = layer.get("focus", focus)
            foreground = self._foreground(layer) or foreground
            values.update(_subsection(layer, "defaults"))
            section = _subsection(layer, "space")
            for key, described in section.items():
                dimensions.pop(key, None)
                if described is not None:
                    dimensions[key], origins[key] = read_dimension(described, key, self._config), section
        if focus is not None and not self._full:
            dimensions = {key: dimension for key, dimension in dimensions.items() if key in focus}
        for key, value in changes.items():
            values[key] = value
            dimensions.pop(key, None)
        try:
            defaults = self._config.from_mapping(values)
        except ConfigError as error:
            if changes:
                raise
            where = _subsection(layers[-1], "defaults").where() if layers[-1].get("defaults") else layers[-1].where()
            raise SearchSpaceError(f"{where}: {error.message}", hint=error.hint) from error
        active = settled(dimensions, defaults, lambda key: origins[key].where(key))
        space = SearchSpace(method=self.method, defaults=defaults, dimensions=active, foreground=foreground)
        _check_together(space, origins)
        return space

    def _foreground(self, layer: Section) -> str | None:
        """A layer's foreground rule, its folder made absolute."""
        if layer.get("foreground") is None:
            return None
        try:
            return str(ForegroundRule.parse(str(layer["foreground"]), base=self._folder))
        except (ConfigError, UnknownNameError) as error:
            raise space_error(layer, "foreground", error.message, error.hint) from error

    def _check(self) -> None:
        root = self._root
        known_keys(root, ("schema", "method", "defaults", "space", "focus", "foreground", "overrides"))
        if root.get("schema") != SCHEMA:
            raise SearchSpaceError(f"{root.where('schema')}: schema is {root.get('schema')!r}, expected '{SCHEMA}'")
        if root.get("method") != self.method:
            raise SearchSpaceError(
                f"{root.where('method')}: the space is for method '{root.get('method')}', not '{self.method}'"
            )
        _check_layer(root, self._config)
        self.space("", "")
        overrides = _subsection(root, "overrides")
        for name in overrides:
            override = _subsection(overrides, name)
            known_keys(override, ("defaults", "space", "focus", "foreground"))
            if not any(override.values()):
                raise space_error(
                    overrides, name, f"the override '{name}' is empty", "say what it changes, or remove it"
                )
            _check_layer(override, self._config)
            dataset, _, category = name.partition("/")
            known = CATALOG[dataset].categories if dataset in CATALOG else None
            if category and known is not None:
                known_name(overrides, name, [f"{dataset}/{other}" for other in known], "category")
            self.space(dataset, category)


def _check_layer(layer: Section, config: type[MethodConfig]) -> None:
    """Checks one layer's defaults and dimensions, each by itself."""
    defaults = _subsection(layer, "defaults")
    for key, value in defaults.items():
        known_name(defaults, key, config.__dataclass_fields__, "key")
        check_value(defaults, key, key, value, config)
    _check_focus(layer, config)
    space = _subsection(layer, "space")
    for key, described in space.items():
        known_name(space, key, config.__dataclass_fields__, "key")
        if described is not None:
            if not isinstance(described, Section):
                example = "{type: float, low: 0, high: 1}"
                raise SearchSpaceError(f"{space.where(key)}: '{key}' must be a mapping such as {example}")
            read_dimension(described, key, config)


def _check_focus(layer: Section, config: type[MethodConfig]) -> None:
    """Checks a layer's list of the knobs that are searched first."""
    if "focus" not in layer:
        return
    focus = layer["focus"]
    if not isinstance(focus, list) or not focus:
        raise space_error(layer, "focus", "'focus' must be a list of knobs, such as [learning_rate, width]")
    for key in focus:
        if not isinstance(key, str) or key not in config.__dataclass_fields__:
            raise space_error(
                layer, "focus", f"unknown key '{key}'{meant(nearest(str(key), config.__dataclass_fields__))}"
            )


def _check_together(space: SearchSpace, origins: Mapping[str, Section]) -> None:
    """Checks that no values of the space disagree: the ends of every two knobs, the others at their start.

    A configuration's fields are at odds with each other in pairs, and most at odds at the ends of their ranges. A knob
    under a condition is judged where the condition holds, so only configurations that a study can make are.
    """
    ends = {key: dimension.ends for key, dimension in space.dimensions.items()}
    opened = {key: activating(space.dimensions, key) for key in ends}
    pairs = list(combinations(ends, 2)) if len(ends) > 1 else [(key,) for key in ends]
    for pair in pairs:
        conditions = {other: value for key in pair for other, value in opened[key].items()}
        for values in product(*(ends[key] for key in pair)):
            try:
                space.config(space.assignment({**conditions, **dict(zip(pair, values, strict=True))}))
            except ConfigError as error:
                culprit = next((key for key in pair if key in error.message), pair[0])
                raise SearchSpaceError(
                    f"{origins[culprit].where(culprit)}: the space allows a configuration that is not valid: "
                    f"{error.message}",
                    hint=error.hint or f"narrow the range of '{culprit}'",
                ) from error


def _subsection(section: Section, key: str) -> Section:
    value = section.get(key)
    if value is None:
        return Section(section.file, section.line)
    if not isinstance(value, Section):
        raise SearchSpaceError(f"{section.where(key)}: '{key}' must be a mapping")
    return value
