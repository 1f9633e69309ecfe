"""`docs/benchmarks.md` and its plot, from the runs of `benchmarks.accuracy`; no number in it is written by hand."""

from __future__ import annotations

import math
from collections import defaultdict

import numpy as np

from benchmarks.published import PUBLISHED

MEASURES = {"image_auroc": "image AUROC", "pixel_auroc": "pixel AUROC", "aupro": "AUPRO"}
BASELINE = "nearest"
ORDER = ("rd", "mrkd", "aand", "adps", "nearest", "patchcore", "stfpm")
PLOT = "benchmarks.svg"

HEAD = """# Benchmarks

Every number here is made by `python -m benchmarks.accuracy` from {runs} runs, which are kept in
[`benchmarks/results.jsonl`](../benchmarks/results.jsonl). A run is what `kdzoo train` does with the settings that a
sweep tries first: no knob is searched, the best of four measured epochs is taken on the selection part, and the numbers
are of the report part of protocol `holdout`, which no choice of a run has seen. A cell is the mean over a data set's
categories, and after ± the standard deviation of that mean over up to {seeds} seeds. Seconds are of one core's work for
training a category, milliseconds of one image from pixels to score, both on {device}; megabytes are what a
detector adds to its teacher.

These are the data sets that the defaults of own data, ELPV and the demo were chosen on, by the report parts of one or
two seeds ([what was tried](sweeps.md)); those of `nearest`, too. So the page says what the methods reach when they are
set well for such images, and what lies between them, and not what a first run on other images will reach. A data set
that is added had no say in them.

To add a data set or a machine's own numbers, run the command with `--dataset NAME` or `--dataset NAME=FOLDER`: what is
there is not run again.
"""

FEW = """
## What few normal images are worth

The same runs with so many normal images to train on, drawn by the seed (selection and calibration keep theirs). Mean
over {where}; ± over {seeds} seeds; `{teacher}`, {size} pixels.
"""

PAPERS = """
## Beside the papers

These sets' images have to be downloaded from their publishers, and were not at hand where this page was made. With them

```
python -m benchmarks.accuracy --dataset mvtec --teacher wide_resnet50_2.tv_in1k --size 256 --seeds 3
```

adds them above; `visa`, `mvtec3d` and `ksdd2` likewise. Papers choose the epoch on the images that they report, which
`--protocol test` of `kdzoo sweep` repeats and this page never does.

| data set | method | image AUROC | pixel AUROC | AUPRO |
|---|---|---|---|---|
"""


def write_page(rows, docs):
    """Writes the page and its plot into the folder of the documentation."""
    whole = [row for row in rows if not row["normals"]]
    few = [row for row in rows if row["normals"]]
    if not whole:
        raise SystemExit("there are no runs yet: python -m benchmarks.accuracy")
    parts = [
        HEAD.format(
            runs=len(rows), seeds=max(len(seeds_of(group)) for group in by(whole, "method").values()),
            device=" and ".join(f"`{name}`" for name in dict.fromkeys(row["device"] for row in rows)),
        )
    ]  # fmt: skip
    for (size, teacher), group in by(whole, "size", "teacher").items():
        parts.append(f"\n## `{teacher}`, {size} pixels\n\n" + overview(group))
        parts.append("\n" + behind(group) + "\n" + by_category(group))
    plot(whole, docs / "images" / PLOT)
    parts.append(f"\n## Accuracy and time\n\n![Mean image AUROC against milliseconds an image](images/{PLOT})\n")
    if few:
        parts.append(few_normals(few, whole))
    parts.append(PAPERS + "".join(map(paper_line, papers())))
    (docs / "benchmarks.md").write_text("".join(parts))


def by(rows, *keys):
    """Rows in groups of the same values of some keys, in order."""
    groups = defaultdict(list)
    for row in rows:
        groups[tuple(row[key] for key in keys) if len(keys) > 1 else row[keys[0]]].append(row)
    return groups


def seeds_of(rows):
    """The seeds of some runs, ascending."""
    return sorted({row["seed"] for row in rows})


def over_seeds(rows, measure, beside=()):
    """The mean over categories for each seed that has them all; empty where the measure is undefined.

    Args:
        rows: runs of one method.
        measure: name.
        beside: runs whose categories are to be there, too; a mean over fewer would compare what does not compare.
    """
    categories = {(row["dataset"], row["category"]) for row in (*rows, *beside)}
    means = []
    for group in by(rows, "seed").values():
        values = [row[measure] for row in group if row[measure] is not None]
        if len(values) == len(categories):
            means.append(float(np.mean(values)))
    return means


def cell(values):
    """Mean ± standard deviation; a dash where there is nothing."""
    if not values:
        return "–"
    spread = f" ± {np.std(values, ddof=1):.3f}" if len(values) > 1 else ""
    return f"{np.mean(values):.3f}{spread}"


def overview(rows):
    """A line for each method: each data set's measures, and the cost."""
    sets = by(rows, "dataset")
    columns = [(name, measure) for name, group in sets.items() for measure in MEASURES if group[0][measure] is not None]
    head = ["method", *(f"{name}: {MEASURES[measure]}" for name, measure in columns), "s", "ms", "MB"]
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    for method, group in sorted(by(rows, "method").items(), key=lambda each: ORDER.index(each[0])):
        own = by(group, "dataset")
        cells = [cell(over_seeds(own.get(name, []), measure, sets[name])) for name, measure in columns]
        costs = [np.mean([row[key] for row in group]) for key in ("processor_seconds", "latency_ms", "megabytes")]
        lines.append(f"| `{method}` | {' | '.join(cells)} | {costs[0]:.0f} | {costs[1]:.1f} | {costs[2]:.1f} |")
    return "\n".join(lines) + "\n"


def behind(rows):
    """Which methods are ahead of the nearest neighbours, and which behind, by pairs of the same category and seed."""
    lines = []
    for name, group in by(rows, "dataset").items():
        base = {(row["category"], row["seed"]): row for row in group if row["method"] == BASELINE}
        told = []
        for method, own in by(group, "method").items():
            pairs = [
                row["image_auroc"] - base[row["category"], row["seed"]]["image_auroc"]
                for row in own
                if (row["category"], row["seed"]) in base
            ]
            if method != BASELINE and len(pairs) > 1:
                error = np.std(pairs, ddof=1) / math.sqrt(len(pairs))
                told.append(f"`{method}` {np.mean(pairs):+.3f} ± {error:.3f}")
        if told:
            lines.append(f"- {name}: {', '.join(told)}")
    if not lines:
        return ""
    text = f"Image AUROC less that of `{BASELINE}`, which learns nothing (mean over all runs, ± its standard error):"
    return f"{text}\n\n" + "\n".join(lines) + "\n"


def by_category(rows):
    """Image AUROC, and pixel AUROC where there is one, of each category."""
    methods = sorted(by(rows, "method"), key=ORDER.index)
    lines = [f"| category | {' | '.join(f'`{name}`' for name in methods)} |", "|" + "---|" * (len(methods) + 1)]
    for (dataset, category), group in by(rows, "dataset", "category").items():
        own = by(group, "method")
        cells = []
        for method in methods:
            values = [
                [row[key] for row in own.get(method, []) if row[key] is not None]
                for key in ("image_auroc", "pixel_auroc")
            ]
            cells.append(" / ".join(f"{np.mean(each):.3f}" for each in values if each) or "–")
        lines.append(f"| {dataset}/{category} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def few_normals(few, whole):
    """A line for each number of normal images; the last is of all."""
    parts = []
    for (size, teacher), group in by(few, "size", "teacher").items():
        places = {(row["dataset"], row["category"]) for row in group}
        methods = list(by(group, "method"))
        beside = [
            row for row in whole
            if (row["size"], row["teacher"]) == (size, teacher)
            and (row["dataset"], row["category"]) in places and row["method"] in methods
        ]  # fmt: skip
        where = ", ".join(f"{dataset}/{category}" for dataset, category in sorted(places))
        parts.append(FEW.format(where=where, seeds=len(seeds_of(group)), teacher=teacher, size=size))
        parts.append(f"\n| normal images | {' | '.join(f'`{name}`' for name in methods)} |\n")
        parts.append("|" + "---|" * (len(methods) + 1) + "\n")
        counts = sorted(by(group, "normals").items())
        trained = sorted({row["train_images"] for row in beside})
        for normals, some in [*counts, (f"all ({', '.join(map(str, trained))})", beside)]:
            own = by(some, "method")
            cells = [measures_of(own.get(method, [])) for method in methods]
            parts.append(f"| {normals} | {' | '.join(cells)} |\n")
    return "".join(parts)


def measures_of(rows):
    """Image AUROC with its spread, and pixel AUROC of the categories that have one."""
    masked = [row for row in rows if row["pixel_auroc"] is not None]
    pixel = over_seeds(masked, "pixel_auroc") if masked else []
    return cell(over_seeds(rows, "image_auroc")) + (f" / {np.mean(pixel):.3f}" if pixel else "")


def papers():
    """Data set, method and numbers that papers report."""
    return [(name, method, numbers) for name, methods in PUBLISHED.items() for method, numbers in methods.items()]


def paper_line(entry):
    """A paper's numbers as a line of the table."""
    name, method, numbers = entry
    return f"| {name} | `{method}` | {' | '.join('–' if each is None else f'{each:.3f}' for each in numbers)} |\n"


def plot(rows, file):
    """Mean image AUROC over data sets against milliseconds an image: a mark for each method and teacher."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams.update({"svg.hashsalt": "kdzoo", "svg.fonttype": "none", "font.size": 9})
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 4), layout="constrained")
    names = sorted(by(rows, "dataset"))
    for mark, ((teacher, size), group) in zip("osD^vPX*", by(rows, "teacher", "size").items(), strict=False):
        points, places = [], {(row["dataset"], row["category"]) for row in rows}
        for method, own in by(group, "method").items():
            sets = by(own, "dataset")
            # A mean over other categories would compare what does not compare.
            if {(row["dataset"], row["category"]) for row in own} == places:
                mean = np.mean([np.mean(over_seeds(each, "image_auroc")) for each in sets.values()])
                points.append((np.mean([row["latency_ms"] for row in own]), mean, method))
        if points:
            axes.scatter(
                *zip(*[point[:2] for point in points], strict=True), marker=mark, label=f"{teacher}, {size} px"
            )
        for x, y, method in points:
            axes.annotate(method, (x, y), textcoords="offset points", xytext=(5, 3))
    axes.set(
        xscale="log", xlabel="milliseconds an image, one core", ylabel=f"image AUROC, mean over {', '.join(names)}"
    )
    axes.margins(x=0.12)
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    figure.savefig(file, metadata={"Date": None})
    pyplot.close(figure)
