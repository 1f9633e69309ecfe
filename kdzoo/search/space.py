"""Search spaces: which knobs a study may turn and how far, read from YAML and checked against the method.

    schema: kdzoo-space/1
    method: aand
    defaults: {batch_size: 16}                 # in place of the paper's values
    space:
      margin: {type: float, low: 0.05, high: 1.0}
    overrides:                                 # by data set, then by category
      mvtec: {defaults: {distil_epochs: 100}}
      mvtec/bottle: {space: {margin: null}}    # null takes a knob out of the space
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from kdzoo.errors import ConfigError, SearchSpaceError, nearest
from kdzoo.methods.config import MethodConfig
from kdzoo.methods.registry import find_method
from kdzoo.search.yaml_lines import Section, read_yaml

SCHEMA = "kdzoo-space/1"
_KEYS = ("schema", "method", "defaults", "space", "overrides")
_DIMENSION_KEYS = {
    "float": {"type", "low", "high", "log", "step"},
    "int": {"type", "low", "high", "log", "step"},
    "categorical": {"type", "choices"},
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Dimension:
    """One knob of a space.

    Attributes:
        kind: ``float``, ``int`` or ``categorical``.
        low: least value of a number.
        high: largest value of a number.
        log: whether equal ratios are equally likely.
        step: spacing of a number's values.
        choices: values of a categorical.
    """

    kind: Literal["float", "int", "categorical"]
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    step: float | None = None
    choices: tuple[Any, ...] = ()

    def __str__(self) -> str:
        if self.kind == "categorical":
            return "one of " + ", ".join(map(str, self.choices))
        extra = (", log" if self.log else "") + (f", step {self.step:g}" if self.step else "")
        return f"{self.kind} {self.low:g} to {self.high:g}{extra}"


@dataclass(frozen=True, kw_only=True)
class SearchSpace:
    """The effective space of one category.

    Attributes:
        method: the method's name.
        defaults: the configuration that a study tries first.
        dimensions: the knobs it may turn.
    """

    method: str
    defaults: MethodConfig
    dimensions: Mapping[str, Dimension] = field(default_factory=dict)

    def config(self, values: Mapping[str, Any]) -> MethodConfig:
        """The configuration of a trial: the defaults with some knobs turned."""
        return self.defaults.replace(**values)

    def start(self) -> dict[str, Any]:
        """The defaults' values of the knobs, moved into their ranges: the first trial of a study."""
        chosen = {}
        for key, dimension in self.dimensions.items():
            value = getattr(self.defaults, key)
            if dimension.kind == "categorical":
                chosen[key] = value if value in dimension.choices else dimension.choices[0]
            else:
                chosen[key] = type(value)(min(max(value, dimension.low), dimension.high))
        return chosen


class SpaceFile:
    """A method's space file, wholly checked: every override against the method's configuration.

    Args:
        method: the method it must be for.
        path: the file; default the one that ships with kdzoo.

    Raises:
        SearchSpaceError: naming file, line and key.
    """

    def __init__(self, method: str, path: Path | None = None) -> None:
        self.method, self._config = method, find_method(method).config
        shipped = Path(str(files("search_spaces"))) / f"{method}.yaml"
        self._root = read_yaml(path or shipped)
        self._check()

    def space(self, dataset: str, category: str, *, changes: Mapping[str, Any] | None = None) -> SearchSpace:
        """The effective space of a category.

        Args:
            dataset: name of the data set.
            category: name of the category.
            changes: values fixed by the person; such a knob leaves the space.
        """
        overrides = self._root.get("overrides") or {}
        layers = [self._root, overrides.get(dataset) or {}, overrides.get(f"{dataset}/{category}") or {}]
        values: dict[str, Any] = {}
        dimensions: dict[str, Dimension] = {}
        for layer in layers:
            values.update(layer.get("defaults") or {})
            for key, described in (layer.get("space") or {}).items():
                if described is None:
                    dimensions.pop(key, None)
                else:
                    dimensions[key] = _dimension(described, key, self._config)
        for key, value in (changes or {}).items():
            values[key] = value
            dimensions.pop(key, None)
        return SearchSpace(method=self.method, defaults=self._config.from_mapping(values), dimensions=dimensions)

    def _check(self) -> None:
        root = self._root
        _known_keys(root, _KEYS)
        if root.get("schema") != SCHEMA:
            raise SearchSpaceError(f"{root.where('schema')}: schema is {root.get('schema')!r}, expected '{SCHEMA}'")
        if root.get("method") != self.method:
            raise SearchSpaceError(
                f"{root.where('method')}: the space is for method '{root.get('method')}', not '{self.method}'"
            )
        _layer(root, self._config)
        overrides = _subsection(root, "overrides")
        for name in overrides:
            override = _subsection(overrides, name)
            _known_keys(override, ("defaults", "space"))
            _layer(override, self._config)


def _layer(layer: Section, config: type[MethodConfig]) -> None:
    """Checks one layer's defaults and dimensions."""
    defaults = _subsection(layer, "defaults")
    for key, value in defaults.items():
        _known_field(defaults, key, config)
        try:
            config.from_mapping({key: value})
        except ConfigError as error:
            hint = f" ({error.hint})" if error.hint else ""
            raise SearchSpaceError(f"{defaults.where(key)}: {error.message}{hint}") from error
    space = _subsection(layer, "space")
    for key, described in space.items():
        _known_field(space, key, config)
        if described is not None:
            if not isinstance(described, Section):
                raise SearchSpaceError(f"{space.where(key)}: '{key}' must be a mapping such as {{type: float, low: 0, high: 1}}")
            _dimension(described, key, config)


def _dimension(described: Section, key: str, config: type[MethodConfig]) -> Dimension:
    """Reads and checks one knob."""
    kind = described.get("type")
    if kind not in _DIMENSION_KEYS:
        raise SearchSpaceError(f"{described.where('type')}: type of '{key}' is {kind!r}, expected float, int or categorical")
    _known_keys(described, sorted(_DIMENSION_KEYS[kind]))
    if kind == "categorical":
        return _categorical(described, key, config)
    low, high, step, log = (described.get(name) for name in ("low", "high", "step", "log"))
    for name, value in (("low", low), ("high", high)):
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise SearchSpaceError(f"{described.where(name)}: '{name}' of '{key}' must be a number, got {value!r}")
        if kind == "int" and not float(value).is_integer():
            raise SearchSpaceError(f"{described.where(name)}: '{name}' of '{key}' must be a whole number, got {value!r}")
        _allowed(described, name, key, value, config)
    if low > high:
        raise SearchSpaceError(f"{described.where('low')}: '{key}' has low {low} above high {high}")
    if log not in (None, True, False):
        raise SearchSpaceError(f"{described.where('log')}: 'log' of '{key}' must be true or false")
    if log and low <= 0:
        raise SearchSpaceError(f"{described.where('low')}: '{key}' has a log scale, so low must be above 0, got {low}")
    if step is not None and (isinstance(step, bool) or not isinstance(step, int | float) or step <= 0 or log):
        raise SearchSpaceError(f"{described.where('step')}: 'step' of '{key}' must be above 0 and not on a log scale")
    wanted = _kind(config.field_type(key))
    if wanted != kind and not (wanted == "float" and kind == "int"):
        raise SearchSpaceError(f"{described.where('type')}: '{key}' is {wanted}, so its type cannot be {kind}")
    return Dimension(kind=kind, low=low, high=high, log=bool(log), step=step)


def _categorical(described: Section, key: str, config: type[MethodConfig]) -> Dimension:
    choices = described.get("choices")
    if not isinstance(choices, list) or not choices:
        raise SearchSpaceError(f"{described.where('choices')}: 'choices' of '{key}' must be a list of values")
    for choice in choices:
        if isinstance(choice, list | dict):
            raise SearchSpaceError(f"{described.where('choices')}: a choice of '{key}' must be a plain value")
        _allowed(described, "choices", key, choice, config)
    return Dimension(kind="categorical", choices=tuple(choices))


def _allowed(described: Section, name: str, key: str, value: Any, config: type[MethodConfig]) -> None:
    """Checks that the method's configuration would take a value."""
    try:
        config.from_mapping({key: value})
    except ConfigError as error:
        hint = f" ({error.hint})" if error.hint else ""
        raise SearchSpaceError(f"{described.where(name)}: {error.message}{hint}") from error


def _kind(annotation: Any) -> str:
    if annotation in (int, float):
        return str(annotation.__name__)
    choices = get_args(annotation) if get_origin(annotation) is Literal else ()
    return "a choice of " + ", ".join(map(str, choices)) if choices else "no number"


def _subsection(section: Section, key: str) -> Section:
    value = section.get(key)
    if value is None:
        return Section(section.file, section.line)
    if not isinstance(value, Section):
        raise SearchSpaceError(f"{section.where(key)}: '{key}' must be a mapping")
    return value


def _known_field(section: Section, key: str, config: type[MethodConfig]) -> None:
    if key not in config.__dataclass_fields__:
        near = nearest(key, config.__dataclass_fields__)
        suggestion = f"; did you mean '{near}'?" if near else ""
        raise SearchSpaceError(f"{section.where(key)}: unknown key '{key}'{suggestion}")


def _known_keys(section: Section, known: tuple[str, ...] | list[str]) -> None:
    for key in section:
        if key not in known:
            near = nearest(key, known)
            suggestion = f"; did you mean '{near}'?" if near else ""
            raise SearchSpaceError(f"{section.where(key)}: unknown key '{key}'{suggestion}", hint=f"valid: {', '.join(known)}")
