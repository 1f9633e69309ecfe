"""The final round of real sweeps on a local Ray: what wins has earned it, and a killed driver loses nothing of it."""

import os
import signal

import pytest
from helpers.killable_sweep import start
from helpers.layouts import make_dataset
from helpers.sweeps import Watcher, small_plan

from kdzoo.search.record.overview import one_sweep, sweep_folder
from kdzoo.search.run.sweep import run_sweep
from kdzoo.search.study.finals import PUBLISHED
from kdzoo.search.study.strategy import Strategy
from kdzoo.zoo import open_registry

TRIALS = 2
TWICE = Strategy(seeds=2, finalists=2)


@pytest.fixture
def parts(local_ray, tmp_path):
    make_dataset(tmp_path / "parts")
    return tmp_path


def run(folder, name, **given):
    plan, watcher = small_plan(folder, name=name, trials=TRIALS, **given), Watcher()
    return plan, run_sweep(plan, watcher), watcher


def test_the_best_by_their_means_and_then_the_published_one_among_them(parts):
    plan, board, _ = run(parts, "first", strategy=TWICE)
    registry = open_registry(plan.settings)
    assert board.finals == dict.fromkeys(board.categories, 2)
    for category in board.categories:
        rows, verdict = board.of(category), board.verdicts[category]
        finals = [row for row in rows if row.final is not None]
        assert len(rows) == TRIALS + 2 and [row.final.seed for row in finals] == [1, 1]
        by_number = {row.number: row for row in rows}
        for row in finals:
            first = by_number[row.final.of]
            assert row.config == first.config
            assert verdict.values[row.final.of] == (first.objective, row.objective)
        best = board.outcomes[category].best
        assert best.number == verdict.number
        document = registry.resolve(f"aand/parts/{category}").document
        assert document["final_round"]["seeds"] == [0, 1]
        assert document["objective"]["value"] == pytest.approx(best.objective)
        assert document["config"] == best.config
        assert document["options"]["seed"] == (0 if best.final is None else best.final.seed)
    summary, _ = one_sweep(sweep_folder(plan.settings, "first"))
    assert (summary.done, summary.planned) == (2 * TRIALS + 4, 2 * TRIALS + 4)

    # Another search of the same thing: the champion's configuration takes part, unless it was found again.
    changes = {category: {"width": 0.5} for category in board.categories}
    _, board, _ = run(parts, "second", strategy=TWICE, changes=changes)
    for category in board.categories:
        verdict = board.verdicts[category]
        assert PUBLISHED in verdict.means and len(verdict.values[PUBLISHED]) == 2
        champion = registry.resolve(f"aand/parts/{category}", 1).document
        assert [row.config for row in board.of(category) if row.final and row.final.of == PUBLISHED] == [
            champion["config"]
        ] * 2
        # Trained again under its own seed it reaches what it was published with.
        if champion["options"]["seed"] == 0:
            assert verdict.values[PUBLISHED][0] == pytest.approx(champion["objective"]["value"], abs=1e-6)
        published = board.outcomes[category].published
        assert not (verdict.stays and published.promoted)
        if verdict.stays and published.release is not None:
            assert "standard error" in published.note


def test_a_budget_that_ends_before_it_leaves_the_best_of_the_search(parts):
    """GPU hours of none: the search itself is cut; there is no round, and what was finished is published."""
    _, board, _ = run(parts, "short", strategy=TWICE, time_budget=0.001)
    assert board.verdicts == {} and board.finals == {}


def test_a_driver_killed_in_the_final_round_goes_on_with_it(tmp_path):
    make_dataset(tmp_path / "parts")
    process = start(tmp_path, trials=2, seeds=2)
    seen = []
    for line in process.stdout:
        seen.append(line.strip())
        if line.startswith("final epoch"):
            os.killpg(process.pid, signal.SIGKILL)
            break
    assert process.wait(60) and any(line.startswith("final epoch") for line in seen), seen
    out, err = start(tmp_path, trials=2, seeds=2).communicate(timeout=600)
    assert "published bottle" in out and "published cable" in out, err
    from kdzoo.settings import Settings

    settings = Settings.from_environment({"KDZOO_HOME": str(tmp_path / "home")})
    summary, categories = one_sweep(sweep_folder(settings, "killed"))
    assert (summary.done, summary.planned) == (2 * 2 + 4, 2 * 2 + 4)
    registry = open_registry(settings)
    for category in categories:
        assert registry.releases(f"aand/parts/{category.category}") == [1]
        told = registry.resolve(f"aand/parts/{category.category}").document["final_round"]
        assert len(told["configurations"]) == 2 and all(len(one["values"]) == 2 for one in told["configurations"])
