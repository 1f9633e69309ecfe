"""`kdzoo leaderboard`: what sweeps have found, read from MLflow."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from kdzoo.cli.options import json_option

if TYPE_CHECKING:
    from rich.table import Table

    from kdzoo.tracking import LeaderboardTable

_SHOWN = (
    ("image_auroc", "img AUROC"),
    ("image_ap", "img AP"),
    ("pixel_auroc", "px AUROC"),
    ("pixel_ap", "px AP"),
    ("aupro", "AUPRO"),
)


@click.command()
@click.option("--dataset", "-d", metavar="NAME", help="Only this data set.")
@click.option("--metric", default="image_auroc", show_default=True, help="Test metric to rank by.")
@json_option
def leaderboard(dataset: str | None, metric: str, as_json: bool) -> None:
    """Rank the best results of each method: by category and over categories, a table for each protocol.

    \b
    Examples:
      kdzoo leaderboard
      kdzoo leaderboard --dataset demo --json
    """
    from kdzoo.settings import Settings
    from kdzoo.tracking import read_leaderboard

    board = read_leaderboard(Settings.from_environment().mlflow_uri, dataset=dataset, metric=metric)
    if as_json:
        click.echo(json.dumps(board.as_json()))
        return
    if not board.tables:
        click.echo("No sweep has finished yet; start one with: kdzoo sweep aand --dataset demo", err=True)
        return
    from rich.console import Console

    console = Console()
    for table in board.tables:
        console.print(_rendered(table))
        if table.mixed_splits:
            console.print(f"Not measured on the same images: {', '.join(table.mixed_splits)}", style="yellow")


def _rendered(board: LeaderboardTable) -> Table:
    from rich.table import Table

    table = Table(title=f"{board.dataset}, protocol {board.protocol}", title_justify="left", title_style="bold")
    for name in ("category", "method", *(title for _, title in _SHOWN), "seconds", "release"):
        table.add_column(name, justify="left" if name in ("category", "method") else "right", no_wrap=True)
    previous = None
    for row in board.rows:
        if previous not in (None, row.category):
            table.add_section()
        metrics = [_number(row.test.get(name)) for name, _ in _SHOWN]
        seconds = "" if row.cost_seconds is None else f"{row.cost_seconds:.0f}"
        label = row.category if row.category != previous else ""
        table.add_row(label, row.method, *metrics, seconds, "" if row.release is None else str(row.release))
        previous = row.category
    table.add_section()
    for mean in board.means:
        metrics = [_number(mean.test.get(name)) for name, _ in _SHOWN]
        seconds = "" if mean.cost_seconds is None else f"{mean.cost_seconds:.0f}"
        table.add_row(f"mean of {mean.categories}", mean.method, *metrics, seconds, "", style="bold")
    return table


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
