"""What MLflow's pages say in words: descriptions of experiments, runs and models, in Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from kdzoo.metrics.names import METRIC_NAMES
from kdzoo.tracking.reference import ReleaseRef

NOTE_TAG: Final = "mlflow.note.content"
MAX_NOTE: Final = 5000
"""MLflow's limit for a tag, on servers of every age."""

_PROTOCOLS: Final = {
    "synthetic": "selection saw normal images and synthetic anomalies planted on them; the report is on all of test",
    "holdout": "selection saw half of the test images; the report is on the other half",
    "test": "selection saw the test images that the report is on, as published numbers do",
}
_SHOWN: Final = ("image_auroc", "pixel_auroc", "pixel_ap", "aupro")


@dataclass(frozen=True, kw_only=True)
class CategoryEnd:
    """How a category of a sweep ended, for the sweep's description.

    Attributes:
        category: such as ``"candle"``.
        metrics: ``val_*`` and ``test_*`` of its best trial; empty when none was usable.
        published: the release it was published as.
        champion: whether that became its entry's champion.
        reason: what went wrong, or empty.
    """

    category: str
    metrics: Mapping[str, float]
    published: ReleaseRef | None = None
    champion: bool = False
    reason: str = ""


def experiment_note(name: str) -> str:
    """Of an experiment ``kdzoo/<method>/<dataset>``."""
    _, method, dataset = name.split("/", 2)
    return _fitted(
        f"Sweeps of the anomaly detector **{method}** on the data set **{dataset}**.",
        "",
        "A sweep is a run; nested in it is a run for each category, and in that a run for each trial.",
        "Metrics are fractions: `val_*` is what selection saw, `test_*` is the report. Results of different",
        "`kdzoo.protocol` or `kdzoo.split_digest` do not compare.",
        "",
        "| to see | filter |",
        "|---|---|",
        "| results | ``tags.`kdzoo.level` = 'category'`` |",
        "| what `kdzoo.load` gives | ``tags.`kdzoo.champion` = 'true'`` |",
        "| trials of a category | ``tags.`kdzoo.level` = 'trial' AND tags.`kdzoo.category` = 'NAME'`` |",
        "| failures | ``tags.`kdzoo.status` = 'failed'`` |",
    )


def sweep_note(tags: Mapping[str, str], ends: Sequence[CategoryEnd] = ()) -> str:
    """Of a sweep's run.

    Args:
        tags: the run's.
        ends: the categories that are concluded.
    """
    lines = [
        f"**{tags['kdzoo.method']}** on every category of **{tags['kdzoo.dataset']}**, teacher "
        f"{tags.get('kdzoo.teacher', 'searched')}; the best trial by `val_{tags['kdzoo.objective']}`.",
        "",
        _protocol(tags),
    ]
    if ends:
        lines += ["", f"| category | {' | '.join(f'test {name}' for name in _SHOWN)} | release |"]
        lines.append("|---" * (len(_SHOWN) + 2) + "|")
    lines += [_row(end) for end in ends]
    loads = [end.published for end in ends if end.published is not None]
    return _fitted(*lines, tail=() if not loads else ("", *_load(loads[0], champion=True)))


def category_note(tags: Mapping[str, str], end: CategoryEnd, best_trial: str | None) -> str:
    """Of a category's run.

    Args:
        tags: the run's.
        end: how it ended.
        best_trial: the trial that the metrics are of.
    """
    dataset, category = tags["kdzoo.dataset"], end.category
    lines = [f"The best of **{tags['kdzoo.method']}** on **{dataset}/{category}**", "", _protocol(tags)]
    if best_trial is not None:
        lines[0] += f": trial `{best_trial}`, whose knobs and metrics these are."
    if end.reason:
        lines += ["", f"Reason: {_cell(end.reason)}"]
    names = [name for name in METRIC_NAMES if f"test_{name}" in end.metrics]
    if names:
        lines += ["", "| metric | selection | report |", "|---|---|---|"]
        values = ((name, end.metrics.get(f"val_{name}"), end.metrics[f"test_{name}"]) for name in names)
        lines += [f"| {name} | {_number(val)} | {_number(test)} |" for name, val, test in values]
    if end.published is not None:
        became = "became champion" if end.champion else "did not become champion"
        lines += ["", f"Release {end.published.release} in the zoo; it {became} then."]
        lines += _load(end.published, champion=False)
        lines += ["", f"In the model registry: `{end.published.model_name}`."]
    return _fitted(*lines)


def model_note(ref: ReleaseRef, name: str | None = None) -> str:
    """Of a registered model.

    Args:
        ref: a release of it.
        name: the model's; default the plain one of the entry.
    """
    return _fitted(
        f"Releases of `{ref.entry}`. The alias `champion` is the zoo's. A version holds a reference alone; the weights",
        "are in the zoo and are verified by digest on their way out.",
        "",
        *_load(ref, champion=True),
        "",
        "or, through MLflow, on a machine with kdzoo:",
        "",
        "```python",
        f'mlflow.pyfunc.load_model("models:/{name or ref.model_name}@champion").predict(["part.png"])',
        "```",
    )


def version_note(ref: ReleaseRef) -> str:
    """Of a version of it."""
    return _fitted(f"Release {ref.release} of `{ref.entry}` in `{ref.zoo}`.", "", *_load(ref, champion=False))


def _protocol(tags: Mapping[str, str]) -> str:
    name = tags["kdzoo.protocol"]
    return f"Protocol **{name}**: {_PROTOCOLS.get(name, '')}."


def _row(end: CategoryEnd) -> str:
    values = " | ".join(_number(end.metrics.get(f"test_{name}")) for name in _SHOWN)
    release = "–" if end.published is None else f"{end.published.release}{' (champion)' if end.champion else ''}"
    return f"| {end.category} | {values} | {_cell(end.reason) if end.reason else release} |"


def _load(ref: ReleaseRef, *, champion: bool) -> list[str]:
    method, _, name = ref.entry.partition("/")
    number = "" if champion else f", release={ref.release}"
    return ["```python", f'detector = kdzoo.load("{method}", "{name}", zoo="{ref.zoo}"{number})', "```"]


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


def _cell(text: str) -> str:
    """A reason as one cell of a table: errors may hold bars and lines."""
    return " ".join(text.replace("|", "/").split())[:300]


def _fitted(*lines: str, tail: Sequence[str] = ()) -> str:
    """Whole lines, as many as MLflow takes: a sweep may have a thousand categories."""
    kept, room = list[str](), MAX_NOTE - sum(len(line) + 1 for line in tail) - 40
    for number, line in enumerate(lines):
        room -= len(line) + 1
        if room < 0:
            kept += ["", f"and {len(lines) - number} more lines"]
            break
        kept.append(line)
    return "\n".join((*kept, *tail))
