"""The faults that a sweep must live through, each done to one that runs, and what was seen of it.

The sweep is `helpers.fault_driver` in a process of its own, on a Ray of several nodes, with a real MLflow server and a
zoo on an S3 server. `benchmarks/faults.py` prints the table; tests in `tests/integration/sweeps` assert it.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass

from helpers.fault_watch import PATIENCE, Drive, cost
from helpers.mlflow_server import MlflowServer
from helpers.processes import environ_of_python
from helpers.ray_nodes import RayNodes
from helpers.s3_server import s3_server

INTERVAL = 5
"""Epochs between two checkpoints of a trial."""
_BROKEN = "raise ImportError('libgomp.so.1: cannot open shared object file')\n"


@dataclass(kw_only=True)
class Row:
    """A line of the table.

    Attributes:
        fault: what was done.
        promised: what kdzoo promises then.
        restart_seconds: until training went on; None where it never stopped.
        repeated: the most epochs that a trial ran again.
        lost: trials that did not end well for it.
        outcome: what was seen.
        kept: whether the promise was.
    """

    fault: str
    promised: str
    restart_seconds: float | None = None
    repeated: int = 0
    lost: int = 0
    outcome: str = ""
    kept: bool = False


class Rig:
    """Ray, MLflow and S3, and a folder for sweeps.

    Args:
        folder: empty.
        nodes: Ray's workers; 0 for the local Ray of each driver.
    """

    def __init__(self, folder, *, nodes):
        self.folder, self.mlflow = folder, MlflowServer(_made(folder / "mlflow"))
        self._stack = contextlib.ExitStack()
        self.ray = None
        try:
            s3 = self._stack.enter_context(s3_server())
            self._stack.callback(self._end_mlflow)
            self.environ = s3.variables() | {"KDZOO_ZOO": f"s3://{s3.new_bucket(s3.client())}/zoo"}
            self.environ |= {"MLFLOW_TRACKING_URI": self.mlflow.uri, "RAY_worker_niceness": "0"}
            if nodes:
                self.ray = RayNodes(nodes)
                self._stack.callback(self.ray.close)
                self.environ["RAY_ADDRESS"] = self.ray.address
        except BaseException:
            self._stack.close()
            raise

    def _end_mlflow(self):
        with contextlib.suppress(Exception):
            self.mlflow.thaw()
        self.mlflow.stop()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._stack.close()

    def drive(self, **given):
        """A driver of the sweep; goes on with it if there is one."""
        drive = Drive(self.folder, environ=self.environ, **given)
        self._stack.callback(drive.stop)
        return drive

    def command(self, *arguments, seconds=PATIENCE):
        """Runs ``kdzoo ARGUMENTS`` on the sweep's home."""
        command, environ = self._command(arguments)
        return subprocess.run(command, env=environ, capture_output=True, text=True, check=False, timeout=seconds)

    def start(self, *arguments):
        """Starts ``kdzoo ARGUMENTS`` as a shell would: with a process group of its own, for Ctrl-C."""
        command, environ = self._command(arguments)
        with (self.folder / "command.err").open("w") as err, (self.folder / "command.out").open("w") as out:
            process = subprocess.Popen(command, env=environ, stdout=out, stderr=err, start_new_session=True)
        self._stack.callback(_end, process)
        return process

    def said(self):
        """The standard error of what was started."""
        return (self.folder / "command.err").read_text(errors="replace")

    def _command(self, arguments):
        environ = environ_of_python(**self.environ, KDZOO_HOME=str(self.folder / "home"))
        return [sys.executable, "-m", "kdzoo", *map(str, arguments)], environ


def _end(process):
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _made(folder):
    folder.mkdir(parents=True)
    return folder


def _went_on(drive, at, *, seconds=PATIENCE):
    """Waits until a trial that failed after a time has trained an epoch since; gives the notes of failures."""
    note = drive.wait_for(
        lambda event: event["what"] == "note" and event["at"] > at and "goes on after a failure" in event["text"],
        seconds=seconds,
    )
    words = note["text"].split()
    name = f"{words[3]}-{int(words[1]):04d}"

    def on(event):
        same = event.get("trial") == name and event["at"] > note["at"]
        return same and event["what"] in ("epoch", "ended")

    drive.wait_for(on, seconds=seconds)
    return note["text"]


def _row(drive, at, *, fault, promised, outcome):
    seen = cost(drive.events, fault_at=at)
    stray = [event["text"] for event in drive.events if event["what"] == "stray"]
    kept = seen.lost == 0 and seen.repeated <= INTERVAL and not stray
    return Row(
        fault=fault,
        promised=promised,
        restart_seconds=seen.restart_seconds,
        repeated=seen.repeated,
        lost=seen.lost,
        outcome=outcome,
        kept=kept,
    )


def _busy_node(rig, drive):
    """A node that trains at this moment, once a trial was past its first checkpoint."""
    drive.reached(INTERVAL + 2)
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        for node in rig.ray.nodes:
            if rig.ray.trains(node):
                return node
        time.sleep(0.02)
    raise AssertionError(f"no node trains: {drive.said()}")


def worker_killed(rig, drive):
    """SIGKILL to the processes in which trials run on one node."""
    pids, at = rig.ray.trial_workers(_busy_node(rig, drive)), time.time()
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    said = _went_on(drive, at)
    return _row(drive, at, fault="worker killed", promised="at most one checkpoint interval again", outcome=said)


def node_killed(rig, drive):
    """One of the nodes loses its power."""
    node, at = _busy_node(rig, drive), time.time()
    rig.ray.kill(node)
    said = _went_on(drive, at)
    return _row(drive, at, fault="node killed", promised="at most one checkpoint interval again", outcome=said)


def node_frozen(rig, drive, *, thaw):
    """One of the nodes hangs; later it goes on, or never does."""
    node, at = _busy_node(rig, drive), time.time()
    pids = rig.ray.freeze(node)
    said = _went_on(drive, at, seconds=PATIENCE)
    row = _row(
        drive,
        at,
        fault=f"node frozen, {'thawed later' if thaw else 'for good'}",
        promised="at most one checkpoint interval again",
        outcome=said,
    )
    if thaw:
        rig.ray.thaw(pids)
        after = time.time()
        drive.wait_for(lambda event: event["what"] == "epoch" and event["at"] > after + 2)
    return row


def no_node_left(rig, drive, **given):
    """All nodes lose their power; the sweep gives up, and goes on once there is a new one."""
    drive.reached(INTERVAL + 2)
    at = time.time()
    for node in list(rig.ray.nodes):
        rig.ray.kill(node)
    last = drive.end()
    took = time.time() - at
    rig.ray.nodes.append(rig.ray.add())
    resumed = rig.drive(**given)
    resumed.reached(1)
    resumed.events[:0] = drive.events
    text = last.get("text", last["what"])
    row = _row(
        resumed,
        at,
        fault="all nodes killed",
        promised="a clear error after some minutes, resumable",
        outcome=f"ended after {took:.0f} s: {text} ({last.get('hint')}); resumed with a new node",
    )
    row.kept = row.kept and text.startswith("no node is left") and "--resume" in (last.get("hint") or "")
    return row


def node_fails_at_once(rig, drive):
    """A node joins on which no worker can start."""
    broken = _made(rig.folder / "broken-install" / "torch")
    (broken / "__init__.py").write_text(_BROKEN)
    at, tries = time.time(), {}
    node = rig.ray.add(environ={"PYTHONPATH": str(broken.parent)})
    rig.ray.nodes.append(node)
    drive.wait_for(lambda event: event["what"] == "note" and "keep away from node" in event["text"])
    settled = time.time()
    drive.wait_for(lambda event: event["what"] == "ended" and event["at"] > settled + 5)
    for text in drive.notes():
        if "goes on after a failure" in text and "libgomp" in text:
            name = " ".join(text.split()[:4])
            tries[name] = tries.get(name, 0) + 1
    row = _row(
        drive,
        at,
        fault="node that fails at once",
        promised="takes at most one try of a trial",
        outcome=f"{sum(tries.values())} tries of {len(tries)} trials were spent on it, then it was left alone",
    )
    row.kept = row.lost == 0 and bool(tries) and max(tries.values()) == 1
    return row


@contextlib.contextmanager
def folder_away(folder):
    """A folder that cannot be reached: a file stands in its place, so that nobody can make it anew."""
    away = folder.with_name(folder.name + ".away")
    folder.rename(away)
    folder.touch()
    try:
        yield
    finally:
        folder.unlink()
        away.rename(folder)


def storage_away(rig, drive, *, seconds, **given):
    """The sweep's folder cannot be reached for a while."""
    drive.reached(INTERVAL + 2)
    at = time.time()
    with folder_away(drive.sweep):
        time.sleep(seconds)
    after = time.time()
    fault, promised = f"storage away for {seconds} s", "goes on, or ends with a clear error and resumes"

    def settled(event):
        """It trains a while after the storage is back, or it has ended, perhaps while the storage was away."""
        return event["what"] in ("error", "done") or (event["what"] == "epoch" and event["at"] > after + 5)

    drive.wait_for(settled)
    ended = next((event for event in drive.events if event["what"] == "error"), None)
    if ended is None:
        failures = [text for text in drive.notes() if "goes on after a failure" in text]
        return drive, _row(drive, at, fault=fault, promised=promised, outcome=f"went on; {len(failures)} tries failed")
    drive.end()
    resumed = rig.drive(**given)
    resumed.reached(1)
    resumed.events[:0] = drive.events
    return resumed, _row(resumed, at, fault=fault, promised=promised, outcome=f"ended: {ended['text']}; resumed")


def driver_killed(rig, drive, **given):
    """SIGKILL to the driver, and a resume."""
    drive.reached(INTERVAL + 2)
    at = time.time()
    drive.kill()
    ends = {event["trial"] for event in drive.events if event["what"] == "ended"}
    resumed = rig.drive(**given)
    resumed.wait_for(lambda event: event["what"] == "epoch")
    again = {event["trial"] for event in resumed.events if event["what"] == "ended"} & ends
    resumed.wait_for(lambda event: event["what"] == "ended" and event["trial"] not in ends)
    resumed.events[:0] = drive.events
    row = _row(
        resumed,
        at,
        fault="driver killed (SIGKILL), resumed",
        promised="no trial that ended runs again",
        outcome=f"{len(ends)} trials had ended, {len(again)} of them ran again",
    )
    row.kept = row.kept and not again
    return resumed, row


def asked_to_stop(rig, drive):
    """``kdzoo sweep stop`` while trials train."""
    drive.wait_for(lambda event: event["what"] == "ended")
    drive.reached(1)
    at = time.time()
    done = rig.command("sweep", "stop", drive.sweep.name)
    last = drive.end(seconds=PATIENCE)
    took = time.time() - at
    shown = json.loads(rig.command("sweep", "show", drive.sweep.name, "--json").stdout)
    releases = [event["release"] for event in drive.events if event["what"] == "concluded"]
    state = shown.get("state") or shown.get("sweep", {}).get("state")
    return Row(
        fault="kdzoo sweep stop",
        promised="what is finished is published, resumable",
        outcome=f"ended after {took:.0f} s as {state}, {sum(map(bool, releases))} of {len(releases)} published",
        kept=done.returncode == 0 and last["what"] == "done" and state == "interrupted" and all(releases),
    )
