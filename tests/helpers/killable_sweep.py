"""A sweep as a process that a test can kill at a chosen moment: ``python -m helpers.killable_sweep FOLDER TRIALS``."""

import json
import subprocess
import sys
from pathlib import Path

from helpers.processes import environ_of_python
from helpers.sweeps import Watcher, small_plan

NAME = "killed"


def start(folder, *, trials, seeds=1):
    """Starts the sweep, or resumes it; its lines on stdout say what happens."""
    return subprocess.Popen(
        [sys.executable, "-m", "helpers.killable_sweep", str(folder), str(trials), str(seeds)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environ_of_python(),
        start_new_session=True,
    )


def main(folder, trials, seeds=1):
    from helpers.patient_ray import give_time

    from kdzoo.search.run.sweep import run_sweep
    from kdzoo.search.study.strategy import Strategy

    give_time()
    told = set()

    def say(line):
        if line not in told:
            told.add(line)
            print(line, flush=True)

    def tell(board):
        say("began")
        for row in board.rows.values():
            if row.epoch and not row.ended:
                say(f"{'' if row.final is None else 'final '}epoch of {row.trial_id}")
        for row in board.rows.values():
            if row.ended and row.total_epochs:
                say(f"ended {row.trial_id}")
        for category in board.outcomes:
            say(f"published {category}")

    strategy = Strategy(priority="worst-first", also=("latency_ms",), seeds=seeds)
    plan = small_plan(folder, name=NAME, trials=trials, strategy=strategy)
    board = run_sweep(plan, Watcher(tell), resume=(plan.folder / "plan.json").exists())
    outcomes = {name: [outcome.published.release, outcome.reason] for name, outcome in board.outcomes.items()}
    print(json.dumps({"outcomes": outcomes, "done": board.done()}), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))
