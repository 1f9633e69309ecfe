"""A sweep in a process of its own that says what happens, a line of JSON each: ``python -m helpers.fault_driver``.

The argument is JSON: ``folder``, ``name``, ``trials``, ``epochs`` (detecting ones), ``environ`` for the settings, and
``patience`` for seconds without any node.
"""

import json
import os
import sys
import time
from pathlib import Path

from helpers.sweeps import Watcher, small_plan


def say(what, **more):
    print(json.dumps({"what": what, "at": time.time(), **more}), flush=True)


class Teller(Watcher):
    """Tells of each epoch, each end, each note and each release once."""

    def __init__(self):
        super().__init__(self.tell)
        self._seen, self._ended, self._released, self._restored = {}, set(), set(), None

    def note(self, text):
        super().note(text)
        say("note", text=text)

    def tell(self, board):
        if self._restored is None:
            # What an earlier driver ended stands on the board from the start.
            self._restored = {row.trial_id for row in board.rows.values() if row.ended}
            self._ended |= self._restored
        for row in list(board.rows.values()):
            # A trial that goes on under another number has the same values.
            key = f"{row.category}/{json.dumps(row.config, sort_keys=True)}"
            if row.trial_id in self._ended:
                continue
            if row.epoch and self._seen.get(row.trial_id) != (row.epoch, row.seconds):
                self._seen[row.trial_id] = (row.epoch, row.seconds)
                say("epoch", trial=row.trial_id, key=key, epoch=row.epoch, total=row.total_epochs)
            if row.ended:
                self._ended.add(row.trial_id)
                say("ended", trial=row.trial_id, key=key, status=row.status, epoch=row.epoch, reason=row.reason)
        for category, outcome in board.outcomes.items():
            if category not in self._released:
                self._released.add(category)
                release = outcome.published.release if outcome.published else None
                say("concluded", category=category, release=release, reason=outcome.reason)


def main(given):
    from kdzoo.search.run.sweep import run_sweep
    from kdzoo.search.workers import node_watch

    node_watch.PATIENCE_SECONDS = given.get("patience", node_watch.PATIENCE_SECONDS)
    folder = Path(given["folder"])
    categories = [path.name for path in sorted((folder / "parts").iterdir())]
    changes = {category: {"distil_epochs": given["epochs"]} for category in categories}
    plan = small_plan(
        folder,
        name=given["name"],
        trials=given["trials"],
        changes={name: {**changes[name], **given.get("changes", {}).get(name, {})} for name in categories},
        environ=given.get("environ"),
        max_concurrent=given.get("max_concurrent"),
    )
    resume = (plan.folder / "plan.json").exists()
    say("began", resume=resume, pid=os.getpid())
    try:
        board = run_sweep(plan, Teller(), resume=resume)
    except Exception as error:
        say("error", kind=type(error).__name__, text=str(error), hint=getattr(error, "hint", None))
        raise SystemExit(1) from None
    statuses = {name: row.status for name, row in board.rows.items()}
    say("done", done=board.done(), planned=board.total, statuses=statuses)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
