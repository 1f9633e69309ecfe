"""MLflow hangs, or is down, while a sweep trains and when it ends. See `helpers.faults`."""

import itertools
import os
import signal
import time

from helpers.fault_watch import PATIENCE
from helpers.faults import Row
from mlflow import MlflowClient


def mlflow_frozen(rig, drive, *, seconds):
    """MLflow takes connections and never answers, in the middle of the training."""
    drive.reached(1)
    before = time.time()
    time.sleep(seconds)
    at = time.time()
    rig.mlflow.freeze()
    time.sleep(seconds)
    rig.mlflow.thaw()
    until = time.time()
    (_, usual), (count, gap) = _longest_wait(drive, before, at), _longest_wait(drive, at, until)
    return Row(
        fault=f"MLflow hung for {seconds} s",
        promised="under 5 s lost an epoch",
        outcome=f"{count} epochs meanwhile, the longest wait for one {gap:.1f} s; as long before it {usual:.1f} s",
        kept=gap < usual + 5.0 and count > 0,
    )


def _longest_wait(drive, start, end):
    """How many epochs ended in a span of time, and the longest time without any."""
    times = [event["at"] for event in drive.events if event["what"] == "epoch" and start <= event["at"] <= end]
    return len(times), max(after - before for before, after in itertools.pairwise([start, *times, end]))


def interrupted_without_mlflow(rig, drive):
    """Ctrl-C while MLflow is down; then it comes back and is sent the rest."""
    drive.reached(1)
    rig.mlflow.stop()
    time.sleep(2)
    at = time.time()
    os.killpg(drive.process.pid, signal.SIGINT)
    last = drive.end(seconds=PATIENCE)
    took = time.time() - at
    rig.mlflow.start()
    synced = rig.command("mlflow", "sync")
    missing = not_logged(rig, drive.events)
    return Row(
        fault="Ctrl-C, MLflow down at the end",
        promised="ends normally, nothing logged is lost",
        outcome=f"ended after {took:.0f} s; after `kdzoo mlflow sync` {len(missing)} epochs are missing",
        kept=last["what"] == "done" and synced.returncode == 0 and not missing,
    )


def not_logged(rig, events):
    """Epochs that the driver told of and MLflow does not have."""
    client = MlflowClient(rig.mlflow.uri)
    experiment = client.get_experiment_by_name("kdzoo/aand/parts")
    runs = {}
    for run in client.search_runs([experiment.experiment_id], max_results=5000):
        runs.setdefault(run.data.tags["kdzoo.key"].rpartition("/")[2], []).append(run.info.run_id)
    told = {}
    for event in events:
        if event["what"] == "epoch":
            told.setdefault(event["trial"], set()).add(event["epoch"])
    missing = []
    for trial, epochs in told.items():
        ids = runs.get(trial, [])
        assert len(ids) <= 1, f"{trial} has {len(ids)} runs"
        kept = {point.step for one in ids for point in client.get_metric_history(one, "loss")}
        missing += [(trial, epoch) for epoch in sorted(epochs - kept)]
    return missing
