"""`kdzoo leaderboard`: what sweeps have found, read from MLflow."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from kdzoo.cli.options import json_option
from kdzoo.cli.say import say_json, tell

if TYPE_CHECKING:
    from kdzoo.cli.tables import PlainTable
    from kdzoo.settings import Settings
    from kdzoo.tracking import CategoryResult, LeaderboardTable

_SHOWN = {
    "image_auroc": "image AUROC",
    "image_ap": "image AP",
    "pixel_auroc": "pixel AUROC",
    "pixel_ap": "pixel AP",
    "aupro": "AUPRO",
}


@click.command()
@click.option("--dataset", "-d", metavar="NAME", help="Only this data set.")
@click.option("--metric", default="image_auroc", show_default=True, help="Test metric to rank by.")
@click.option("--mlflow", metavar="URI", help="Tracking URI; default MLFLOW_TRACKING_URI, else the file under home.")
@click.option("--open", "opens", is_flag=True, help="Show it on MLflow's own page; prints the page's address.")
@click.option("--port", type=click.IntRange(1, 65535), help="With --open on a database: port to serve its pages on.")
@json_option
def leaderboard(
    dataset: str | None, metric: str, mlflow: str | None, opens: bool, port: int | None, as_json: bool
) -> None:
    """Rank the best results of each method and teacher, by category and over categories.

    There is a table for each data set, protocol, objective and input size: what a champion is compared by. Results on
    another split or other data stand apart in their category, and do not count in the means.

    \b
    Examples:
      kdzoo leaderboard
      kdzoo leaderboard --dataset demo --json
      kdzoo leaderboard --dataset demo --open
    """
    from kdzoo.settings import Settings
    from kdzoo.tracking import read_leaderboard

    settings = Settings.from_environment()
    uri = mlflow or settings.mlflow_uri
    if opens:
        if as_json:
            raise click.UsageError("--open shows a page, --json prints: give one of them")
        _open(uri, settings, dataset, metric, port)
        return
    if port is not None:
        raise click.UsageError("--port is for --open")
    board = read_leaderboard(uri, dataset=dataset, metric=metric)
    if as_json:
        say_json(board.as_json())
        return
    if not board.tables and dataset is not None:
        tell(f"No finished sweep of a data set named '{dataset}'")
        return
    if not board.tables:
        tell("No sweep has finished yet; start one with: kdzoo sweep aand --dataset demo")
        return
    from kdzoo.cli.tables import Page

    page = Page()
    for table in board.tables:
        page.table(_rendered(table))
        for category, differs in table.not_compared.items():
            page.line(f"{category} *: not compared with the rows above it, {_differing(differs)}", "yellow")


def _open(uri: str, settings: Settings, dataset: str | None, metric: str, port: int | None) -> None:
    """Shows MLflow's page of the leaderboard; serves it until Ctrl-C where there is only a database."""
    from kdzoo.cli.browse import free_port, is_server, serve, show
    from kdzoo.tracking.page import leaderboard_path
    from zoo_registry.addresses import without_credentials

    path = leaderboard_path(uri, dataset=dataset, metric=metric)
    if is_server(uri):
        show(without_credentials(uri).rstrip("/") + path)
        return
    where = port or free_port()
    serve(uri, settings.mlflow_artifacts, host="127.0.0.1", port=where, ready=lambda address: show(address + path))


def _rendered(board: LeaderboardTable) -> PlainTable:
    from kdzoo.cli.tables import PlainTable, number
    from kdzoo.metrics.decision_words import share_text

    decided = ("false alarms", "misses") if any(row.false_alarms or row.misses for row in board.rows) else ()
    shown = [name for name in _SHOWN if any(name in row.test for row in board.rows)]
    numbers = (*(_SHOWN[name] for name in shown), *decided, "seconds")
    table = PlainTable(_title(board), ("category", "method", "teacher", *numbers, "release", "sweep"), numbers=numbers)
    previous = None
    for row in board.rows:
        apart = previous is not None and previous.category == row.category and _images(previous) != _images(row)
        label = row.category if previous is None or row.category != previous.category or apart else ""
        metrics = [number(row.test.get(name)) for name in shown]
        release = "–" if row.release is None else f"{row.release}{', champion' if row.champion else ''}"
        shares = [(share_text(share.as_dict()) if share else "–") for share in (row.false_alarms, row.misses)]
        cells = [*metrics, *shares[: len(decided)], number(row.cost_seconds, 0), release, row.sweep or "–"]
        table.add_row(f"{label} *" if apart else label, row.method, row.teacher or "searched", *cells)
        previous = row
    table.add_section()
    for mean in board.means:
        metrics = [number(mean.test.get(name)) for name in shown]
        cells = [*metrics, *("" for _ in decided), number(mean.cost_seconds, 0), "", ""]
        table.add_row(f"mean of {mean.categories}", mean.method, mean.teacher or "searched", *cells, style="bold")
    return table


def _title(board: LeaderboardTable) -> str:
    size = "" if board.image_size is None else f", {board.image_size} px"
    ways = {"bilinear-antialiased-square": "", "bilinear-antialiased-padded": ", padded"}
    way = "" if board.resize is None else ways.get(board.resize, f", {board.resize}")
    return f"{board.dataset}, protocol {board.protocol}, chosen by {board.objective}{size}{way}"


def _images(row: CategoryResult) -> tuple[str | None, str | None]:
    return row.split_digest, row.data


def _differing(names: tuple[str, ...]) -> str:
    said = {"split": "another split", "data": "other data"}
    return " and ".join(said[name] for name in names)
