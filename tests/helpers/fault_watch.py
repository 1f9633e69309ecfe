"""Drives a sweep in another process, does something to it at a chosen moment, and reads off what it cost."""

import contextlib
import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field

from helpers.layouts import make_dataset
from helpers.processes import environ_of_python

PATIENCE = 400.0


class Drive:
    """One driver of a sweep, and what it said so far.

    Args:
        folder: where the data set and the home of the sweep are; made if absent.
        environ: further variables of the process and of the settings.
        given: as `helpers.fault_driver` takes it.
    """

    def __init__(self, folder, *, name="faulty", trials=2, epochs=40, categories=("bottle",), environ=None, **given):
        if not (folder / "parts").exists():
            make_dataset(folder / "parts", categories)
        environ = dict(environ or {})
        told = {"folder": str(folder), "name": name, "trials": trials, "epochs": epochs, "environ": environ, **given}
        self.sweep = folder / "home" / "sweeps" / name
        self.events, self._more = [], threading.Condition()
        self._errors = folder / "driver.err"
        with self._errors.open("a") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "helpers.fault_driver", json.dumps(told)],
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env=environ_of_python(**environ),
                start_new_session=True,
            )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self.process.stdout:
            with self._more:
                try:
                    self.events.append(json.loads(line))
                except ValueError:
                    # stdout is for results: a program that reads them could not read this.
                    self.events.append({"what": "stray", "at": time.time(), "text": line})
                self._more.notify_all()
        with self._more:
            self._more.notify_all()

    def wait_for(self, wanted, *, seconds=PATIENCE):
        """The first event that ``wanted`` is true of.

        Raises:
            AssertionError: the driver ended, or it took too long.
        """
        deadline, looked = time.monotonic() + seconds, 0
        with self._more:
            while True:
                for event in self.events[looked:]:
                    if wanted(event):
                        return event
                looked = len(self.events)
                alive = self._reader.is_alive()
                if not alive or time.monotonic() > deadline:
                    raise AssertionError(f"{'nothing came' if alive else 'the driver ended'}: {self.said()}")
                self._more.wait(1.0)

    def reached(self, epoch, *, trials=1):
        """Waits until some trials are at an epoch."""
        there = set()

        def enough(event):
            if event["what"] == "epoch" and event["epoch"] >= epoch:
                there.add(event["trial"])
            return len(there) >= trials

        return self.wait_for(enough)

    def end(self, *, seconds=PATIENCE):
        """Waits for the driver's end; gives its last event."""
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the driver does not end: {self.said()}") from None
        finally:
            self.stop()
        return self.events[-1]

    def kill(self):
        """Kills the driver alone, as a crash would; then takes its local Ray away."""
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.stop()

    def stop(self):
        """Leaves nothing of the driver behind."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self._reader.join(10)
        if not self._reader.is_alive():
            self.process.stdout.close()

    def said(self):
        """The tail of everything, for messages."""
        tail = self._errors.read_text(errors="replace")[-1500:]
        return f"{[event for event in self.events if event['what'] != 'epoch'][-6:]}\n{tail}"

    def notes(self):
        """What the sweep told the person."""
        return [event["text"] for event in self.events if event["what"] == "note"]


@dataclass(kw_only=True)
class Cost:
    """What a fault cost.

    Attributes:
        restart_seconds: from the fault to the first epoch of a trial that went on; None where none had to.
        repeated: the most epochs that one trial ran again.
        lost: trials that did not end well.
        done: trials that ended.
        slowest_epoch: the longest time between two signs of life after the fault, seconds.
    """

    restart_seconds: float | None
    repeated: int
    lost: int
    done: int
    slowest_epoch: float = field(default=0.0)


def cost(events, *, fault_at):
    """Reads the cost off the events of one driver, or of several in a row."""
    last, again, restarted, lost = {}, {}, None, 0
    restarting, times = set(), [fault_at]
    for event in events:
        after = event["at"] > fault_at
        if after and event["what"] == "note" and "goes on after a failure" in event["text"]:
            words = event["text"].split()
            restarting.add(f"{words[3]}-{int(words[1]):04d}")
        if after and event["what"] == "began" and event["resume"]:
            restarting |= {"*"}
        if event["what"] == "epoch":
            key = event["key"]
            if after and event["epoch"] <= last.get(key, 0):
                again[key] = again.get(key, 0) + 1
            last[key] = max(event["epoch"], last.get(key, 0))
            if after:
                times.append(event["at"])
                if restarted is None and restarting & {event["trial"], "*"}:
                    restarted = event["at"] - fault_at
        if after and event["what"] == "ended" and event["status"] == "failed":
            lost += 1
    ends = {event["key"] for event in events if event["what"] == "ended" and event["status"] != "interrupted"}
    gaps = [after - before for before, after in itertools.pairwise(times)]
    return Cost(
        restart_seconds=restarted,
        repeated=max(again.values(), default=0),
        lost=lost,
        done=len(ends),
        slowest_epoch=max(gaps, default=0.0),
    )
