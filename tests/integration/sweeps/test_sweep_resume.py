"""A driver killed at whatever moment: the sweep goes on, nothing runs twice, nothing is published twice."""

import json
import os
import random
import signal
import sqlite3
from contextlib import closing

import pytest
from helpers.killable_sweep import NAME, start
from helpers.layouts import make_dataset
from mlflow import MlflowClient

from kdzoo.search.record.folder import SweepFolder
from kdzoo.search.record.overview import one_sweep
from kdzoo.settings import Settings
from kdzoo.tracking import read_leaderboard
from kdzoo.zoo import open_registry

CATEGORIES = ("bottle", "cable")


def drive(folder, *, trials, until=None, lines=1):
    """Drives the sweep until it has printed some lines that begin so, then kills the driver; without, to the end."""
    process, seen = start(folder, trials=trials), []
    try:
        for line in process.stdout:
            seen.append(line.strip())
            if until is not None and sum(text.startswith(until) for text in seen) >= lines:
                os.kill(process.pid, signal.SIGKILL)
                until = None
                break
        _, err = process.communicate(timeout=600)
    finally:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            process.kill()
    assert process.returncode in (0, -signal.SIGKILL), err
    return seen


def ended(sweep):
    """Number, category and time of the end of each trial that its study calls ended and not interrupted."""
    query = (
        "SELECT study_name, number, datetime_complete FROM trials JOIN studies USING (study_id)"
        " WHERE state NOT IN ('RUNNING', 'WAITING') AND trial_id NOT IN (SELECT trial_id FROM trial_user_attributes"
        " WHERE key = 'interrupted')"
    )
    if not sweep.studies.exists():
        return set()
    with closing(sqlite3.connect(sweep.studies)) as database:
        return set(database.execute(query).fetchall())


def check_whole(folder, *, trials):
    """What must be so once the sweep is at its end, whatever happened on the way."""
    settings = Settings.from_environment({"KDZOO_HOME": str(folder / "home")})
    sweep = SweepFolder(settings.sweeps / NAME)
    summary, categories = one_sweep(sweep)
    assert (summary.state, summary.done, summary.planned) == ("finished", 2 * trials, 2 * trials)
    assert [each.done for each in categories] == [trials, trials]
    for each in categories:
        front = each.outcome["pareto"]
        assert front and all(trial["objectives"]["latency_ms"] > 0 for trial in front)
    registry = open_registry(settings)
    assert [registry.releases(f"aand/parts/{category}") for category in CATEGORIES] == [[1], [1]]
    assert all(registry.read_alias(f"aand/parts/{category}", "champion").release == 1 for category in CATEGORIES)
    client = MlflowClient(settings.mlflow_uri)
    experiment = client.get_experiment_by_name("kdzoo/aand/parts")
    runs = client.search_runs([experiment.experiment_id], max_results=1000)
    by_level = {
        level: [run for run in runs if run.data.tags["kdzoo.level"] == level] for level in ("sweep", "category")
    }
    assert {level: [run.info.status for run in found] for level, found in by_level.items()} == {
        "sweep": ["FINISHED"],
        "category": ["FINISHED"] * 2,
    }
    # Killed is a trial that went on under a new number.
    assert {run.info.status for run in runs} <= {"FINISHED", "KILLED"}
    keys = [run.data.tags["kdzoo.key"] for run in runs]
    assert len(keys) == len(set(keys))
    (table,) = read_leaderboard(settings.mlflow_uri).tables
    assert [(row.category, row.release) for row in table.rows] == [("bottle", 1), ("cable", 1)]


def kill_and_resume(folder, moments, *, trials):
    """Kills the driver at each moment, resumes, and looks at what ended before each kill ever since."""
    make_dataset(folder / "parts")
    sweep, before = SweepFolder(folder / "home" / "sweeps" / NAME), set()
    for until, lines in moments:
        drive(folder, trials=trials, until=until, lines=lines)
        now = ended(sweep)
        assert before <= now
        before = now
    assert json.loads(drive(folder, trials=trials)[-1])["done"] == 2 * trials
    assert before <= ended(sweep)
    for category, number, _ in ended(sweep):
        # Ray makes a folder for each trial that it starts: none has one in two parts of the sweep.
        name = f"{category}-{number:04d}"
        assert len([run for run in sweep.runs() if (run / name).exists()]) == 1, name
    check_whole(folder, trials=trials)


@pytest.mark.timeout(1200)
def test_a_driver_killed_three_times(tmp_path):
    # Two trials run at once: while they train, when one has just ended, while categories are published.
    kill_and_resume(tmp_path, [("epoch of", 2), ("ended", 2), ("published", 1)], trials=2)


@pytest.mark.long
@pytest.mark.timeout(7200)
def test_a_driver_killed_twenty_times(tmp_path):
    chosen = random.Random(0)
    moments = [(chosen.choice(["began", "epoch of", "ended"]), chosen.randint(1, 3)) for _ in range(20)]
    kill_and_resume(tmp_path, moments, trials=25)
